"""A plugin from outside, installed beside wheels of ironpost in a fresh environment, needs no change to ironpost."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon_process import DaemonProcess

ATTACKER = "203.0.113.66"
CONFIG = """
[[log_pipeline.sources]]
type = "file"
paths = ["{log}"]
start = "beginning"

[canary]
song = "cheep"
"""
FAILED = "sshd[4242]: Failed password for root from {address} port {port} ssh2"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "auth.log"
    path.touch()
    return path


@pytest.fixture
def daemon(tmp_path: Path, log: Path, installation) -> Iterator[DaemonProcess]:
    with DaemonProcess(tmp_path / "home", CONFIG.format(log=log), python=installation.python) as daemon:
        yield daemon


def attack(log: Path) -> None:
    now = datetime.now(UTC).astimezone()
    stamp = now.strftime("%b ") + f"{now.day:2}" + now.strftime(" %H:%M:%S")
    with log.open("a", encoding="utf-8") as file:
        for port in range(5000, 5020):
            file.write(f"{stamp} web1 {FAILED.format(address=ATTACKER, port=port)}\n")


def test_is_discovered_and_its_metric_is_there_at_zero(daemon):
    assert daemon.metrics()["ironpost_canary_alerts_heard_total"] == 0
    listed = {plugin["name"]: plugin for plugin in daemon.ironpost_json("plugins")}
    assert listed["canary"]["distribution"] == "ironpost-plugin-canary"
    assert listed["canary"]["version"] == "1.0"
    assert listed["canary"]["life"] == "running"
    assert listed["canary"]["health"] == "healthy"
    assert daemon.metrics()['ironpost_daemon_plugin_up{module="canary"}'] == 1


def test_runs_from_the_wheels_and_not_from_the_source(daemon, installation):
    where = Path(f"/proc/{daemon.pid}/cmdline").read_text().split("\0")[0]
    assert where == str(installation.python)
    code = "import ironpost_core, ironpost_daemon, ironpost_canary as c; print(c.__file__, ironpost_daemon.__file__)"
    done = subprocess.run([installation.python, "-c", code], capture_output=True, text=True, cwd="/", env=daemon.env)
    assert all(path.startswith(str(installation.folder)) for path in done.stdout.split()), done


def test_answers_an_alert_of_the_log_pipeline_and_never_hears_itself(daemon, log):
    attack(log)

    def stored() -> dict[str, list[dict]]:
        found = daemon.ironpost_json("alerts")
        by_plugin = {name: [a for a in found if a["plugin"] == name] for name in ("logpipe", "canary")}
        return by_plugin if by_plugin["canary"] else {}

    by_plugin = daemon.until(stored, "the canary sings")
    (first,), (answer,) = by_plugin["logpipe"], by_plugin["canary"]
    assert first["observables"]["source_ip"]["value"] == ATTACKER
    assert (first["depth"], first["cause"]) == (0, None)
    assert answer["rule"] == "canary-sang"
    assert answer["title"] == "Canary: cheep"
    assert (answer["depth"], answer["cause"]) == (1, first["id"])
    assert daemon.metrics()["ironpost_canary_alerts_heard_total"] == 1
    assert json.loads(daemon.ironpost("canary").stdout) == {"song": "cheep", "heard": [first["id"]]}


def test_its_command_is_in_the_help_and_works(daemon):
    help_text = daemon.ironpost("--help").stdout
    assert re.search(r"^  canary +Sing when something serious happens", help_text, re.MULTILINE)
    done = daemon.ironpost("canary", "--times", "2")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"song": "cheep cheep", "heard": []}


def test_its_section_is_checked_like_any_other(daemon):
    text = daemon.config.read_text().replace('song = "cheep"', "sing = 5")
    daemon.config.write_text(text, encoding="utf-8")
    done = daemon.ironpost("config", "validate")
    assert done.returncode == 78
    assert "canary.sing" in done.stderr
    assert "song" in done.stderr


def test_without_one_of_the_four_there_are_three(tmp_path, installation, wheels):
    series = "ironpost_daemon_plugins_registered"
    installation.uninstall("ironpost-plugin-canary")
    try:
        with DaemonProcess(tmp_path / "four", python=installation.python) as daemon:
            assert daemon.metrics()[series] == 4
        installation.uninstall("ironpost-plugin-guard")
        with DaemonProcess(tmp_path / "three", python=installation.python) as daemon:
            metrics = daemon.metrics()
            assert metrics[series] == 3
            assert not [name for name in metrics if name.startswith("ironpost_container_guard")]
            assert daemon.terminate() == 0
    finally:
        installation.install("--no-index", "--offline", wheels["guard"], wheels["outside"])
