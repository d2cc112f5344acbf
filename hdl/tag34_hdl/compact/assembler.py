"""The assembler: the program's text becomes words.

A line holds a label (``name:``), an instruction, or both; what follows a ``;`` is a comment. An operand is

- ``#value``: a number; any expression of constants: ``#Rule.R8``, ``#'A'``, ``#low(label)``;
- ``name``, ``name+1``: a variable, or a byte of it;
- ``[x]``, ``[x+]``: where X points to; ``+``: and X goes on by one. ``[x:3]``: byte 3 of the 16 bytes around X;
- ``NAME``: a port.

What is no instruction is a macro (:mod:`tag34_hdl.compact.macros`). Labels that begin with a dot belong to the last one
that does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .instructions import Jump, Mode, Operation, System, jump, operation, repeat


class ProgramError(ValueError):
    """A line that means nothing; the text says where."""


@dataclass(frozen=True)
class Variable:
    """A variable: ``mode``, GLOBAL or SESSION; ``place`` of its first byte; ``size`` in bytes."""

    mode: Mode
    place: int
    size: int


@dataclass(frozen=True)
class _Word:
    """A word to be. ``value``: an expression, or the name of a label, of which ``half`` (or all) is meant."""

    where: str
    op: Any
    mode: Mode = Mode.VALUE
    value: int | str = 0
    half: str = ""


#: Other names of jumps, for what a comparison has found.
JUMPS = {kind.name.lower(): kind for kind in Jump if kind is not Jump.FOR} | {"blt": Jump.BCS, "bge": Jump.BCC}
OPERATIONS = {op.name.lower(): op for op in Operation if op is not Operation.SYS}
SYSTEMS = {str(bit.name).lower(): bit for bit in System}
_LABEL = re.compile(r"(\.?[A-Za-z_]\w*):")
_COMMENT = re.compile(r"('.')|;.*")
_CHARACTER = re.compile(r"'(.)'")
_INDEXED = {"[x]": Mode.INDEXED, "[x+]": Mode.NEXT}


class Assembler:
    """Assembles texts, one behind the other.

    Parameters: ``variables``; ``reads``, ``writes``: ports by name; ``constants`` for expressions; ``macros``, by name:
    functions of the assembler and the operands.

    Members: ``labels``, where they are, after :meth:`finish`.
    """

    def __init__(
        self,
        variables: Mapping[str, Variable],
        reads: Mapping[str, int],
        writes: Mapping[str, int],
        constants: Mapping[str, Any],
        macros: Mapping[str, Callable[..., None]],
    ):
        self.variables = variables
        self.labels: dict[str, int] = {}
        self._reads, self._writes = reads, writes
        self._constants = {"low": lambda value: value & 255, "high": lambda value: value >> 8, **constants}
        self._macros = macros
        self._words: list[_Word] = []
        self._scope = ""
        self._where = ""
        self._made = 0

    # -- Text
    def add(self, name: str, text: str) -> None:
        """Assemble a text; ``name`` tells where an error is. Raises ProgramError."""
        for number, line in enumerate(text.splitlines(), 1):
            self._where = f"{name}:{number}"
            self._line(line)

    def _line(self, line: str) -> None:
        rest = _COMMENT.sub(lambda match: match[1] or "", line).strip()
        while match := _LABEL.match(rest):
            self._label(match[1])
            rest = rest[match.end() :].strip()
        if not rest:
            return
        mnemonic, _, operands = rest.partition(" ")
        self.put(mnemonic, *(part.strip() for part in operands.split(",") if part.strip()))

    def _label(self, name: str) -> None:
        if not name.startswith("."):
            self._scope = name
        full = self._full(name)
        if full in self.labels:
            raise ProgramError(f"{self._where}: {full} is there twice")
        self.labels[full] = len(self._words)

    def _full(self, name: str) -> str:
        return self._scope + name if name.startswith(".") else name

    def new_label(self) -> str:
        """A name that nobody has."""
        self._made += 1
        return f"${self._made}"

    def mark(self, label: str) -> None:
        """The label is here."""
        self.labels[label] = len(self._words)

    def put(self, mnemonic: str, *operands: str) -> None:
        """One instruction or macro. Raises ProgramError."""
        if mnemonic in JUMPS and len(operands) == 1:
            self._words.append(_Word(self._where, JUMPS[mnemonic], value=self._full(operands[0])))
        elif mnemonic in OPERATIONS and len(operands) == 1:
            op = OPERATIONS[mnemonic]
            self._words.append(_Word(self._where, op, *self._operand(op, operands[0])))
        elif mnemonic in SYSTEMS and not operands:
            self._words.append(_Word(self._where, Operation.SYS, Mode.VALUE, int(SYSTEMS[mnemonic])))
        elif mnemonic in self._macros:
            try:
                self._macros[mnemonic](self, *operands)
            except TypeError as error:
                raise ProgramError(f"{self._where}: {error}") from error
        else:
            raise ProgramError(f"{self._where}: {mnemonic} with {len(operands)} operands means nothing")

    def _operand(self, op: Operation, text: str) -> tuple[Mode, int | str]:
        if text.startswith("#"):
            return Mode.VALUE, text[1:]  # it may name a label that comes later
        if text in _INDEXED:
            return _INDEXED[text], 0
        if text.startswith("[x:") and text.endswith("]"):
            return Mode.ENTRY, self.value(text[3:-1])
        ports = self._writes if op is Operation.ST else self._reads
        if text in ports:
            return Mode.PORT, ports[text]
        name, _, index = text.partition("+")
        variable = self.variables.get(name.strip())
        if variable is None:
            raise ProgramError(f"{self._where}: {text} is no operand of {op.name.lower()}")
        byte = self.value(index) if index else 0
        if byte >= variable.size:
            raise ProgramError(f"{self._where}: {name} has only {variable.size} bytes")
        return variable.mode, variable.place + byte

    def check_variable(self, operand: str) -> None:
        """Raises ProgramError if this is no byte of a variable."""
        self._operand(Operation.LD, operand)

    def value(self, text: str, labels: Mapping[str, int] | None = None) -> int:
        """The value of an expression. Raises ProgramError."""
        try:
            plain = _CHARACTER.sub(lambda match: str(ord(match[1])), text)
            return int(eval(plain, {"__builtins__": {}}, {**self._constants, **(labels or {})}))
        except Exception as error:
            raise ProgramError(f"{self._where}: {text}: {error}") from error

    def load_half(self, label: str, half: str) -> None:
        """Load half of the place of a label, ``"low"`` or ``"high"``."""
        self._words.append(_Word(self._where, Operation.LD, value=self._full(label), half=half))

    def repeat(self, times: int, operations: int) -> None:
        """What follows, so many ``operations``, is done several ``times``, each time on the next bytes."""
        self._words.append(_Word(self._where, Jump.FOR, value=repeat(times, operations)))

    # -- Words
    def finish(self) -> list[int]:
        """The words of all that was added. Raises ProgramError."""
        names = {name: variable.place for name, variable in self.variables.items()} | self.labels
        words = []
        for word in self._words:
            self._where = word.where
            try:
                if word.op is Jump.FOR:
                    words.append(int(word.value))
                elif isinstance(word.op, Jump):
                    words.append(jump(word.op, self._place(word)))
                elif word.half:
                    place = self._place(word)
                    words.append(operation(word.op, word.mode, place & 255 if word.half == "low" else place >> 8))
                else:
                    value = word.value
                    if isinstance(value, str):
                        value = self.value(value, names)
                    words.append(operation(word.op, word.mode, value))
            except ProgramError:
                raise
            except ValueError as error:
                raise ProgramError(f"{word.where}: {error}") from error
        return words

    def _place(self, word: _Word) -> int:
        if word.value not in self.labels:
            raise ProgramError(f"{word.where}: there is no label {word.value}")
        return self.labels[str(word.value)]
