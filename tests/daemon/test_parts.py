"""What `Parts` adds to its parts; the daemon's whole life is in test_daemon."""

from __future__ import annotations

from typing import Any

import pytest

from daemon_process import free_port
from history_tools import an_alert, until
from ironpost_core import State
from ironpost_core.clock import SystemClock
from ironpost_daemon.configuration import complete, read
from ironpost_daemon.parts import Parts


@pytest.fixture
def configured(tmp_path):
    def configured(text: str = "") -> Any:
        path = tmp_path / "ironpost.toml"
        folders = f'[general]\ndata_dir = "{tmp_path}/data"\nrun_dir = "{tmp_path}/run"\n'
        path.write_text(f"{folders}[metrics]\nport = {free_port()}\n{text}")
        return complete(path, read(path, plugins=[], environ={}))

    return configured


@pytest.fixture
def parts():
    parts = Parts(SystemClock(), {}, reload=dict)
    yield parts
    parts.stop()


def test_before_it_is_started(parts):
    status = parts.status()
    assert (status.ready, status.metrics_url, status.plugins, status.parts) == (False, None, (), ())
    assert status.health is State.UNHEALTHY


def test_each_part_tells_how_it_is(parts, configured, tmp_path):
    sink = f'[[alerts.sinks]]\ntype = "jsonl"\npath = "{tmp_path}/alerts.jsonl"\n'
    parts.start(configured(sink))
    status = parts.status()
    assert {part.name: (part.health, part.vital) for part in status.parts} == {
        "history": (State.HEALTHY, True),
        "sink:jsonl": (State.HEALTHY, False),
    }
    assert status.ready
    assert parts._works()
    assert status.metrics_url is not None
    assert status.metrics_url.endswith("/metrics")


def test_a_part_whose_health_changes_is_logged_once_each_way(parts, configured, tmp_path, caplog):
    caplog.set_level("INFO", "ironpost.daemon")
    parts.start(configured())
    (tmp_path / "data" / "history.sqlite").rename(tmp_path / "elsewhere")
    for _ in range(2):
        assert parts.status().health is State.UNHEALTHY
    (tmp_path / "elsewhere").rename(tmp_path / "data" / "history.sqlite")
    parts.status()
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("history is")]
    assert [text.partition(":")[0] for text in said] == ["history is unhealthy", "history is healthy"]


def test_the_folders_are_made_for_the_daemon_alone(parts, configured, tmp_path):
    parts.start(configured())
    for folder in ("data", "run", "data/plugins"):
        assert (tmp_path / folder).stat().st_mode & 0o777 == 0o700


def test_a_stop_twice_stops_once(parts, configured):
    stopped: list[int] = []
    parts.start(configured())
    parts._exits.append(lambda: stopped.append(1))
    parts.stop()
    parts.stop()
    assert stopped == [1]


def test_the_service_manager_hears_of_a_reload_and_its_end(parts, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(parts._notifier, "reloading", lambda: said.append("reloading"))
    monkeypatch.setattr(parts._notifier, "ready", lambda *_: said.append("ready"))
    with pytest.raises(KeyError), parts.reload_said():
        raise KeyError
    assert said == ["reloading", "ready"]


def test_alerts_stored_are_counted_and_wake_the_sinks(parts, configured, tmp_path):
    path = tmp_path / "alerts.jsonl"
    parts.start(configured(f'[[alerts.sinks]]\ntype = "jsonl"\npath = "{path}"\n'))
    assert parts.services.history.publisher("canary").publish(an_alert(1))
    until(lambda: path.exists() and "alert-1" in path.read_text())
    value = parts._registry.get_sample_value("ironpost_daemon_alerts_total", {"module": "canary", "severity": "high"})
    assert value == 1
