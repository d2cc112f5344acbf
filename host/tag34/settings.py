"""What a session is told once: who talks to whom, and how patient it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .contract import Policy
from .device import SessionConfig
from .message import Fields, FixMessage, application_fields, as_pairs
from .store import StoredMessage

#: BeginStrings in the order in which the protocol grew; what is not listed is taken as the newest.
_VERSIONS = ("FIX.4.0", "FIX.4.1", "FIX.4.2", "FIX.4.3", "FIX.4.4")


@dataclass(frozen=True)
class SessionSettings:
    """Settings of one session.

    Parameters:
        begin_string: 8 of both directions.
        sender: our SenderCompID.
        target: our TargetCompID.
        initiator: True: we send the first Logon; False: we wait for it.
        heartbeat: HeartBtInt (108) in seconds that an initiator asks for; 0: no heartbeats. An acceptor takes the
            initiator's.
        reset: an initiator asks for numbers from 1 on with each Logon (141=Y; FIX.4.0 has no 141: only our own
            numbers are reset).
        next_expected: use NextExpectedMsgSeqNum (789; from FIX.4.4 on).
        default_appl_ver: DefaultApplVerID (1137); FIXT.1.1 requires it, other versions do not have it.
        logon_fields: further fields of our Logon, such as 553 and 554.
        authenticate: called with the peer's Logon; a text refuses it with a Logout that says so, None lets it in.
        max_latency: seconds that a message's 52 may be away from our clock (H1); None: not checked.
        logon_timeout: seconds to wait for the peer's Logon.
        logout_timeout: seconds to wait for the answer to a Logout, for the peer to close after ours, and for the
            numbers missing below a Logout that came too early (H4).
        replay_batch: numbers that one call works off when a ResendRequest is answered (H3).
        stale: called with each message of the application that is to be replayed; True: it is gap-filled instead (an
            old order, for example).
        policy, chunk, window, resend_timeout, resend_retries, fraction, early_gap: see
            :class:`tag34.device.SessionConfig`. Here a request is repeated after 10 s without progress unless told
            otherwise.

    Raises ValueError or TypeError, with the offending name, for anything out of range.
    """

    begin_string: str
    sender: str
    target: str
    initiator: bool = True
    heartbeat: int = 30
    reset: bool = False
    next_expected: bool = False
    default_appl_ver: str | None = None
    logon_fields: Fields = ()
    authenticate: Callable[[FixMessage], str | None] | None = None
    max_latency: float | None = 120.0
    logon_timeout: float = 10.0
    logout_timeout: float = 10.0
    replay_batch: int = 64
    stale: Callable[[StoredMessage], bool] | None = None
    policy: Policy = Policy.INFINITY
    chunk: int = 100
    window: int | None = None
    resend_timeout: int = 10_000
    resend_retries: int = 3
    fraction: int | None = None
    early_gap: bool = False

    def __post_init__(self) -> None:
        self.device_config()  # refuses what a device would refuse
        if isinstance(self.heartbeat, bool) or not isinstance(self.heartbeat, int) or self.heartbeat < 0:
            raise ValueError(f"heartbeat must be a whole number of seconds, 0 or more, not {self.heartbeat!r}")
        for name in ("max_latency", "logon_timeout", "logout_timeout"):
            value = getattr(self, name)
            if not (value is None and name == "max_latency") and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be above 0 seconds, not {value!r}")
        if self.replay_batch < 1:
            raise ValueError(f"replay_batch must be at least 1, not {self.replay_batch}")
        if self.next_expected and self.is_before("FIX.4.4"):
            raise ValueError(f"next_expected: {self.begin_string} has no NextExpectedMsgSeqNum (789)")
        if self.begin_string.startswith("FIXT") and not self.default_appl_ver:
            raise ValueError(f"default_appl_ver: {self.begin_string} requires DefaultApplVerID (1137)")
        if self.default_appl_ver and not self.begin_string.startswith("FIXT"):
            raise ValueError(f"default_appl_ver: {self.begin_string} has no DefaultApplVerID (1137)")
        # A copy: settings that serve many connections do not change under them.
        object.__setattr__(self, "logon_fields", as_pairs(self.logon_fields))
        application_fields(self.logon_fields)

    def is_before(self, version: str) -> bool:
        """Whether ``begin_string`` is an older version than ``version``, one of FIX.4.0 to FIX.4.4."""
        return self.begin_string in _VERSIONS[: _VERSIONS.index(version)]

    def device_config(self) -> SessionConfig:
        """The part of the settings that the device works by."""
        return SessionConfig(
            self.begin_string,
            self.sender,
            self.target,
            policy=self.policy,
            chunk=self.chunk,
            window=self.window,
            resend_timeout=self.resend_timeout,
            resend_retries=self.resend_retries,
            fraction=self.fraction,
            early_gap=self.early_gap,
        )
