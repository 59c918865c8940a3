"""Signals only leave a note; the main loop reads the notes."""

from __future__ import annotations

import queue
import signal
from types import FrameType

STOP = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """SIGTERM, SIGINT and SIGHUP as a queue. `SimpleQueue.put` is safe to call within a signal handler."""

    def __init__(self) -> None:
        self._notes: queue.SimpleQueue[int] = queue.SimpleQueue()

    def install(self) -> None:
        """Take the signals over; on the main thread only."""
        for number in (*STOP, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._notes.put(number)

    def wait(self, seconds: float) -> int | None:
        """The next signal, or None when none came within `seconds`."""
        try:
            return self._notes.get(timeout=seconds)
        except queue.Empty:
            return None
