from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from ironpost_core import HistogramValue, Metrics, MetricSpec
from ironpost_core.instruments import Reading
from ironpost_core.metrics import catalogue_of
from ironpost_daemon.exposition import PluginCollector, ShieldedRegistry, canonical_accept, render

SEEN = MetricSpec(name="canary_seen_total", kind="counter", help="Things seen")
BY_KIND = MetricSpec(name="canary_kinds", kind="gauge", help="Things by kind", labels={"kind": ("a", "b")})
TOOK = MetricSpec(name="canary_took_seconds", kind="histogram", help="Time taken", buckets=(0.1, 1.0))
LONG = 30.0


class Failures(list[tuple[str, str]]):
    def __call__(self, module: str, reason: str) -> None:
        self.append((module, reason))


@pytest.fixture
def failures() -> Failures:
    return Failures()


def make(
    failures: Failures, *readers: Callable[[], Reading], module: str = "canary", deadline: float = LONG
) -> PluginCollector:
    metrics = Metrics([SEEN, BY_KIND, TOOK])
    for reader in readers:
        metrics.read_with(reader)
    return PluginCollector("canary", metrics, deadline=deadline, on_failure=failures)


def samples(families: Iterable[Metric]) -> dict[str, float]:
    return {
        sample.name + "".join(f"{{{value}}}" for value in sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def seen(collector: Collector) -> float:
    return samples(collector.collect())["ironpost_canary_seen_total"]


def metric_threads(module: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"ironpost-{module}-metrics"]


def test_without_readers_the_instruments_are_served_and_no_thread_is_started(failures: Failures) -> None:
    collector = make(failures)
    collector.metrics.counter(SEEN).inc(3)
    found = samples(collector.collect())
    assert found["ironpost_canary_seen_total"] == 3
    assert found["ironpost_canary_kinds{a}"] == 0
    assert found["ironpost_canary_took_seconds_count"] == 0
    assert not metric_threads("canary")
    assert not failures


def test_readings_of_all_readers_are_merged_over_the_instruments(failures: Failures) -> None:
    collector = make(
        failures,
        lambda: {SEEN: 7, BY_KIND: {("b",): 2}},
        lambda: {"canary_took_seconds": HistogramValue((1, 2, 3), 4.5)},
    )
    found = samples(collector.collect())
    assert found["ironpost_canary_seen_total"] == 7
    assert (found["ironpost_canary_kinds{a}"], found["ironpost_canary_kinds{b}"]) == (0, 2)
    assert found["ironpost_canary_took_seconds_bucket{+Inf}"] == 6
    assert found["ironpost_canary_took_seconds_sum"] == 4.5
    assert not failures


def test_no_created_series_leaves(failures: Failures) -> None:
    registry = ShieldedRegistry(on_failure=failures)
    registry.register(make(failures, lambda: {SEEN: 7}))
    for accept in ("", "application/openmetrics-text"):
        assert b"_created" not in render(registry, accept)[0]


def test_a_reader_that_raises_is_counted_and_the_last_good_values_stay(failures: Failures) -> None:
    answers: list[Reading | BaseException] = [{SEEN: 5}, RuntimeError("map is gone"), SystemExit(3), {SEEN: 6}]

    def reader() -> Reading:
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    collector = make(failures, reader)
    assert [seen(collector) for _ in range(4)] == [5, 5, 5, 6]
    assert [module for module, _ in failures] == ["canary", "canary"]
    assert "RuntimeError: map is gone" in failures[0][1]
    assert "SystemExit" in failures[1][1]


@pytest.mark.parametrize(
    "reading",
    [
        {"canary_nobody_declared": 1.0},
        {BY_KIND: {("c",): 1.0}},
        {BY_KIND: {("a", "b"): 1.0}},
        {BY_KIND: 1.0},
        {SEEN: float("nan")},
        {SEEN: -1},
        {SEEN: "many"},
        {SEEN: None},
        {TOOK: HistogramValue((1, 2), 1.0)},
        {TOOK: HistogramValue((1, 2, 3), float("nan"))},
        {TOOK: HistogramValue((1, -2, 3), 1.0)},
        None,
        [1],
    ],
)
def test_a_reading_that_can_not_be_is_refused_as_a_whole(failures: Failures, reading: Reading) -> None:
    collector = make(failures, lambda: {SEEN: 4}, lambda: reading)
    assert seen(collector) == 0
    assert len(failures) == 1


def test_a_hanging_reader_costs_one_thread_for_all_scrapes(failures: Failures, release: threading.Event) -> None:
    entered = []

    def reader() -> Reading:
        entered.append(1)
        release.wait(LONG)
        return {SEEN: 9}

    collector = make(failures, reader, deadline=0.02)
    assert [seen(collector) for _ in range(5)] == [0] * 5
    assert len(entered) == len(metric_threads("canary")) == 1
    assert len(failures) == 5
    assert "late" in failures[0][1]
    assert f"{__file__}:" in failures[0][1]
    assert "in reader" in failures[0][1]


def test_a_late_reading_counts_for_the_next_scrape(failures: Failures, release: threading.Event) -> None:
    turn = iter([True, False])

    def reader() -> Reading:
        if next(turn):
            release.wait(LONG)
            return {SEEN: 9}
        raise ValueError("later")

    collector = make(failures, reader, deadline=0.01)
    assert seen(collector) == 0
    release.set()
    for thread in metric_threads("canary"):
        thread.join(LONG)
    assert seen(collector) == 9


def test_scrapes_at_once_share_one_run_of_the_readers(failures: Failures, release: threading.Event) -> None:
    runs = []
    entered = threading.Event()

    def reader() -> Reading:
        runs.append(1)
        entered.set()
        release.wait(LONG)
        return {SEEN: 2}

    collector = make(failures, reader)
    results: list[float] = []
    scrapes = [threading.Thread(target=lambda: results.append(seen(collector))) for _ in range(3)]
    scrapes[0].start()
    entered.wait(LONG)
    for scrape in scrapes[1:]:
        scrape.start()
    collector.begin()
    release.set()
    for scrape in scrapes:
        scrape.join(LONG)
    assert results == [2, 2, 2]
    assert not failures


def test_after_close_no_reader_is_called_and_values_stay(failures: Failures) -> None:
    collector = make(failures, lambda: {SEEN: 5})
    assert seen(collector) == 5
    collector.close()
    collector.metrics.read_with(lambda: {SEEN: 6})
    assert seen(collector) == 5
    assert not failures


def test_an_instrument_that_raises_is_counted(failures: Failures, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = make(failures)
    collector.metrics.counter(SEEN).inc()
    monkeypatch.setattr(collector.metrics.gauge(BY_KIND), "collect", lambda: 1 / 0)
    assert seen(collector) == 0  # the last good values are the first ones
    assert "ZeroDivisionError" in failures[0][1]


def test_when_no_thread_can_be_started_the_last_values_are_served(
    failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    collector = make(failures, lambda: {SEEN: 5})
    monkeypatch.setattr(threading.Thread, "start", start)
    assert seen(collector) == 0
    assert "can't start new thread" in failures[0][1]


def test_hung_readers_of_many_plugins_are_waited_for_together(failures: Failures, release: threading.Event) -> None:
    arrived = threading.Barrier(5)

    def reader() -> Reading:
        arrived.wait(LONG)  # passes only if the readers of all five plugins run at once
        return {}

    registry = ShieldedRegistry(deadline=LONG, on_failure=failures)
    for number in range(5):
        metrics = Metrics([MetricSpec(name=f"p{number}_x", kind="gauge", help="X")])
        metrics.read_with(reader)
        registry.register(PluginCollector(f"p{number}", metrics, on_failure=failures))
    assert len(samples(registry.collect())) == 5
    assert not failures


def test_all_hung_readers_share_one_deadline(failures: Failures, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def finish(self: PluginCollector, until: float) -> list[Metric]:
        waits.append(until)
        return []

    monkeypatch.setattr(PluginCollector, "finish", finish)
    registry = ShieldedRegistry(deadline=LONG, on_failure=failures)
    for number in range(3):
        metrics = Metrics([MetricSpec(name=f"p{number}_x", kind="gauge", help="X")])
        registry.register(PluginCollector(f"p{number}", metrics, on_failure=failures))
    list(registry.collect())
    assert len(waits) == 3
    assert len(set(waits)) == 1
    assert waits[0] <= time.monotonic() + LONG


def test_one_raising_and_one_hanging_plugin_leave_the_others_served(
    failures: Failures, release: threading.Event
) -> None:
    def raising() -> Reading:
        raise KeyError("gone")

    def hanging() -> Reading:
        release.wait(LONG)
        return {}

    registry = ShieldedRegistry(deadline=0.05, on_failure=failures)

    def good() -> Reading:
        return {"good_x": 3.0}

    for name, reader in (("bad", raising), ("stuck", hanging), ("good", good)):
        metrics = Metrics([MetricSpec(name=f"{name}_x", kind="gauge", help="X")])
        metrics.read_with(reader)
        registry.register(PluginCollector(name, metrics, on_failure=failures))
    values = {f.name: f.samples[0].value for f in parse_text(render(registry, "")[0].decode())}
    assert values == {"ironpost_bad_x": 0, "ironpost_stuck_x": 0, "ironpost_good_x": 3}
    assert sorted(module for module, _ in failures) == ["bad", "stuck"]


def test_a_collector_of_the_daemons_own_that_raises_is_left_out_and_told(failures: Failures) -> None:
    class Broken(Collector):
        def collect(self) -> Iterable[Metric]:
            raise OSError("no /proc")

    registry = ShieldedRegistry(on_failure=failures)
    registry.register(Broken())
    registry.register(make(failures))
    assert "ironpost_canary_seen_total" in samples(registry.collect())
    assert failures == [("daemon", failures[0][1])]
    assert "Broken raised OSError: no /proc" in failures[0][1]


def test_the_registry_refuses_a_family_twice_and_forgets_what_was_removed(failures: Failures) -> None:
    registry = ShieldedRegistry(on_failure=failures)
    first = make(failures)
    registry.register(first)
    with pytest.raises(ValueError, match="ironpost_canary_seen"):
        registry.register(make(failures))
    registry.unregister(first)
    assert not list(registry.collect())
    registry.register(make(failures))


def test_both_formats_parse_and_hold_the_same(failures: Failures) -> None:
    registry = CollectorRegistry()
    for owner in ("ebpf", "logpipe", "guard", "sbom"):
        registry.register(PluginCollector(owner, Metrics(catalogue_of(owner)), on_failure=failures))
    text, text_type = render(registry, "")
    openmetrics, openmetrics_type = render(registry, "application/openmetrics-text;version=1.0.0,text/plain;q=0.1")
    assert text_type == "text/plain; version=0.0.4; charset=utf-8"
    assert openmetrics_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    old = {sample.name for family in parse_text(text.decode()) for sample in family.samples}
    families = parse_openmetrics(openmetrics.decode())  # type: ignore[no-untyped-call]
    new = {sample.name for family in families for sample in family.samples}
    assert old == new
    assert len(old) > 26


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4", False),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=0.0.1", False),
        ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1", True),
        ("application/openmetrics-text;version=99.1", True),
        ("application/openmetrics-text;version=evil", False),
        ("application/openmetrics-text;version=1.x", False),
    ],
)
def test_any_accept_header_leads_to_one_of_two_formats(accept: str, openmetrics: bool) -> None:
    assert canonical_accept(accept).startswith("application/openmetrics-text") is openmetrics
    _, content_type = render(CollectorRegistry(), accept)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0;") is openmetrics
