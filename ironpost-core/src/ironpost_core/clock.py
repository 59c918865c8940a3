"""Time as an argument: the real clock here, a fake one in `testing`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from threading import Event
from typing import Protocol


class Clock(Protocol):
    """Where a plugin gets the time from."""

    def now(self) -> datetime:
        """The wall time (UTC)."""

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start."""

    def wait(self, event: Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; whether it is set. The way to sleep in a plugin."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The wall time (UTC)."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start."""
        return time.monotonic()

    def wait(self, event: Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; whether it is set."""
        return event.wait(seconds)
