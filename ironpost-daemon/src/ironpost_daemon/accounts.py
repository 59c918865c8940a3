"""Keeps the daemon's own metrics: what hosts, history, bus and sinks count becomes series by module."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from ironpost_core import Alert
from ironpost_core.metrics import (
    DAEMON_ALERT_QUEUE_SIZE,
    DAEMON_ALERTS_DROPPED_TOTAL,
    DAEMON_ALERTS_REFUSED_TOTAL,
    DAEMON_ALERTS_TOTAL,
    DAEMON_CONFIG_RELOADS_TOTAL,
    DAEMON_HISTORY_FAILURES_TOTAL,
    DAEMON_PLUGIN_RESTARTS_TOTAL,
    DAEMON_PLUGIN_UP,
    DAEMON_PLUGINS_REGISTERED,
    DAEMON_SINK_FAILURES_TOTAL,
)
from ironpost_daemon.bus import Subscription
from ironpost_daemon.history import History
from ironpost_daemon.own_metrics import DaemonMetrics
from ironpost_daemon.status import Life


class Accounts:
    """Events are counted as they happen; what others keep as absolute numbers is taken over at each scrape."""

    def __init__(self, daemon_metrics: DaemonMetrics) -> None:
        self._metrics = daemon_metrics.metrics
        self._known_module = daemon_metrics.known_module
        self._known_sink = daemon_metrics.known_sink
        self._lives: dict[str, Life] = {}
        self._absolute: list[tuple[Callable[[float], None], Callable[[], int]]] = []
        self._taken: dict[int, int] = {}
        self._queues: dict[str, Callable[[], int]] = {}
        self._lock = threading.Lock()

    def restarted(self, plugin: str) -> None:
        """One of the plugin's threads was restarted."""
        self._metrics.counter(DAEMON_PLUGIN_RESTARTS_TOTAL).labels(plugin).inc()

    def life_changed(self, plugin: str, life: Life) -> None:
        """A plugin moved on."""
        with self._lock:
            if plugin not in self._lives:
                self._known_module(plugin)
            self._lives[plugin] = life
            registered = sum(known is not Life.FAILED for known in self._lives.values())
            # Under the lock: plugins move side by side, and the last number set must be the latest.
            self._metrics.gauge(DAEMON_PLUGIN_UP).labels(plugin).set(life is not Life.FAILED)
            self._metrics.gauge(DAEMON_PLUGINS_REGISTERED).set(registered)

    def stored(self, alerts: Sequence[Alert]) -> None:
        """The history has stored new alerts."""
        counter = self._metrics.counter(DAEMON_ALERTS_TOTAL)
        for alert in alerts:
            counter.labels(alert.plugin, alert.severity.value).inc()

    def reloaded(self, *, success: bool) -> None:
        """A reload ended."""
        self._metrics.counter(DAEMON_CONFIG_RELOADS_TOTAL).labels("success" if success else "failure").inc()

    def watch_history(self, history: History) -> None:
        """Take over the history's failures."""
        self._watch(self._metrics.counter(DAEMON_HISTORY_FAILURES_TOTAL).inc, lambda: history.failures)

    def watch_publisher(self, plugin: str, refused: Callable[[], int]) -> None:
        """Take over how many alerts of this plugin were refused."""
        self._watch(self._metrics.counter(DAEMON_ALERTS_REFUSED_TOTAL).labels(plugin).inc, refused)

    def watch_subscription(self, subscription: Subscription) -> None:
        """Take over a plugin's lag and drops."""
        name = subscription.name
        self._queues[name] = lambda: subscription.lag
        self._watch(self._metrics.counter(DAEMON_ALERTS_DROPPED_TOTAL).labels(name).inc, lambda: subscription.dropped)

    def watch_sink(self, name: str, subscription: Subscription) -> None:
        """Take over a sink's lag, drops and failed attempts."""
        self._known_sink(name)
        self.watch_subscription(subscription)
        self._watch(self._metrics.counter(DAEMON_SINK_FAILURES_TOTAL).labels(name).inc, lambda: subscription.failures)

    def _watch(self, add: Callable[[float], None], read: Callable[[], int]) -> None:
        with self._lock:
            self._absolute.append((add, read))

    def take_over(self) -> None:
        """Bring the counters up to the absolute numbers; called at each scrape."""
        with self._lock:
            for number, (add, read) in enumerate(self._absolute):
                now = read()
                grown = now - self._taken.get(number, 0)
                self._taken[number] = now
                if grown > 0:
                    add(grown)
        for name, lag in list(self._queues.items()):
            self._metrics.gauge(DAEMON_ALERT_QUEUE_SIZE).labels(name).set(lag())
