"""A syslog listener on its thread, for tests."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ironpost_core.clock import Clock, SystemClock
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.config import SyslogSource
from ironpost_logpipe.listening import Listener
from ironpost_logpipe.tcp import TcpListener
from ironpost_logpipe.udp import UdpListener

PATIENCE = 10.0


class Running:
    """A listener on its thread."""

    def __init__(self, config: SyslogSource, *, buffer: Buffer | None = None, clock: Clock | None = None) -> None:
        self.buffer = buffer or Buffer(100_000, 64 << 20)
        self.stopping = threading.Event()
        kind = UdpListener if config.protocol == "udp" else TcpListener
        self.listener: Listener = kind(
            config,
            buffer=self.buffer,
            clock=clock or SystemClock(),
            stopping=self.stopping,
            log=logging.getLogger("test"),
        )
        self.thread = threading.Thread(target=self.listener.run)

    def __enter__(self) -> Running:
        self.thread.start()
        self.until(lambda: self.listener.address is not None or bool(self.listener.status.trouble))
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    @property
    def address(self) -> tuple[str, int]:
        assert self.listener.address is not None
        return self.listener.address

    def entry(self, key: str) -> object:
        """A fact of its status."""
        return self.listener.status.entries[0].get(key)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.listener.status
            time.sleep(0.01)

    def lines(self, count: int) -> list[bytes]:
        """The next so many lines."""
        found: list[bytes] = []
        deadline = time.monotonic() + PATIENCE
        while len(found) < count and time.monotonic() < deadline:
            found += [bytes(line) for chunk in self.buffer.take(1000, 0.1) for line in chunk.lines]
        return found
