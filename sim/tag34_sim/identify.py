"""What a simulated core says of itself."""

from __future__ import annotations

from tag34 import core_device
from tag34.contract import CONTRACT_VERSION, DEVICE_ID, REGISTERS
from tag34.core_device import DeviceCore
from tag34.device import DeviceError, DeviceInfo


def identify(core: DeviceCore, detail: str = "") -> DeviceInfo:
    """What a simulated core is, by its registers; afterwards it is at rest.

    Raises DeviceError if it is no core of this version, or does not come to rest.
    """

    def read(name: str) -> int:
        return core.read(REGISTERS[name].address)

    if read("ID") != DEVICE_ID or read("VERSION") != CONTRACT_VERSION:
        raise DeviceError("the simulated core does not answer as a tag34 core of this version")
    # After a reset memory is swept, and shows nothing of use before.
    core_device.rest(core)
    return DeviceInfo(
        "sim",
        sessions=read("SESSIONS"),
        window=read("WINDOW"),
        max_message=read("MAX_MESSAGE"),
        hold=read("HOLD"),
        hold_limit=read("HOLD_LIMIT"),
        width=read("WIDTH"),
        clock_hz=read("CLOCK_HZ"),
        detail=detail,
    )
