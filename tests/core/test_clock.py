from __future__ import annotations

import threading
from datetime import UTC, datetime

from ironpost_core.clock import Clock, SystemClock


def test_the_machines_clock():
    clock: Clock = SystemClock()
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


def test_waiting_says_whether_the_event_is_set():
    event = threading.Event()
    assert SystemClock().wait(event, 0.001) is False
    event.set()
    assert SystemClock().wait(event, 60) is True
