"""What tests of the history, the bus and the sinks share."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ironpost_core import Alert, Key, Observable, Severity, Trust
from ironpost_core.clock import SystemClock
from ironpost_daemon.history import History

#: Seconds after which something that should have happened is given up.
PATIENCE = 30.0
LOG = logging.getLogger("ironpost.test")


def an_alert(number: int = 0, **changes: Any) -> Alert:
    """An alert whose id is its number."""
    given: dict[str, Any] = {
        "id": f"alert-{number}",
        "rule": "sshd-password-guessing",
        "title": "Password guessing",
        "severity": Severity.HIGH,
        "time": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "message": "5 failed logins from 203.0.113.7",
        "observables": [Observable(Key.SOURCE_IP, "203.0.113.7", Trust.LOCAL)],
    }
    return Alert(**(given | changes))


def until(condition: Callable[[], object], meanwhile: Callable[[], object] = lambda: None) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        meanwhile()
        time.sleep(0.002)


@contextlib.contextmanager
def a_history(path: Path, *, started: bool = True, **options: Any) -> Iterator[History]:
    """An open history, stopped in the end."""
    given: dict[str, Any] = {"clock": SystemClock(), "log": LOG} | options
    history = History(path, **given)
    history.open()
    if started:
        history.start()
    try:
        yield history
    finally:
        history.stop(PATIENCE)


def ids(found: Any) -> list[str]:
    """The ids of stored alerts."""
    return [stored.alert.id for stored in found]
