"""Records: what is told to the host, put together a cycle after it happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import fifo
from amaranth.lib.data import View

from tag34.contract import EventCode, Flag, RecordKind

from ..layouts import CYCLE, Record

#: Records that wait for the host before the rules themselves have to wait (R16).
RECORD_DEPTH = 16


class Teller:
    """The sequencer's voice.

    A state only says which form of record it tells. The words are put together a cycle later, when all that they are
    taken from is still as it was, and go a cycle after that into a queue that has room to spare for what is told before
    it is seen to be full. So neither the words nor the permission to tell are on a long path.

    Parameters:
        m: the module that tells.
        records: its stream of records.
        cycle: the device's cycle counter.
        session: of all that is told; it must stay for two cycles behind a record.

    Members: ``can_tell``: there is room; what is told without it is lost. ``can_add``: there is room for a record that
    nobody waits for, and ``can_tell`` stays. ``last_cycle``: the cycle in which the record
    now put together was told.
    """

    def __init__(self, m: Module, records: Any, cycle: Value, session: Value):
        self.record = Signal(Record)
        self.can_tell = Signal()
        self.can_add = Signal()
        self.last_cycle = Signal(CYCLE)
        self._m = m
        self._session = session
        self._forms: list[Callable[[Any], list[Any]]] = []
        self._tells = Signal()
        self._form = Signal(4)
        told = Signal()
        # Twice, as most of the words ask for it. They differ in how they begin, or synthesis would have one.
        self._told_form = Signal(4)
        self._told_numbers = Signal(4, init=15)
        words = Signal(Record, reset_less=True)
        whole = Signal()
        m.submodules.record_queue = queue = fifo.SyncFIFO(width=Record.size, depth=RECORD_DEPTH)
        m.d.sync += [
            told.eq(self._tells & self.can_tell),
            self._told_form.eq(self._form),
            self._told_numbers.eq(self._form),
            self.can_tell.eq(queue.w_level < RECORD_DEPTH - 3),
            self.can_add.eq(queue.w_level < RECORD_DEPTH - 5),
            self.last_cycle.eq(cycle),
            words.eq(self.record),
            whole.eq(told),
        ]
        m.d.comb += [
            queue.w_data.eq(words),
            queue.w_en.eq(whole),
            records.valid.eq(queue.r_rdy),
            records.payload.eq(queue.r_data),
            queue.r_en.eq(records.ready),
        ]

    def tell(self, words: Callable[[Any], list[Any]]) -> None:
        """Tell a record. ``words``: the statements that put it together, in a record that it is given."""
        self._m.d.comb += [self._tells.eq(1), self._form.eq(len(self._forms))]
        self._forms.append(words)

    def event(
        self,
        code: EventCode,
        *,
        cycle: Value,
        seq: Value | None = None,
        number: Value | None = None,
        why: Value | int = 0,
    ) -> None:
        """Tell of an event (:class:`tag34.contract.EventCode`)."""
        told = {"seq": seq, "number": number}
        known = {name: value for name, value in told.items() if value is not None}
        self.tell(
            lambda record: [
                record.kind.eq(RecordKind.EVENT),
                record.code.eq(code),
                record.rule.eq(why),
                record.cycle.eq(cycle),
                record.flags.eq((Flag.SEQ if "seq" in known else 0) | (Flag.NUMBER if "number" in known else 0)),
                *(record[name].eq(value) for name, value in known.items()),
            ]
        )

    def delivery(self, *, seq: Value, length: Value, source: View, early: Value | int = 0) -> None:
        """Tell of a message handed to the release. ``source`` has its msg_type and flags."""
        possdup = Mux(source.possdup, Flag.POSSDUP, 0)
        possresend = Mux(source.possresend, Flag.POSSRESEND, 0)
        self.tell(
            lambda record: [
                record.kind.eq(RecordKind.DELIVER),
                record.msg_type.eq(source.msg_type),
                record.seq.eq(seq),
                record.length.eq(length),
                record.cycle.eq(self.last_cycle),
                record.flags.eq(Flag.SEQ | possdup | possresend | Mux(early, Flag.EARLY, 0)),
            ]
        )

    def finish(self) -> None:
        """Nothing more will be told: make the choice between the forms."""
        m = self._m
        assert len(self._forms) <= 1 << len(self._form)
        numbers = Signal(Record, name="numbers")
        others = Signal(Record, name="others")
        for record, form in ((numbers, self._told_numbers), (others, self._told_form)):
            with m.Switch(form):
                for number, words in enumerate(self._forms):
                    with m.Case(number):
                        m.d.comb += words(record)
        m.d.comb += [
            self.record.eq(others),
            self.record.seq.eq(numbers.seq),
            self.record.number.eq(numbers.number),
            self.record.session.eq(self._session),
        ]
