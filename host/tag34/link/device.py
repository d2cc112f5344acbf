"""A board at the other end of a link as a device."""

from __future__ import annotations

from collections.abc import Callable

from ..contract import REGISTERS
from ..contract.link import Capability
from ..core_device import CoreDevice
from ..device import DeviceError, DeviceInfo, SessionConfig
from .core import LinkCore
from .packet import Info


def device_info(info: Info, name: str, detail: str) -> DeviceInfo:
    """What a board has said of itself. ``name`` is the scheme of its URL, ``detail`` one line."""
    return DeviceInfo(
        name,
        sessions=info.sessions,
        window=info.window,
        max_message=info.max_message,
        hold=info.hold,
        hold_limit=info.hold_limit,
        width=info.width,
        clock_hz=info.clock_hz,
        detail=detail,
        board=info.board,
        build_id=info.build_id.hex(),
    )


class LinkDevice(CoreDevice):
    """A board. Calls that have nothing to tell return before the board has done what was asked; :meth:`poll` waits for
    all that the calls before it have caused. After an error of the link every call raises it again: what the board knew
    of its sessions is gone, open a device anew.

    Parameters: ``core``, ``name`` (scheme of its URL), ``detail`` (one line), ``closed`` (called once it is closed).
    """

    def __init__(self, core: LinkCore, name: str, detail: str = "", closed: Callable[[], object] = lambda: None):
        super().__init__(core, device_info(core.info, name, detail))
        self._link = core
        self._closed = closed

    def close(self) -> None:
        """See :meth:`Device.close`."""
        was_open = self._open
        super().close()
        if was_open:
            self._closed()

    def configure(self, session: int, config: SessionConfig) -> None:
        """See :meth:`Device.configure`. DeviceError for ``early_gap`` if the board cannot do that."""
        if config.early_gap and not self._link.info.capabilities & Capability.EARLY_GAP:
            raise DeviceError("this board gives no early warning of a gap: configure it without early_gap")
        super().configure(session, config)

    def _exchange(self, *operations: str | tuple[str, int]) -> list[int]:
        # One way to the board and back for all of them, not one for each.
        named = [(operation, None) if isinstance(operation, str) else operation for operation in operations]
        return self._link.exchange([(REGISTERS[name].address, value) for name, value in named])
