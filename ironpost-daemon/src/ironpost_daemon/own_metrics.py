"""The daemon's own metrics: its part of the catalogue, with a series per module and sink from the start."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ironpost_core.clock import Clock
from ironpost_core.instruments import Metrics
from ironpost_core.metrics import (
    DAEMON_ALERT_QUEUE_SIZE,
    DAEMON_ALERTS_DROPPED_TOTAL,
    DAEMON_BUILD_INFO,
    DAEMON_PLUGIN_READER_FAILURES_TOTAL,
    DAEMON_SINK_FAILURES_TOTAL,
    DAEMON_UPTIME_SECONDS,
    LABEL_MODULE,
    catalogue_of,
)

#: What a sink has of the metrics with a label ``module``; a plugin has all but the last.
_SINK_METRICS: Final = (DAEMON_ALERTS_DROPPED_TOTAL, DAEMON_ALERT_QUEUE_SIZE, DAEMON_SINK_FAILURES_TOTAL)


class DaemonMetrics(Collector):
    """The daemon's instruments, reached like a plugin's: ``daemon_metrics.metrics.counter(NAME)``.

    Attributes:
        metrics: the instruments.
        before_collect: called at each scrape before anything is read, to bring instruments up to date.
    """

    def __init__(self, clock: Clock, *, version: str, commit: str) -> None:
        self.metrics = Metrics(catalogue_of("daemon"))
        self.before_collect: Callable[[], None] = _nothing
        self._clock = clock
        self._started = clock.monotonic()
        build = self.metrics.gauge(DAEMON_BUILD_INFO)
        build.labels(version=version, commit=commit, python_version=platform.python_version()).set(1)

    @property
    def uptime(self) -> float:
        """Seconds since the daemon started."""
        return self._clock.monotonic() - self._started

    @staticmethod
    def register_process(registry: CollectorRegistry) -> None:
        """Have CPU, memory and descriptors of this process exported, too."""
        ProcessCollector(registry=registry)

    def known_module(self, name: str) -> None:
        """Have every series of this plugin exported, at 0 until counted."""
        self._initialise(
            name, [spec.name for spec in catalogue_of("daemon") if spec.name != DAEMON_SINK_FAILURES_TOTAL]
        )

    def known_sink(self, name: str) -> None:
        """Have every series of this sink exported, at 0 until counted."""
        self._initialise(name, _SINK_METRICS)

    def known_reader(self, module: str) -> None:
        """Have the failures of a reader that belongs to no plugin exported, at 0 until counted."""
        self._initialise(module, (DAEMON_PLUGIN_READER_FAILURES_TOTAL,))

    def _initialise(self, module: str, names: Iterable[str]) -> None:
        for name in names:
            spec = self.metrics.specs[name]
            if LABEL_MODULE in spec.labels:
                values = ((module,) if label == LABEL_MODULE else known for label, known in spec.labels.items())
                for combination in itertools.product(*values):
                    self.metrics[name].labels(*combination)

    def reader_failed(self, module: str, _reason: str) -> None:
        """Count that a module's metric reader failed; fits `exposition.OnFailure`."""
        self.metrics.counter(DAEMON_PLUGIN_READER_FAILURES_TOTAL).labels(module).inc()

    def describe(self) -> Iterable[Metric]:
        """The families as they are, for the registry's check for duplicates."""
        return self.metrics.families({})

    def collect(self) -> Iterable[Metric]:
        """All families at this moment."""
        self.before_collect()
        self.metrics.gauge(DAEMON_UPTIME_SECONDS).set(self.uptime)
        return self.metrics.families({})


def _nothing() -> None:
    """What is done before a scrape until somebody asks for more."""
