from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import Counter, Gauge, Histogram

from ironpost_core import HistogramValue, Metrics, MetricSpec
from ironpost_core.metrics import describe_fixed

SONGS = MetricSpec(name="canary_songs_total", kind="counter", help="Songs sung", labels={"tree": ("oak", "elm")})
AGE = MetricSpec(name="canary_age", kind="gauge", help="Age in days")
AIR = MetricSpec(name="canary_air_seconds", kind="histogram", help="Time in the air", buckets=(1, 2.5, 1e7))
ROOMS = MetricSpec(
    name="canary_rooms_seconds", kind="histogram", help="Time per room", buckets=(1,), labels={"room": ("a",)}
)
OPEN = MetricSpec(name="canary_open", kind="gauge", help="Labels that the daemon fills in", labels={"module": ()})
SPECS = (SONGS, AGE, AIR, ROOMS, OPEN)


def samples(metrics: Metrics, reading: Any = None) -> dict[str, float]:
    return {
        "".join([sample.name.removeprefix("ironpost_canary_"), *(f",{value}" for value in sample.labels.values())]): (
            sample.value
        )
        for family in metrics.families(reading or {})
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_every_closed_label_set_is_there_at_0():
    assert samples(Metrics(SPECS)) == {
        "songs_total,oak": 0,
        "songs_total,elm": 0,
        "age": 0,
        **{f"air_seconds_bucket,{bound}": 0 for bound in ("1.0", "2.5", "1e+07", "+Inf")},
        "air_seconds_count": 0,
        "air_seconds_sum": 0,
        "rooms_seconds_bucket,a,1.0": 0,
        "rooms_seconds_bucket,a,+Inf": 0,
        "rooms_seconds_count,a": 0,
        "rooms_seconds_sum,a": 0,
    }


def test_the_catalogue_can_be_built():
    families = Metrics(describe_fixed()).families({})
    assert [family.type for family in families] == [spec.kind for spec in describe_fixed()]
    assert [family.documentation for family in families] == [spec.help for spec in describe_fixed()]


def test_instruments_by_spec_or_name_with_their_type():
    metrics = Metrics(SPECS)
    assert metrics[SONGS] is metrics["canary_songs_total"]
    for found, kind in [
        (metrics.counter(SONGS), Counter),
        (metrics.gauge("canary_age"), Gauge),
        (metrics.histogram(AIR), Histogram),
    ]:
        assert isinstance(found, kind)
    metrics.counter(SONGS).labels("oak").inc()
    metrics.gauge(AGE).set(4)
    assert (samples(metrics)["songs_total,oak"], samples(metrics)["age"]) == (1, 4)


def test_asking_for_what_is_not_there():
    metrics = Metrics([AGE])
    with pytest.raises(KeyError, match=r"canary_songs_total: not among .* ironpost_metrics\(\)"):
        metrics[SONGS]
    for spec in (AGE, "canary_age"):
        with pytest.raises(TypeError, match=r"^canary_age: a Gauge, not a Counter$"):
            metrics.counter(spec)


def test_a_reading_takes_the_place_of_the_instruments():
    metrics = Metrics(SPECS)
    metrics.gauge(AGE).set(4)
    read = samples(
        metrics, {"canary_age": 5, SONGS: {("oak",): 3}, AIR: HistogramValue((1, 0, 2, 4), sum=12), OPEN: {}}
    )
    assert {name: value for name, value in read.items() if not name.startswith("rooms")} == {
        "songs_total,oak": 3,
        "songs_total,elm": 0,
        "age": 5,
        "air_seconds_bucket,1.0": 1,
        "air_seconds_bucket,2.5": 1,
        "air_seconds_bucket,1e+07": 3,
        "air_seconds_bucket,+Inf": 7,
        "air_seconds_count": 7,
        "air_seconds_sum": 12,
    }
    assert samples(metrics, {AGE: {(): 6}})["age"] == 6
    assert samples(metrics)["age"] == 4


def test_reader_and_instrument_give_the_same_families():
    metrics = Metrics([SONGS, AGE, AIR])
    reading = {SONGS: {}, AGE: 0, AIR: HistogramValue((0,) * 4, 0)}
    for own, read in zip(metrics.families({}), metrics.families(reading), strict=True):
        assert (own.name, own.documentation, own.type) == (read.name, read.documentation, read.type)
        series = [(sample.name, sample.labels) for sample in own.samples if not sample.name.endswith("_created")]
        assert series == [(sample.name, sample.labels) for sample in read.samples]


@pytest.mark.parametrize(
    ("reading", "error", "message"),
    [
        ({"canary_nest": 1}, KeyError, "canary_nest: read, but not among"),
        ({SONGS: 1}, ValueError, "its spec has labels"),
        ({SONGS: {("ash",): 1}}, ValueError, "label values that its spec does not name"),
        ({SONGS: {"oak": 1}}, ValueError, "label values that its spec does not name"),
        ({SONGS: {("oak",): "many"}}, ValueError, "could not convert"),
        ({SONGS: {("oak",): None}}, TypeError, "NoneType"),
        ({AGE: "old"}, ValueError, "could not convert"),
        ({AGE: None}, TypeError, "NoneType"),
        ({AGE: HistogramValue((1, 2), 3)}, ValueError, "read as a histogram"),
        ({ROOMS: HistogramValue((1, 2), 3)}, ValueError, "read as a histogram"),
        ({AIR: 1}, ValueError, "is read as a HistogramValue"),
        ({AIR: {(): 1}}, ValueError, "is read as a HistogramValue"),
        ({AIR: HistogramValue((1, 2, 3), 3)}, ValueError, r"3 bucket counts, its spec has 3 and \+Inf"),
        ({AIR: HistogramValue((1, 2, 3, None), 3)}, TypeError, "NoneType"),  # type: ignore[arg-type]
        ({AIR: HistogramValue((1, 2, 3, 4), "x")}, ValueError, "could not convert"),  # type: ignore[arg-type]
    ],
)
def test_a_reading_that_does_not_fit_never_reaches_the_exposition(reading, error, message):
    with pytest.raises(error, match=message):
        Metrics(SPECS).families(reading)


def test_readers_are_kept_in_order_until_forgotten():
    metrics = Metrics([AGE])
    readers = [lambda: {AGE: 1}, lambda: {AGE: 2}]
    for reader in readers:
        metrics.read_with(reader)
    assert metrics.readers == tuple(readers)
    metrics.forget_readers()
    assert metrics.readers == ()


def test_a_gauge_takes_no_function() -> None:
    with pytest.raises(TypeError, match="read_with"):
        Metrics([AGE]).gauge(AGE).set_function(lambda: 1.0)


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram"])
def test_label_values_that_the_spec_does_not_name_make_no_series(kind: Any) -> None:
    name = "canary_songs_total" if kind == "counter" else "canary_songs"
    labels = {"tune": ("high", "low"), "loud": ("yes",)}
    spec = MetricSpec(name=name, kind=kind, help="Songs", labels=labels, buckets=(1.0,) if kind == "histogram" else ())
    metrics = Metrics([spec])
    before = len(metrics.families({})[0].samples)
    for values, named in ((("203.0.113.7", "yes"), {}), ((), {"tune": "low", "loud": "no"}), ((1, 2), {})):
        with pytest.raises(ValueError, match=f"{name}: its spec names no labels"):
            metrics[spec].labels(*values, **named)
    for values, named in ((("low",), {}), ((), {"tune": "low"}), ((), {"tune": "low", "wrong": "yes"})):
        with pytest.raises(ValueError, match=r"label|names no"):
            metrics[spec].labels(*values, **named)
    assert metrics[spec].labels("low", "yes") is metrics[spec].labels(loud="yes", tune="low")
    assert len(metrics.families({})[0].samples) == before
