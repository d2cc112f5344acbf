"""What leaves a session: live messages, answers to ResendRequests between them, and the store of both (H3, H6)."""

from __future__ import annotations

from collections import deque

from .clock import Instant, format_utc
from .device import Device, SentRecord
from .events import Event, ReplayDone, Sent
from .replay import ReplayQueue, Step, gap_fill
from .settings import SessionSettings
from .store import MessageStore, StoredMessage


class Outbox:
    """The way out of one session.

    Parameters: ``device``, ``index``, ``settings``, ``store`` as in :class:`tag34.session.Session`.

    Live messages do not interleave with a replay: they wait for its end, but for heartbeats, which would come too
        late. A replay goes out
    in batches, so that a long one neither holds up the caller nor fills its memory.

    Members: ``paused``, set while the connection takes no more bytes: replays stand still.
    """

    def __init__(self, device: Device, index: int, settings: SessionSettings, store: MessageStore) -> None:
        self.paused = False
        self._device = device
        self._index = index
        self._settings = settings
        self._store = store
        self._replay = ReplayQueue()
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._bytes: list[bytes] = []
        self._unsynced = False
        config = settings.device_config()
        self._fraction = config.fraction_digits
        # What 8, 9, 35, 49, 56, 34, 52 and 10 take, and 43 and 122 of a replay; the fraction of a time has its point.
        frame = len("8=|9=123456|35=|49=|56=|34=1234567890|52=YYYYMMDD-HH:MM:SS|10=000|43=Y|122=YYYYMMDD-HH:MM:SS|")
        names = len(config.begin_string) + len(config.sender) + len(config.target)
        self._space = device.info.max_message - frame - names - 2 * (self._fraction + 1)

    @property
    def busy(self) -> bool:
        """Whether a ResendRequest is not answered to its end."""
        return self._replay.busy

    def check_size(self, msg_type: str, fields: bytes) -> None:
        """Raise ValueError if a message is too long to be sent, and sent again, by this device."""
        space = self._space - len(msg_type)
        if len(fields) > space:
            raise ValueError(f"the fields have {len(fields)} bytes, a message of this device has room for {space}")

    def say(self, msg_type: str, fields: bytes, *, urgent: bool = False) -> None:
        """Send a live message, behind a replay under way unless it is ``urgent``."""
        if self.busy and not urgent:
            self._waiting.append((msg_type, fields))
        else:
            self._device.send(self._index, msg_type, fields)

    def request(self, begin: int, end: int) -> None:
        """The peer asks for ``begin`` to ``end``, all of them sent before."""
        self._replay.add(begin, end)

    def serve(self, now: Instant) -> list[Event]:
        """Go on with the answers by one batch; live messages that waited leave between two of them.

        Return what was completed.
        """
        done: list[Event] = []
        for _ in range(self._settings.replay_batch):
            if not self._replay.start(self._store, self._settings.stale, format_utc(now.utc_ns, self._fraction)):
                break
            step = self._replay.step()
            if step is not None:
                self._send_again(step, now)
            elif not self._replay.active:
                done.append(ReplayDone(self._replay.begin, self._replay.end, self._replay.filled))
                self._release()
        return done

    def abandon_replay(self) -> None:
        """Numbers were reset: what the peer asked for is no more. What waited behind it leaves now."""
        self._replay.clear()
        self._release()

    def _release(self) -> None:
        while self._waiting:
            self._device.send(self._index, *self._waiting.popleft())

    def _send_again(self, step: Step, now: Instant) -> None:
        try:
            self._device.send(self._index, step.msg_type, step.fields, seq=step.seq)
        except ValueError:
            # A store can hold a message that an earlier device had room for and this one has not.
            filled = gap_fill(step.seq, step.next, format_utc(now.utc_ns, self._fraction))
            self._device.send(self._index, filled.msg_type, filled.fields, seq=filled.seq)

    def sent(self, record: SentRecord) -> Sent:
        """A message left the composer: into the store, unless it is there already, and behind the bytes to write."""
        if not record.replay:
            self._store.save_sent(StoredMessage(record.seq, record.sending_time, record.msg_type, record.data))
            self._unsynced = True
        self._bytes.append(record.data)
        return Sent(record.seq, record.msg_type, record.data, record.replay, record.device, record.cycle)

    def data_to_send(self) -> bytes:
        """The bytes to write now; the store is synced before."""
        if self._unsynced:
            self._store.sync()
            self._unsynced = False
        data = b"".join(self._bytes)
        self._bytes.clear()
        return data

    def drop_backlog(self) -> None:
        """Forget what waits: requests of the peer and live messages behind them."""
        self._replay.clear()
        self._waiting.clear()

    def clear(self) -> None:
        """A new connection: nothing of the old one leaves any more."""
        self.drop_backlog()
        self._bytes.clear()
        self.paused = False
