"""Ready-made prometheus_client instruments from the specs of `metrics`, each closed label set initialised to 0.

The daemon makes one `Metrics` per plugin; the plugin sees it as `context.metrics`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import attrs
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, utils
from prometheus_client.core import Metric

from ironpost_core.metrics import MetricSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

Instrument: TypeAlias = Counter | Gauge | Histogram
_I = TypeVar("_I", Counter, Gauge, Histogram)


@attrs.frozen
class HistogramValue:
    """A histogram as read from elsewhere.

    Attributes:
        counts: observations per bucket of the spec plus one last for +Inf, not cumulated.
        sum: the sum of all observations, in the metric's unit.
    """

    counts: tuple[int, ...]
    sum: float


#: One metric's value: a number, a histogram, or numbers by label values in the order of the spec's labels.
Value: TypeAlias = float | HistogramValue | Mapping[tuple[str, ...], float]
#: What a reader returns: a value for each metric that it speaks for, by spec or by name.
Reading: TypeAlias = Mapping["MetricSpec | str", Value]
#: Called at each scrape, on a thread of the daemon's; must return within 0.1 s and may raise.
Reader: TypeAlias = Callable[[], Reading]


_go_string: Callable[[float], str] = utils.floatToGoString


def _label_values(spec: MetricSpec) -> Iterable[tuple[str, ...]]:
    return itertools.product(*spec.labels.values())


class _Gauge(Gauge):
    """A gauge without call-backs: one that hangs would hold up every scrape, outside the readers' deadline."""

    def set_function(self, f: Callable[[], float]) -> None:
        """Refused.

        Raises:
            TypeError: always; says what to use.
        """
        raise TypeError("set_function would be called without a deadline; use context.metrics.read_with(reader)")


def _build(spec: MetricSpec, registry: CollectorRegistry) -> Instrument:
    labels = tuple(spec.labels)
    instrument: Instrument
    if spec.kind == "counter":
        instrument = Counter(spec.full_name, spec.help, labels, registry=registry)
    elif spec.kind == "gauge":
        instrument = _Gauge(spec.full_name, spec.help, labels, registry=registry)
    else:
        instrument = Histogram(spec.full_name, spec.help, labels, registry=registry, buckets=spec.buckets)
    if labels:
        for values in _label_values(spec):
            instrument.labels(*values)
        if all(spec.labels.values()):
            _close(instrument, spec)
    return instrument


def _close(instrument: Instrument, spec: MetricSpec) -> None:
    """Have `labels` refuse what the spec does not name: prometheus_client would make a series of whatever it gets."""
    known, labels = frozenset(_label_values(spec)), instrument.labels

    def closed(*values: Any, **named: Any) -> Any:
        key = tuple(map(str, values or [named.get(label) for label in spec.labels]))
        if len(key) == len(spec.labels) and key not in known:
            raise ValueError(f"{spec.name}: its spec names no labels {key!r:.200}")
        return labels(*values, **named)

    instrument.labels = closed  # type: ignore[method-assign]


