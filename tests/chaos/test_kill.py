"""SIGKILL at random moments at full replay speed: the history ends equal to an uninterrupted run's, nothing is missed.

`make torture` does it a hundred times (IRONPOST_KILLS).
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon_process import DaemonProcess, not_started
from ironpost_daemon.demo_log import lines

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))
import itertools

from zoo.site import write_distribution

KILLS = int(os.environ.get("IRONPOST_KILLS", "20"))
LINES_A_ROUND = 120_000  # more than is read until the next kill
SEED = 20261123
#: Seconds after readiness; positions are stored at most once a second, so some kills come before and some after one.
LATEST_KILL = 1.4

RESPONDER = """
import os

class WitnessPlugin(Plugin):
    '''Writes down the id of each alert that reaches it, durably, before it returns.'''

    def ironpost_start(self, context):
        self.file = open(context.state_dir / "seen", "ab", buffering=0)

    def ironpost_alert(self, alert):
        self.file.write(alert.id.encode() + b"\\n")

    def ironpost_stop(self):
        self.file.close()
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    write_distribution(
        folder,
        "ironpost-plugin-witness",
        "witness_plugin",
        RESPONDER,
        plugins={"witness": "witness_plugin:WitnessPlugin"},
    )
    return folder


def portions(count: int) -> Iterator[bytes]:
    """The replayed log in as many parts; one day's attackers in each, so that thresholds are half filled anywhere."""
    for number in range(count):
        start = datetime(2026, 1, 1 + number % 28, tzinfo=UTC)
        text = "".join(f"{line}\n" for line in lines(SEED + number, start, LINES_A_ROUND))
        yield text.encode("utf-8", "surrogateescape")


def config(log: Path) -> str:
    return f'[[log_pipeline.sources]]\ntype = "file"\npaths = ["{log}"]\nstart = "beginning"\n'


def daemon(folder: Path, log: Path, site: Path) -> DaemonProcess:
    return DaemonProcess(folder, config(log), env={"PYTHONPATH": str(site)})


def history(process: DaemonProcess) -> list[tuple[object, ...]]:
    """Every alert as it is stored, in the order of its number."""
    connection = sqlite3.connect(process.data_dir / "history.sqlite")
    try:
        return connection.execute("SELECT id, body FROM alerts ORDER BY number").fetchall()
    finally:
        connection.close()


def read_to_the_end(process: DaemonProcess, log: Path) -> None:
    """Wait until the position stands at the end of the file and every alert has reached the responder."""
    size = log.stat().st_size

    def done() -> bool:
        details = {plugin["name"]: plugin for plugin in process.ironpost_json("plugins")}["logpipe"]["details"]
        values = process.metrics()
        idle = values["ironpost_log_pipeline_buffer_size"] == 0
        waiting = values.get('ironpost_daemon_alert_queue_size{module="witness"}', 1)
        at_end = any(source.get("position") == size for source in details["sources"])
        return idle and at_end and not waiting

    process.until(done, f"{log} is read to its end at {size}", timeout=120)


@pytest.mark.timeout(600 + 30 * KILLS)
def test_history_survives_kills(tmp_path: Path, site: Path) -> None:
    log = tmp_path / "auth.log"
    log.touch()
    dice = random.Random(SEED)
    with not_started(tmp_path / "killed", config(log), env={"PYTHONPATH": str(site)}) as killed:
        seen_after_kill = []
        for portion in portions(KILLS):
            with log.open("ab") as file:
                file.write(portion)
            killed.start()
            time.sleep(dice.uniform(0, LATEST_KILL))
            killed.kill()
            seen_after_kill.append(len(history(killed)))
        killed.start()
        read_to_the_end(killed, log)
        assert killed.terminate() == 0
        assert "took over" in killed.log or "stale" in killed.log, (
            "the PID file of a killed daemon is taken over, and said"
        )
        result = history(killed)
        seen = (killed.data_dir / "plugins" / "witness" / "seen").read_text().split()
    with not_started(tmp_path / "whole", config(log), env={"PYTHONPATH": str(site)}) as whole:
        whole.start()
        read_to_the_end(whole, log)
        assert whole.terminate() == 0
        expected = history(whole)
    grown = sum(later > earlier for earlier, later in itertools.pairwise(seen_after_kill))
    assert grown > KILLS // 3, f"the kills came too early to interrupt anything: {seen_after_kill}"
    assert len(expected) > KILLS
    assert [row[0] for row in result] == [row[0] for row in expected]
    assert result == expected
    assert {row[0] for row in expected} <= set(seen)
