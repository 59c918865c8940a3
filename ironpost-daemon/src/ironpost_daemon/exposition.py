"""What Prometheus gets to see: one shielded collector per plugin, the daemon's own metrics, and the rendering.

prometheus_client fails a whole scrape when one collector raises and duplicates families in silence. Here a plugin's
readers run on a thread of their own with a deadline, and whatever they do, the other families are served.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ironpost_core.instruments import HistogramValue, Metrics, Reading, Value
from ironpost_daemon.calls import Flight, describe, standing

#: Seconds that one scrape gives all readers of all plugins together.
DEADLINE: Final = 0.1
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"

#: Told the module's name and the reason, one line, each time a scrape had to do with old values.
OnFailure = Callable[[str, str], None]


class PluginCollector(Collector):
    """One plugin's metrics on the shared registry.

    At each scrape its readers run completely, on one thread for all scrapes under way, before anything is yielded.
    When they raise, are late or read what the plugin did not declare, `on_failure` is told and the values last read
    are served (zeros at first). A late reading counts for the next scrape.
    """

    def __init__(self, module: str, metrics: Metrics, *, deadline: float = DEADLINE, on_failure: OnFailure) -> None:
        self.module = module
        self.metrics = metrics
        self._deadline = deadline
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._flight: Flight[None] | None = None
        self._reading: Reading = {}
        self._families = metrics.families({})
        self._closed = False

    def describe(self) -> Iterable[Metric]:
        """The families without running a reader, for the registry's check for duplicates."""
        return self._families

    def close(self) -> None:
        """Call no reader any more (the plugin has stopped); the values last read stay."""
        self._closed = True

    def reopen(self) -> None:
        """Call the readers again: another instance of the plugin has taken over."""
        self._closed = False

    def begin(self) -> None:
        """Start the readers unless they still run."""
        if self._closed or not self.metrics.readers:
            return
        with self._lock:
            if self._flight is None or self._flight.wait(0):
                flight = Flight(self._read, f"ironpost-{self.module}-metrics")
                try:
                    flight.thread.start()
                except RuntimeError as error:  # no more threads
                    self._on_failure(self.module, f"the metric readers were not started: {error}")
                else:
                    self._flight = flight

    def finish(self, until: float) -> list[Metric]:
        """Wait for the readers until `until` (`time.monotonic`), then give the families, the newest or the last good.

        Never raises what comes from the plugin.
        """
        flight = self._flight
        if flight is not None and not self._closed:
            self._settle(flight, until)
        try:
            self._families = [_without_created(family) for family in self.metrics.families(self._reading)]
        except Exception as error:  # noqa: BLE001 - the stated boundary: an instrument may call back into its plugin
            self._on_failure(self.module, f"an instrument raised {describe(error)}")
        return self._families

    def collect(self) -> Iterable[Metric]:
        """All families at this moment."""
        self.begin()
        return self.finish(time.monotonic() + self._deadline)

    def _settle(self, flight: Flight[None], until: float) -> None:
        if not flight.wait(max(0.0, until - time.monotonic())):
            self._on_failure(self.module, f"the metric readers are late{standing(flight.thread)}")
        elif flight.failure:
            self._on_failure(self.module, f"a metric reader failed: {flight.failure}")

    def _read(self) -> None:
        merged: dict[Any, Value] = {}
        for reader in self.metrics.readers:
            for spec, value in reader().items():
                name = spec if isinstance(spec, str) else spec.name
                merged[name] = _checked(name, value)
        self.metrics.families(merged)  # raises for what was not declared
        self._reading = merged


def _checked(name: str, value: Value) -> Value:
    """A plain copy, so that nothing of the plugin's runs later; ValueError for what no counter or gauge can be."""
    if isinstance(value, HistogramValue):
        counts = tuple(int(count) for count in value.counts)
        if min(counts, default=0) < 0:
            raise ValueError(f"{name}: read with a bucket count of {min(counts)}")
        return HistogramValue(counts, _number(name, value.sum))
    if isinstance(value, Mapping):
        return {tuple(labels): _number(name, number) for labels, number in value.items()}
    return _number(name, value)


def _number(name: str, value: float) -> float:
    number = float(value)
    if math.isnan(number) or (number < 0 and name.endswith("_total")):
        raise ValueError(f"{name}: read as {number}")
    return number


def _without_created(family: Metric) -> Metric:
    created = f"{family.name}_created"
    if any(sample.name == created for sample in family.samples):
        clean = Metric(family.name, family.documentation, family.type, family.unit)
        clean.samples = [sample for sample in family.samples if sample.name != created]
        return clean
    return family


def collect_all(
    collectors: Iterable[Collector], *, deadline: float = DEADLINE, on_failure: OnFailure
) -> Iterator[Metric]:
    """All families of all collectors, with one deadline in seconds for the readers of all plugins together.

    A collector of the daemon's own that raises is left out and told to `on_failure` as module ``daemon``.
    """
    known = list(collectors)
    until = time.monotonic() + deadline
    for collector in known:
        if isinstance(collector, PluginCollector):
            collector.begin()
    # The daemon's own come last, so that they count the failures of this very scrape.
    for collector in sorted(known, key=lambda one: not isinstance(one, PluginCollector)):
        if isinstance(collector, PluginCollector):
            yield from collector.finish(until)
            continue
        try:
            families = list(collector.collect())
        except Exception as error:  # noqa: BLE001 - the stated boundary: no collector may take the scrape with it
            on_failure("daemon", f"{type(collector).__name__} raised {describe(error)}")
        else:
            yield from map(_without_created, families)


class ShieldedRegistry(CollectorRegistry):
    """The shared registry: `collect` asks all plugins at once and survives each of them (`collect_all`)."""

    def __init__(self, *, deadline: float = DEADLINE, on_failure: OnFailure) -> None:
        super().__init__()
        self._deadline = deadline
        self._on_failure = on_failure
        self._known: tuple[Collector, ...] = ()

    def register(self, collector: Collector) -> None:
        """Add a collector; ValueError when it exports a name that is taken."""
        super().register(collector)
        self._known = (*self._known, collector)

    def unregister(self, collector: Collector) -> None:
        """Remove a collector; its names are free again."""
        super().unregister(collector)
        self._known = tuple(one for one in self._known if one is not collector)

    def collect(self) -> Iterable[Metric]:
        """All families of all collectors."""
        return collect_all(self._known, deadline=self._deadline, on_failure=self._on_failure)


def canonical_accept(accept: str) -> str:
    """The one Accept header that stands for all which lead to the same format: OpenMetrics, or empty for text 0.0.4."""
    try:
        _, content_type = choose_encoder(accept)
    except TypeError:  # prometheus_client compares a version that is no number with one
        return ""
    return OPENMETRICS if content_type.startswith("application/openmetrics-text") else ""


def render(registry: Collector, accept: str) -> tuple[bytes, str]:
    """The exposition and its content type: text 0.0.4, or OpenMetrics 1.0.0 for an Accept header that asks for it."""
    encoder, content_type = choose_encoder(canonical_accept(accept))
    return encoder(registry), content_type.partition("; escaping=")[0]
