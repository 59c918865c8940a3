"""The bounded buffer between the sources and the matcher, and the one book that is kept of all lines.

One lock guards both, so that collected = processed + parse errors + dropped + buffered whenever anybody looks.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Literal, Protocol, TypeAlias

import attrs

from ironpost_logpipe.chunks import Chunk

DropPolicy: TypeAlias = Literal["oldest", "newest"]


@attrs.define(kw_only=True)
class Tally:
    """The book: all of it is monotonic but `buffered`, the lines that wait or are being worked on."""

    collected: int = 0
    processed: int = 0
    parse_errors: dict[str, int] = attrs.field(factory=dict)
    dropped: int = 0
    buffered: int = 0
    matches: int = 0
    alerts: int = 0
    refused: int = 0


@attrs.define
class Result:
    """What became of a batch; added to the book when it is done."""

    processed: int = 0
    parse_errors: dict[str, int] = attrs.field(factory=dict)
    matches: int = 0
    alerts: int = 0
    refused: int = 0

    def add_errors(self, format_: str, count: int) -> None:
        """Note lines that their format's parser refused."""
        if count:
            self.parse_errors[format_] = self.parse_errors.get(format_, 0) + count


class Taker(Protocol):
    """What sources that can wait hand their chunks to: the buffer, or something in between."""

    def put(self, chunk: Chunk, timeout: float) -> bool:
        """Take a chunk; False when there was no room for it in `timeout` seconds, and it is to be offered again."""


class Buffer:
    """Chunks on their way. Files wait for room (`put`), what can't wait is dropped by the policy (`offer`).

    Files get at most half of the room, so that a large one can't crowd out datagrams, and half as many bytes of their
    own, because their lines may be long.
    """

    def __init__(self, capacity: int, size: int, policy: DropPolicy = "oldest") -> None:
        self._capacity = capacity
        self._size = size
        self._policy = policy
        self._files: deque[Chunk] = deque()
        self._live: deque[Chunk] = deque()
        self._file_lines = 0
        self._file_size = 0
        self._live_lines = 0
        self._live_size = 0
        self._in_flight = 0
        self._tally = Tally()
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._drained = threading.Condition(self._lock)

    def resize(self, capacity: int, size: int, policy: DropPolicy) -> None:
        """Take new bounds; what waits already stays."""
        with self._lock:
            self._capacity, self._size, self._policy = capacity, size, policy

    def put(self, chunk: Chunk, timeout: float) -> bool:
        """Add a chunk of a source that can wait; False when there was no room for it in `timeout` seconds."""
        size = _size(chunk)
        with self._lock:
            if not self._drained.wait_for(lambda: self._room_for_file(len(chunk), size), timeout):
                return False
            self._files.append(chunk)
            self._file_lines += len(chunk)
            self._file_size += size
            self._tally.collected += len(chunk)
            self._filled.notify()
            return True

    def _room_for_file(self, lines: int, size: int) -> bool:
        # A chunk larger than the room there is at all goes in alone, or it would wait for ever.
        fits = self._file_lines + lines <= self._capacity // 2 and self._file_size + size <= self._size // 2
        return fits or not self._file_lines

    def offer(self, chunk: Chunk) -> None:
        """Add a chunk of a source that can't wait; what there is no room for is dropped and counted."""
        with self._lock:
            self._tally.collected += len(chunk)
            if self._policy == "oldest":
                self._make_room(chunk)
            kept = self._fitting(chunk)
            self._tally.dropped += len(chunk) - len(kept)
            if kept:
                self._live.append(kept)
                self._live_lines += len(kept)
                self._live_size += _size(kept)
                self._filled.notify()

    def _free(self) -> tuple[int, int]:
        return self._capacity - self._file_lines - self._live_lines, self._size - self._live_size

    def _make_room(self, chunk: Chunk) -> None:
        size = _size(chunk)
        while self._live and (self._free()[0] < len(chunk) or self._free()[1] < size):
            oldest = self._live.popleft()
            self._live_lines -= len(oldest)
            self._live_size -= _size(oldest)
            self._tally.dropped += len(oldest)

    def _fitting(self, chunk: Chunk) -> Chunk:
        lines, size = self._free()
        if len(chunk) <= lines and _size(chunk) <= size:
            return chunk
        count = 0
        for line in chunk.lines[: max(lines, 0)]:
            size -= len(line)
            if size < 0:
                break
            count += 1
        return chunk.first(count)

    def take(self, limit: int, timeout: float, linger: float = 0.0) -> list[Chunk]:
        """The next chunks, about `limit` lines or one chunk at least; none when there were none in `timeout` seconds.

        Args:
            limit: how many lines make a batch.
            timeout: how long to wait for a first chunk.
            linger: how long to wait then for the batch to fill.
        """
        with self._lock:
            if not self._filled.wait_for(lambda: bool(self._files or self._live), timeout):
                return []
            if linger and self._waiting() < limit:
                self._filled.wait_for(lambda: self._waiting() >= limit, linger)
            batch: list[Chunk] = []
            lines = 0
            while lines < limit and (self._files or self._live):
                for chunk in self._next():
                    batch.append(chunk)
                    lines += len(chunk)
            self._in_flight += lines
            self._drained.notify_all()
            return batch

    def _waiting(self) -> int:
        return self._file_lines + self._live_lines

    def _next(self) -> list[Chunk]:
        """One chunk of each kind, so that neither waits for the other."""
        found = []
        if self._live:
            found.append(self._live.popleft())
            self._live_lines -= len(found[0])
            self._live_size -= _size(found[0])
        if self._files:
            found.append(self._files.popleft())
            self._file_lines -= len(found[-1])
            self._file_size -= _size(found[-1])
        return found

    def done(self, result: Result) -> None:
        """Enter a result into the book; its lines are no longer in the buffer."""
        with self._lock:
            tally = self._tally
            tally.processed += result.processed
            tally.matches += result.matches
            tally.alerts += result.alerts
            tally.refused += result.refused
            self._in_flight -= result.processed
            for format_, count in result.parse_errors.items():
                tally.parse_errors[format_] = tally.parse_errors.get(format_, 0) + count
                self._in_flight -= count

    def abandon(self) -> int:
        """Count what was being worked on as dropped, after the matcher failed on it; how many lines."""
        with self._lock:
            lost, self._in_flight = self._in_flight, 0
            self._tally.dropped += lost
            return lost

    def tally(self) -> Tally:
        """A copy of the book, consistent in itself."""
        with self._lock:
            return attrs.evolve(
                self._tally,
                parse_errors=dict(self._tally.parse_errors),
                buffered=self._waiting() + self._in_flight,
            )


def _size(chunk: Chunk) -> int:
    return sum(map(len, chunk.lines))
