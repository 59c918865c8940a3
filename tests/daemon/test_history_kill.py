"""A daemon killed at any moment: what history and responders know afterwards. A real process, a real SIGKILL."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from history_tools import LOG, PATIENCE, a_history, until
from ironpost_core import Alert
from ironpost_core.clock import SystemClock
from ironpost_daemon.bus import Bus

#: Publishes alerts numbered on from the checkpoint, notes what its responder handled, and says when it is at work.
CHILD = """
import sys
from pathlib import Path
from history_tools import LOG, an_alert
from ironpost_core.clock import SystemClock
from ironpost_daemon.bus import Bus
from ironpost_daemon.history import History

folder = Path(sys.argv[1])
clock = SystemClock()
history = History(folder / "h.sqlite", clock=clock, log=LOG, on_stored=lambda alerts: bus.wake(), queue_capacity=500)
history.open()
handled = open(folder / "handled", "a", buffering=1)
bus = Bus(history, clock=clock, log=LOG, replay_max_age=3600, backlog=10**6)
subscription = bus.subscribe("responder", lambda alert: print(alert.id, file=handled), not_from="responder")
history.start()
subscription.start()
alerts = history.publisher("source")
number = int(alerts.last_checkpoint("next") or b"0")
print("ready", flush=True)
while True:
    if alerts.publish(an_alert(number)):
        number += 1
        if number % 7 == 0:
            alerts.checkpoint("next", str(number).encode())
    else:
        alerts.settle(1)
"""


def test_kills_at_random_moments_lose_and_invent_nothing(tmp_path: Path) -> None:
    path, moments = tmp_path / "h.sqlite", random.Random(7)
    for _ in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(Path(__file__).parent.parent)},
        )
        assert child.stdout is not None
        with child, child.stdout:
            assert child.stdout.readline() == b"ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(moments.uniform(0.0, 0.25))
            child.kill()
        with a_history(path, started=False) as history:
            stored = history.read_after(0, 10**6)
            assert [each.alert.id for each in stored] == [f"alert-{n}" for n in range(len(stored))]
            assert [each.number for each in stored] == list(range(1, len(stored) + 1))
            checkpoint = int(history.publisher("source").last_checkpoint("next") or b"0")
            assert checkpoint <= len(stored), "ahead of its alerts, so that some would be lost"
    _finish(tmp_path)


def _finish(folder: Path) -> None:
    """A last, unharmed run delivers what the killed ones could not."""
    handled = set((folder / "handled").read_text().split())

    def note(alert: Alert) -> None:
        handled.add(alert.id)

    with a_history(folder / "h.sqlite") as history:
        bus = Bus(history, clock=SystemClock(), log=LOG, replay_max_age=3600, backlog=10**6)
        subscription = bus.subscribe("responder", note, not_from="responder")
        subscription.start()
        until(lambda: subscription.lag == 0)
        assert bus.stop(PATIENCE)
        assert history.last_number() > 0
        assert handled == {f"alert-{n}" for n in range(history.last_number())}
