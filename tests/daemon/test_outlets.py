from __future__ import annotations

import json
import types
from typing import Any

import pytest

from history_tools import PATIENCE, an_alert, until
from ironpost_core import State
from ironpost_daemon import outlets as outlets_module
from ironpost_daemon.bus import RetryError
from ironpost_daemon.outlets import Outlets
from ironpost_daemon.sinks import JsonlSink
from plugin_tools import the_services


class Accounts:
    def __init__(self) -> None:
        self.sinks: list[str] = []

    def watch_sink(self, name: str, _subscription: Any) -> None:
        self.sinks.append(name)


class FakeSink:
    """A sink that does what its configuration says."""

    def __init__(self, config: Any) -> None:
        self.name, self._config, self.closed = config.name, config, False

    def deliver(self, alert: Any) -> None:
        if self._config.error is not None:
            raise self._config.error

    def close(self) -> None:
        self.closed = True
        if self._config.stuck:
            raise OSError("stuck")


@pytest.fixture
def services(tmp_path):
    with the_services(tmp_path) as services:
        yield services


def fake(name: str, error: Exception | None = None, *, stuck: bool = False) -> Any:
    return types.SimpleNamespace(name=name, error=error, stuck=stuck)


def publish(services: Any, number: int) -> None:
    publisher = services.history.publisher("source")
    assert publisher.publish(an_alert(number))
    assert publisher.settle(PATIENCE)


def test_alerts_reach_a_real_sink_and_all_that_was_stored_is_delivered_at_the_stop(services, tmp_path):
    path, accounts = tmp_path / "alerts.jsonl", Accounts()
    outlets = Outlets([JsonlSink(type="jsonl", path=path)], services.bus, accounts)  # type: ignore[arg-type]
    outlets.start()
    publish(services, 1)
    outlets.stop(PATIENCE)
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["alert-1"]
    assert accounts.sinks == ["sink:jsonl"]


@pytest.mark.parametrize("error", [OSError("unreachable"), RetryError("unreachable", after=3600)])
def test_a_failing_sink_is_degraded_and_keeps_no_other(services, monkeypatch, caplog, error):
    monkeypatch.setattr(outlets_module, "build", FakeSink)
    configs = [fake("bad", error, stuck=True), fake("good")]
    outlets = Outlets(configs, services.bus, Accounts())  # type: ignore[arg-type]
    assert [status.health for status in outlets.statuses()] == [State.HEALTHY] * 2
    outlets.start()
    publish(services, 1)
    until(lambda: next(iter(outlets.statuses())).reason)
    bad, good = outlets.statuses()
    assert (bad.name, bad.health, bad.vital) == ("sink:bad", State.DEGRADED, False)
    assert "unreachable" in bad.reason
    assert (good.name, good.health, good.reason) == ("sink:good", State.HEALTHY, "")
    outlets.stop(PATIENCE)
    assert [sink.closed for sink, _ in outlets._pairs] == [True, True]
    assert "sink bad was not closed: OSError: stuck" in caplog.text


def test_without_sinks_there_is_nothing_to_do(services):
    outlets = Outlets([], services.bus, Accounts())  # type: ignore[arg-type]
    outlets.start()
    assert list(outlets.statuses()) == []
    outlets.stop(0)