class Metrics:
    """One plugin's instruments, by spec or by name. Thread-safe as far as prometheus_client is.

    ``metrics[SPEC]`` gives the instrument; `counter`, `gauge` and `histogram` give it with its static type. Labels
    with values that the spec does not name raise ValueError.
    """

    def __init__(self, specs: Sequence[MetricSpec]) -> None:
        self.registry = CollectorRegistry()
        self.specs: Mapping[str, MetricSpec] = {spec.name: spec for spec in specs}
        self._instruments = {spec.name: _build(spec, self.registry) for spec in specs}
        self._readers: tuple[Reader, ...] = ()

    def __getitem__(self, spec: MetricSpec | str) -> Instrument:
        name = spec if isinstance(spec, str) else spec.name
        try:
            return self._instruments[name]
        except KeyError:
            raise KeyError(f"{name}: not among the metrics that ironpost_metrics() returned") from None

    def counter(self, spec: MetricSpec | str) -> Counter:
        """The counter of this spec.

        Raises:
            KeyError: not declared by the plugin.
            TypeError: it is no counter.
        """
        return self._typed(spec, Counter)

    def gauge(self, spec: MetricSpec | str) -> Gauge:
        """The gauge of this spec; raises as `counter`."""
        return self._typed(spec, Gauge)

    def histogram(self, spec: MetricSpec | str) -> Histogram:
        """The histogram of this spec; raises as `counter`."""
        return self._typed(spec, Histogram)

    def _typed(self, spec: MetricSpec | str, kind: type[_I]) -> _I:
        instrument = self[spec]
        if not isinstance(instrument, kind):
            name = spec if isinstance(spec, str) else spec.name
            raise TypeError(f"{name}: a {type(instrument).__name__.lstrip('_')}, not a {kind.__name__}")
        return instrument

    def read_with(self, reader: Reader) -> None:
        """Have `reader` called at each scrape; what it returns takes the place of those instruments' values.

        Use it for values that live elsewhere (kernel maps) or that must be read together under one lock.
        """
        self._readers = (*self._readers, reader)

    def forget_readers(self) -> None:
        """Drop all readers: their plugin has stopped, and another instance of it goes on with these instruments."""
        self._readers = ()

    @property
    def readers(self) -> tuple[Reader, ...]:
        """The readers, in the order in which they were added."""
        return self._readers

    def families(self, reading: Reading) -> list[Metric]:
        """All metrics as families for the exposition; `reading` takes precedence over the instruments.

        Raises:
            KeyError: the reading holds a metric that was not declared.
            ValueError: a label or bucket count that the spec does not have.
        """
        read = {}
        for key, value in reading.items():
            name = key if isinstance(key, str) else key.name
            if name not in self.specs:
                raise KeyError(f"{name}: read, but not among the metrics that ironpost_metrics() returned")
            read[name] = _family(self.specs[name], value)
        return [
            read[name] if name in read else next(iter(instrument.collect()))
            for name, instrument in self._instruments.items()
        ]


def _family(spec: MetricSpec, value: Value) -> Metric:
    base = spec.full_name.removesuffix("_total")
    family = Metric(base, spec.help, spec.kind)
    if isinstance(value, HistogramValue):
        _add_histogram(family, spec, value)
    elif spec.kind == "histogram":
        raise ValueError(f"{spec.name}: a histogram is read as a HistogramValue")
    elif isinstance(value, Mapping):
        values = dict.fromkeys(_label_values(spec), 0.0)
        if value.keys() - values.keys():
            raise ValueError(f"{spec.name}: read with label values that its spec does not name")
        values.update(value)
        for labels, number in values.items():
            family.add_sample(spec.full_name, dict(zip(spec.labels, labels, strict=True)), float(number))
    elif spec.labels:
        raise ValueError(f"{spec.name}: read as one number, but its spec has labels")
    else:
        family.add_sample(spec.full_name, {}, float(value))
    return family


def _add_histogram(family: Metric, spec: MetricSpec, value: HistogramValue) -> None:
    if spec.kind != "histogram" or spec.labels:
        raise ValueError(f"{spec.name}: read as a histogram, but its spec is a {spec.kind} or has labels")
    if len(value.counts) != len(spec.buckets) + 1:
        raise ValueError(f"{spec.name}: {len(value.counts)} bucket counts, its spec has {len(spec.buckets)} and +Inf")
    counts = [float(count) for count in value.counts]
    # The same text for a bound as prometheus_client writes, so that reader and instrument give the same series.
    bounds = [*map(_go_string, spec.buckets), "+Inf"]
    for bound, count in zip(bounds, itertools.accumulate(counts), strict=True):
        family.add_sample(f"{spec.full_name}_bucket", {"le": bound}, count)
    family.add_sample(f"{spec.full_name}_count", {}, sum(counts))
    family.add_sample(f"{spec.full_name}_sum", {}, float(value.sum))
