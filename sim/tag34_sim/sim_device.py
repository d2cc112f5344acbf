"""The ``sim:`` device: the real gateware, in process."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Protocol

from tag34.core_device import CoreDevice, DeviceCore
from tag34.device import DeviceError
from tag34.records import Decoder
from tag34_hdl.layouts import Shape

from .identify import identify
from .verilator import BuildError, VerilatedCore


class SimulatedCore(DeviceCore, Protocol):
    """A core that is simulated, by whatever simulator."""

    @property
    def cycles(self) -> int:
        """Cycles since the start."""

    def reset(self) -> None:
        """Reset the core; what was queued or not taken yet is lost."""

    def stalls(self, seed: int, inputs: float, outputs: float) -> None:
        """Let inputs pause and outputs not be ready, at random by ``seed``."""


class SimDevice(CoreDevice):
    """The gateware as a device: compiled by Verilator, or run by Amaranth's simulator where nothing can be compiled.

    The simulation runs while a method is called and stands still otherwise; its clock and its timers follow
    :meth:`advance` alone.

    Parameters:
        core: the simulated core.
        detail: one line on how it is simulated.
    """

    def __init__(self, core: SimulatedCore, detail: str = ""):
        super().__init__(core, identify(core, detail))
        self.core = core

    def stalls(self, seed: int, inputs: float, outputs: float) -> None:
        """Let the core's inputs pause and its outputs not be ready, at random by ``seed``, in these shares of the
        cycles (0 to 0.95)."""
        self.core.stalls(seed, inputs, outputs)

    def reset(self) -> None:
        """What a reset button does: the device is as new. Records that nobody took are lost; the host sets the time and
        configures the sessions again. How the streams stall (:meth:`stalls`) stays as it is."""
        self._check_open()
        self.core.reset()
        self._decoder = Decoder()
        self._configs.clear()
        self._utc_ns = None
        self._rest()

    def receive_all(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        """Bytes of many connections, session and bytes, each piece right behind the one before: the core does not come
        to rest between them, as it does between calls of :meth:`receive`."""
        total = 0
        for session, data in pieces:
            self._check(session)
            self.core.receive(session, bytes(data))
            total += len(data)
        self._rest(total)


def open_sim(
    rest: str,
    *,
    width: int = 1,
    sessions: int = 1,
    window: int = 64,
    max_message: int = 4096,
    hold: int = 0,
    hold_limit: int = 0,
    compact: bool = False,
    **options: object,
) -> SimDevice:
    """Open ``sim:``; the entry point of group ``tag34.devices``.

    ``sim:verilator`` and ``sim:amaranth`` name the simulator; ``sim:`` takes Verilator, and Amaranth's simulator with
    a warning where the gateware
    cannot be compiled. Raises DeviceError for another name, for an unknown option and for a value that cannot be built.
    """
    if rest not in ("", "verilator", "amaranth"):
        raise DeviceError(f"sim: takes verilator or amaranth behind the colon, not {rest!r}")
    if options:
        known = "width, sessions, window, max_message, hold, hold_limit, compact"
        raise DeviceError(f"sim: has the options {known}, not {', '.join(sorted(options))}")
    try:
        shape = Shape(
            width=width,
            sessions=sessions,
            # The smallest that can be built; a device may have more than is asked for.
            window=max(2, window) if isinstance(window, int) else window,
            max_message=max(64, max_message) if isinstance(max_message, int) else max_message,
            hold=hold,
            hold_limit=hold_limit,
            compact=compact,
        )
    except ValueError as error:
        raise DeviceError(f"sim: {error}") from error
    if rest != "amaranth":
        try:
            return SimDevice(VerilatedCore(shape), "gateware, compiled by Verilator")
        except BuildError as error:
            if rest == "verilator":
                raise
            reason = str(error).splitlines()[0]
            warnings.warn(
                f"{reason}; using Amaranth's simulator, some thousand times slower", RuntimeWarning, stacklevel=3
            )
    from .amaranth_core import AmaranthCore

    return SimDevice(AmaranthCore(shape), "gateware, in Amaranth's simulator")
