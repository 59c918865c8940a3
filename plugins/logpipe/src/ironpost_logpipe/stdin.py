"""The standard-input source."""

from __future__ import annotations

import os
import select
import sys
from threading import Event

from ironpost_core.alerts import Trust
from ironpost_core.clock import Clock
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.chunks import MAX_LINE, Chunk, Source
from ironpost_logpipe.config import StdinSource
from ironpost_logpipe.status import Status

_BLOCK = 64 << 10
_WAIT = 0.25


class StdinReader:
    """Reads a descriptor to its end. Its lines can't be read again, but they can wait: nothing is dropped."""

    def __init__(
        self, config: StdinSource, *, buffer: Buffer, clock: Clock, stopping: Event, descriptor: int = 0
    ) -> None:
        self._source = Source(name="stdin", trust=Trust(config.trust), format=config.format)
        self._buffer = buffer
        self._clock = clock
        self._stopping = stopping
        self._descriptor = descriptor
        self._rest = b""
        self._cutting = False
        self.status = Status(config.name or "stdin", entries=[{"source": "stdin", "state": "reading"}])

    def run(self) -> None:
        """Read up to the end; on a supervised thread."""
        if self._descriptor == 0 and sys.stdin is None:
            # Closed when we were started, so that the descriptor is by now some other file's.
            self.status.trouble = "standard input is closed: pipe something into the daemon, or leave the source out"
            self.status.entries = [{"source": "stdin", "state": "closed"}]
            return
        while not self._stopping.is_set():
            if not _readable(self._descriptor):
                continue
            data = os.read(self._descriptor, _BLOCK)
            if not data:
                self._hand_over([self._rest] if self._rest else [])
                self._rest = b""
                self.status.entries = [{"source": "stdin", "state": "at its end"}]
                return
            self._take(data)

    def _take(self, data: bytes) -> None:
        *lines, rest = (self._rest + data).split(b"\n")
        if self._cutting and lines:
            del lines[0]  # the rest of a line whose beginning was taken already
            self._cutting = False
        if self._cutting:
            rest = b""
        elif len(rest) >= MAX_LINE:
            lines.append(rest[:MAX_LINE])
            rest, self._cutting = b"", True
        self._rest = rest
        self._hand_over(lines)

    def _hand_over(self, lines: list[bytes]) -> None:
        if not lines:
            return
        chunk = Chunk(self._source, lines, self._clock.now().timestamp())
        while not self._stopping.is_set() and not self._buffer.put(chunk, _WAIT):
            pass


def _readable(descriptor: int) -> bool:
    if sys.platform == "win32":
        return True  # select() knows only sockets there, so the read itself waits
    return bool(select.select([descriptor], [], [], _WAIT)[0])
