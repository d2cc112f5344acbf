"""States of a session on the host's side, and every transition between them, as one table.

The device keeps the phase by which it judges numbers; these states are about the conversation: who has said Logon and
Logout.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where the conversation stands."""

    DISCONNECTED = "disconnected"  #: no connection
    LOGON_SENT = "logon sent"  #: initiator: our Logon is out
    LOGON_AWAITED = "logon awaited"  #: acceptor: the peer speaks first
    ACTIVE = "active"  #: logged on
    LOGOUT_SENT = "logout sent"  #: we began the Logout, its answer is awaited
    LOGOUT_ANSWERED = "logout answered"  #: the peer began the Logout, it is to close the connection
    CLOSING = "closing"  #: the connection is to be closed; nothing that arrives counts any more


class Cause(Enum):
    """What moves a session from state to state."""

    CALL = "a connection was made"
    ANSWER = "a connection was accepted"
    LOGON = "the peer's Logon was accepted"
    LOGOUT_OUT = "we send the first Logout"
    LOGOUT_IN = "the peer's Logout was delivered"
    GIVE_UP = "the connection is to be closed"
    LOST = "the connection is gone"


_UP = {Cause.GIVE_UP: State.CLOSING, Cause.LOST: State.DISCONNECTED}

#: The whole life of a session. A cause that a state does not list is a mistake of the caller.
TRANSITIONS: dict[State, dict[Cause, State]] = {
    State.DISCONNECTED: {Cause.CALL: State.LOGON_SENT, Cause.ANSWER: State.LOGON_AWAITED},
    State.LOGON_SENT: {Cause.LOGON: State.ACTIVE, **_UP},
    State.LOGON_AWAITED: {Cause.LOGON: State.ACTIVE, **_UP},
    # A Logon in an active session resets the numbers (141=Y).
    State.ACTIVE: {
        Cause.LOGON: State.ACTIVE,
        Cause.LOGOUT_OUT: State.LOGOUT_SENT,
        Cause.LOGOUT_IN: State.LOGOUT_ANSWERED,
        **_UP,
    },
    State.LOGOUT_SENT: {Cause.LOGOUT_IN: State.CLOSING, **_UP},
    State.LOGOUT_ANSWERED: _UP,
    State.CLOSING: {Cause.LOST: State.DISCONNECTED},
}

#: Waiting for the peer's Logon.
LOGGING_ON = frozenset({State.LOGON_SENT, State.LOGON_AWAITED})
#: Logged on, the Logout's exchange included: messages are delivered, requests served, heartbeats kept up.
LOGGED_ON = frozenset({State.ACTIVE, State.LOGOUT_SENT, State.LOGOUT_ANSWERED})


def successor(state: State, cause: Cause) -> State:
    """The state after ``cause``. Raises RuntimeError where the table has none."""
    try:
        return TRANSITIONS[state][cause]
    except KeyError:
        raise RuntimeError(f"session is {state.value}: cannot handle that {cause.value}") from None
