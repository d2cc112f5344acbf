"""A host and a venue that trade over a board whose link may fail at any time: the invariant of the demo, for both."""

from __future__ import annotations

import random
from collections.abc import Callable

from tag34 import Device, DeviceError, Event, Instant, MemoryStore, Message, Session, SessionSettings, open_device
from tag34.message import FixMessage
from tag34_sim.board_chaos import HostDied
from tests.host.bench import START, split

HOST = SessionSettings("FIX.4.4", "TAG34", "VENUE", heartbeat=0)
VENUE = SessionSettings("FIX.4.4", "VENUE", "TAG34", heartbeat=0, initiator=False)

#: Rounds of trade in which all is done: far above what any life takes.
ROUNDS = 500


class Life:
    """Reports of the venue (35=8) and orders of the host (35=D), over as many connections as it takes.

    The venue stands on the golden model and never fails. The host opens its device, trades, and when it fails loses
    all but its store, and begins again: reports that its application has not looked at yet are lost, too. Between the
    two are connections that lose a report now and then, as the relay of the demo does.

    Parameters:
        rng: decides how they trade.
        opened: opens the host's device.
        clock: seconds.
        reports, orders: how many.
        restarts: how often the host may fail.

    Members:
        taken, filled: what the two applications were given, as it came.
        failures: when and how the host has failed.
        lost: reports that the connection has lost.
    """

    def __init__(
        self,
        rng: random.Random,
        opened: Callable[[], Device],
        clock: Callable[[], float],
        *,
        reports: int = 30,
        orders: int = 10,
        restarts: int = 0,
    ):
        self._rng, self._opened, self._clock = rng, opened, clock
        self._reports, self._orders, self._restarts = reports, orders, restarts
        self._reported = self._rounds = 0
        self._store = MemoryStore()
        self._venue = Session(open_device("model:"), 0, VENUE)
        self._host: Session
        self._inbox: list[Message] = []
        self.taken: list[int] = []
        self.filled: list[int] = []
        self.failures: list[tuple[float, str]] = []
        self.lost = 0

    def play(self) -> None:
        """All of it. Every report and every order has to arrive once and in order; a failure has to be told in a
        line."""
        while True:
            try:
                self._connection()
                break
            except (DeviceError, HostDied) as error:
                self.failures.append((self._clock(), str(error)))
                assert len(self.failures) <= self._restarts, self.failures
            finally:
                self._venue.data_to_send()
                self._venue.connection_lost(self._now())
        assert self.taken == list(range(1, self._reports + 1))
        assert self.filled == list(range(1, self._orders + 1))

    def _connection(self) -> None:
        device = self._opened()
        self._host = Session(device, 0, HOST, self._store)
        self._inbox.clear()
        self._venue.connect(self._now())
        self._take(self._host.connect(self._now()))
        self._exchange()
        while len(self.taken) < self._reports or len(self.filled) < self._orders:
            assert self._host.logged_on
            self._rounds += 1
            assert self._rounds < ROUNDS, f"it goes on without end: {self.taken}, {self.filled}"
            for _ in range(min(self._rng.randrange(1, 5), self._reports - self._reported)):
                self._reported += 1
                self._venue.send("8", {17: self._reported, 58: self._text()}, self._now())
            order = self._stored() + 1
            if order <= self._orders:
                self._take(self._host.send("D", {11: order, 58: self._text()}, self._now()))
            self._exchange()
            if self._rng.random() < 0.5:
                self._look()
        self._take(self._host.logout(self._now()))
        self._exchange()
        device.close()

    def _exchange(self) -> None:
        """Until nobody has anything to say."""
        while True:
            to_venue = self._host.data_to_send()
            if to_venue:
                self._fill(self._venue.bytes_received(to_venue, self._now()))
            while self._venue.replaying:
                self._fill(self._venue.continue_replay(self._now()))
            to_host = self._carried(self._venue.data_to_send())
            if to_host:
                self._take(self._host.bytes_received(to_host, self._now()))
            while self._host.replaying:
                self._take(self._host.continue_replay(self._now()))
            if not to_venue and not to_host:
                return

    def _carried(self, data: bytes) -> bytes:
        """What the connection does not lose: the last report shows that one before it is missing."""
        kept = [message for message in split(data) if not self._loses(message)]
        return b"".join(message.raw for message in kept)

    def _loses(self, message: FixMessage) -> bool:
        may = message[35] == "8" and message.get(43) != "Y" and message[17] != str(self._reports)
        loses = may and self._rng.random() < 0.2
        self.lost += loses
        return loses

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Message):
                assert event.msg_type == "8", event
                self._inbox.append(event)

    def _look(self) -> None:
        for message in self._inbox:
            self.taken.append(int(message.view[17]))
            self._host.acknowledge(message)
        self._inbox.clear()

    def _fill(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Message):
                assert event.msg_type == "D", event
                self.filled.append(int(event.view[11]))
                self._venue.acknowledge(event)

    def _stored(self) -> int:
        """Orders that are on their way or there: what an application knows when it comes back."""
        orders = [message for message in self._store.messages(1, self._store.next_out) if message.msg_type == "D"]
        return int(FixMessage(orders[-1].raw)[11]) if orders else 0

    def _text(self) -> str:
        return "x" * self._rng.randrange(1, 200)

    def _now(self) -> Instant:
        return Instant(START.utc_ns + round(self._clock() * 1e9), self._clock())
