"""The last bytes that were received, for the few messages that the device judges and does not deliver."""

from __future__ import annotations


class Tail:
    """Bytes of a connection, kept until the device has judged them.

    A device delivers what counts. Of the others (a foreign message, the Logout that refuses a Logon, a duplicate) the
    host sometimes has to say what was wrong with them, and looks them up here by the place that the device reports.

    Parameters: ``limit``, most bytes kept; older ones are given up.
    """

    def __init__(self, limit: int = 65536) -> None:
        self._limit = limit
        self._bytes = bytearray()
        self._start = 0  # offset in the connection of the first byte kept

    def clear(self) -> None:
        """A new connection: offsets start at 0."""
        self._bytes.clear()
        self._start = 0

    def feed(self, data: bytes) -> None:
        """Bytes are handed to the device."""
        self._bytes += data

    def message(self, offset: int, length: int) -> bytes | None:
        """The bytes at ``offset``, None if they are no longer here."""
        at = offset - self._start
        return bytes(self._bytes[at : at + length]) if at >= 0 and at + length <= len(self._bytes) else None

    def trim(self, judged: int) -> None:
        """Everything below offset ``judged`` was judged. Called once the records of all bytes fed were looked at."""
        drop = max(judged - self._start, len(self._bytes) - self._limit)
        if drop > 0:
            del self._bytes[:drop]
            self._start += drop
