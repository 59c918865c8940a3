from __future__ import annotations

import platform
from datetime import UTC, datetime
from threading import Event

import pytest

from ironpost_core.metrics import (
    DAEMON_ALERTS_TOTAL,
    DAEMON_PLUGIN_READER_FAILURES_TOTAL,
    DAEMON_PLUGINS_REGISTERED,
    SEVERITIES,
)
from ironpost_daemon.exposition import ShieldedRegistry, render
from ironpost_daemon.own_metrics import DaemonMetrics


class Clock:
    seconds = 100.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, event: Event, seconds: float) -> bool:
        return event.is_set()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def own(clock: Clock) -> DaemonMetrics:
    return DaemonMetrics(clock, version="1.2.3", commit="abc")


def exported(own: DaemonMetrics) -> dict[str, float]:
    return {
        sample.name.removeprefix("ironpost_daemon_")
        + "".join(f"{{{value}}}" for value in sample.labels.values()): sample.value
        for family in own.collect()
        for sample in family.samples
    }


def test_uptime_and_build_are_exported(own: DaemonMetrics, clock: Clock) -> None:
    clock.seconds = 142.0
    found = exported(own)
    assert found["uptime_seconds"] == own.uptime == 42.0
    assert found[f"build_info{{1.2.3}}{{abc}}{{{platform.python_version()}}}"] == 1
    assert found["config_reloads_total{failure}"] == 0
    assert not any("module" in name for name in found)


def test_a_known_module_has_all_its_series_at_zero(own: DaemonMetrics) -> None:
    own.known_module("canary")
    found = exported(own)
    for name in (
        "plugin_up",
        "plugin_restarts_total",
        "alerts_dropped_total",
        "alert_queue_size",
        "alerts_refused_total",
    ):
        assert found[f"{name}{{canary}}"] == 0
    assert {name for name in found if name.startswith("alerts_total{canary}")} == {
        f"alerts_total{{canary}}{{{severity}}}" for severity in SEVERITIES
    }
    assert "sink_failures_total{canary}" not in found


def test_making_a_module_known_again_keeps_its_counts(own: DaemonMetrics) -> None:
    own.known_module("canary")
    own.metrics.counter(DAEMON_ALERTS_TOTAL).labels("canary", "high").inc()
    own.known_module("canary")
    assert exported(own)["alerts_total{canary}{high}"] == 1


def test_a_known_sink_has_its_series_and_no_plugins(own: DaemonMetrics) -> None:
    own.known_sink("jsonl")
    assert {name for name in exported(own) if "{jsonl}" in name and "_created" not in name} == {
        "alerts_dropped_total{jsonl}",
        "alert_queue_size{jsonl}",
        "sink_failures_total{jsonl}",
    }


def test_a_reader_of_no_plugin_has_its_failures_and_nothing_else(own: DaemonMetrics) -> None:
    own.known_reader("system")
    assert {name: value for name, value in exported(own).items() if "{system}" in name and "_created" not in name} == {
        "plugin_reader_failures_total{system}": 0
    }


def test_reader_failures_are_counted(own: DaemonMetrics) -> None:
    own.known_module("canary")
    own.reader_failed("canary", "whatever")
    assert own.metrics.counter(DAEMON_PLUGIN_READER_FAILURES_TOTAL).labels("canary")._value.get() == 1


def test_before_collect_brings_instruments_up_to_date(own: DaemonMetrics) -> None:
    own.before_collect = lambda: own.metrics.gauge(DAEMON_PLUGINS_REGISTERED).set(4)
    assert exported(own)["plugins_registered"] == 4


def test_the_process_is_exported_beside_the_daemon(own: DaemonMetrics) -> None:
    registry = ShieldedRegistry(on_failure=own.reader_failed)
    registry.register(own)
    own.register_process(registry)
    text = render(registry, "")[0].decode()
    assert "process_resident_memory_bytes" in text
    assert "ironpost_daemon_uptime_seconds" in text
    assert "_created" not in text
