"""How many alerts a second the history stores, beside plain sqlite3 executemany of ready rows into the same table.

Run: .venv/bin/python tests/bench/bench_history.py [ALERTS]
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ironpost_core import Alert, Key, Observable, Severity, Trust
from ironpost_core.clock import SystemClock
from ironpost_daemon.history import History
from ironpost_daemon.history_store import open_store, transaction
from ironpost_daemon.write_queue import BATCH

INSERT = "INSERT INTO alerts (id, recorded, plugin, rule, severity, depth, body) VALUES (?, ?, ?, ?, ?, ?, ?)"


def make(count: int) -> list[Alert]:
    """Alerts as the log pipeline raises them."""
    now = datetime.now(UTC)
    line = "Nov  3 10:00:00 web1 sshd[123]: Failed password for invalid user x from 203.0.113.7 port 5022 ssh2"
    seen = [Observable(Key.SOURCE_IP, "203.0.113.7", Trust.LOCAL), Observable(Key.USER, "x", Trust.LOCAL)]
    return [
        Alert(
            rule="sshd-password-guessing",
            title="Password guessing against sshd",
            severity=Severity.HIGH,
            time=now,
            message="5 failed logins from 203.0.113.7 in 60 s",
            count=5,
            tags=("attack.t1110",),
            evidence=(line,),
            observables=seen,
        )
        for _ in range(count)
    ]


def through_history(alerts: Sequence[Alert], folder: Path) -> float:
    """Seconds from the first publish until the last alert is on the disk."""
    history = History(folder / "history", clock=SystemClock(), log=logging.getLogger(), queue_capacity=len(alerts))
    history.open()
    history.start()
    publisher = history.publisher("bench")
    begin = time.perf_counter()
    for alert in alerts:
        publisher.publish(alert)
    assert publisher.settle(600)
    seconds = time.perf_counter() - begin
    assert history.last_number() == len(alerts)
    history.stop(10)
    return seconds


def plainly(alerts: Sequence[Alert], folder: Path, *, encoded: bool) -> float:
    """The same rows by executemany, in transactions of the same size; with `encoded` they are ready before."""
    store = open_store(folder / f"plain-{encoded}")
    ready = [row(alert) for alert in alerts] if encoded else []
    begin = time.perf_counter()
    for start in range(0, len(alerts), BATCH):
        rows = ready[start : start + BATCH] if encoded else [row(alert) for alert in alerts[start : start + BATCH]]
        with transaction(store.connection):
            store.connection.executemany(INSERT, rows)
    seconds = time.perf_counter() - begin
    store.close()
    return seconds


def row(alert: Alert) -> tuple[object, ...]:
    """What is stored of an alert."""
    return alert.id, 0, "bench", alert.rule, 3, alert.depth, alert.to_json()


def main() -> None:
    """Measure and print, three rounds."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    alerts = make(count)
    best = {"history": 0.0, "executemany with encoding": 0.0, "executemany of ready rows": 0.0}
    for _ in range(3):
        with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as name:
            folder = Path(name)
            rates = (
                count / through_history(alerts, folder),
                count / plainly(alerts, folder, encoded=False),
                count / plainly(alerts, folder, encoded=True),
            )
        best = {label: max(best[label], rate) for label, rate in zip(best, rates, strict=True)}
    for label, rate in best.items():
        print(f"{label}: {rate:,.0f} alerts/s")
    print(f"ratio to executemany with encoding: {best['history'] / best['executemany with encoding']:.2f}")
    print(f"ratio to executemany of ready rows: {best['history'] / best['executemany of ready rows']:.2f}")


if __name__ == "__main__":
    main()
