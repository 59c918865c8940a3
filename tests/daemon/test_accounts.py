from __future__ import annotations

import types
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from history_tools import an_alert
from ironpost_core import Severity
from ironpost_core.testing import FakeClock
from ironpost_daemon.accounts import Accounts
from ironpost_daemon.own_metrics import DaemonMetrics
from ironpost_daemon.status import Life


class Kit:
    def __init__(self) -> None:
        self.metrics = DaemonMetrics(FakeClock(), version="1", commit="c")
        self.accounts = Accounts(self.metrics)
        self.metrics.before_collect = self.accounts.take_over
        self.registry = CollectorRegistry()
        self.registry.register(self.metrics)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"ironpost_daemon_{name}", labels)


@pytest.fixture
def kit():
    return Kit()


def a_subscription(name: str, **numbers: Any) -> Any:
    return types.SimpleNamespace(**({"name": name, "lag": 0, "dropped": 0, "failures": 0} | numbers))


def test_registered_are_all_that_have_not_failed(kit):
    for plugin, life in [("a", Life.INITIALISED), ("b", Life.DISABLED), ("c", Life.FAILED), ("a", Life.RUNNING)]:
        kit.accounts.life_changed(plugin, life)
    assert (kit("plugins_registered"), kit("plugin_up", module="b"), kit("plugin_up", module="c")) == (2, 1, 0)
    kit.accounts.life_changed("a", Life.FAILED)
    kit.accounts.life_changed("b", Life.STOPPED)
    assert (kit("plugins_registered"), kit("plugin_up", module="a"), kit("plugin_up", module="b")) == (1, 0, 1)


def test_a_plugins_series_are_there_before_anything_happened(kit):
    assert kit("plugin_restarts_total", module="a") is None
    kit.accounts.life_changed("a", Life.INITIALISED)
    assert kit("plugin_restarts_total", module="a") == 0
    assert kit("alerts_total", module="a", severity="critical") == 0


def test_what_is_counted_as_it_happens(kit):
    kit.accounts.restarted("a")
    kit.accounts.stored([an_alert(1, plugin="a"), an_alert(2, plugin="a"), an_alert(3, severity=Severity.LOW)])
    for success in (True, False, False):
        kit.accounts.reloaded(success=success)
    assert kit("plugin_restarts_total", module="a") == 1
    assert (kit("alerts_total", module="a", severity="high"), kit("alerts_total", module="", severity="low")) == (2, 1)
    assert [kit("config_reloads_total", result=result) for result in ("success", "failure")] == [1, 2]


def test_absolute_numbers_are_taken_over_at_each_scrape(kit):
    history: Any = types.SimpleNamespace(failures=2)
    kit.accounts.watch_history(history)
    assert kit("history_failures_total") == 2
    history.failures = 5
    assert kit("history_failures_total") == 5
    history.failures = 1  # must not happen; a counter never falls
    assert kit("history_failures_total") == 5


def test_a_second_run_of_a_plugin_counts_on(kit):
    refused = [3, 0]
    kit.accounts.watch_publisher("a", lambda: refused[0])
    kit.accounts.watch_publisher("a", lambda: refused[1])
    assert kit("alerts_refused_total", module="a") == 3
    refused[1] = 2
    assert kit("alerts_refused_total", module="a") == 5


def test_lag_and_drops_of_a_subscriber_and_of_the_one_after_it(kit):
    first, second = a_subscription("a", lag=7, dropped=2), a_subscription("a", lag=1)
    kit.accounts.watch_subscription(first)
    assert (kit("alert_queue_size", module="a"), kit("alerts_dropped_total", module="a")) == (7, 2)
    kit.accounts.watch_subscription(second)
    second.dropped = 1
    assert (kit("alert_queue_size", module="a"), kit("alerts_dropped_total", module="a")) == (1, 3)


def test_a_sinks_failures(kit):
    sink = a_subscription("sink:hook", failures=4)
    kit.accounts.watch_sink("sink:hook", sink)
    assert kit("sink_failures_total", module="sink:hook") == 4
    assert kit("plugin_up", module="sink:hook") is None
