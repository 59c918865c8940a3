"""What the dashboards' queries mean: what each must yield of series whose course is known, by a real promtool.

The expected results are computed here, from what the panels say they show, and not from their queries.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import subprocess
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs
import pytest
import yaml

from boards import NAMES, Asked, of_annotations, of_panels
from ironpost_core.metrics import SEVERITIES, MetricSpec, describe_all
from monitoring.pictures.substitute import substitute
from real import program

#: A scrape each 15 s for 30 hours, and 7 s later a look: no window begins or ends at a sample.
SCRAPE, SCRAPES = 15, 7_200
END = SCRAPE * SCRAPES
NOW = END + 7
#: Counters change their pace 25 hours and 45 s before the end, so that each window in use sees another mean.
TURNS = (1_200, SCRAPES - 3, SCRAPES)
#: A graph's step at which `$__rate_interval` (75 s) is no other window.
GRAPH_STEP = 60
SHORT, MINUTE, FIVE, HOUR, DAY = 75, 60, 300, 3_600, 26 * 3_600
#: Values of labels that the catalogue leaves open.
OPEN = {"module": ("guard", "logs"), "version": ("1.0",), "commit": ("c0ffee",), "python_version": ("3.13",)}
PROCESS = ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds")
#: Observations in a histogram's buckets between two scrapes: most in the third, few in the last, beyond them none.
SHAPE = (4, 20, 40, 20, 8, 3, 2, 1, 1)

#: Labels as PromQL writes them, without braces → value.
Samples: TypeAlias = dict[str, float]


@attrs.frozen
class Series:
    """One series: a counter with its gain between two scrapes before, between and after the turns, or a constant."""

    name: str
    labels: Mapping[str, str]
    gains: tuple[int, int, int] | None = None
    value: int = 0
    length: int = SCRAPES

    def at(self, scrape: int) -> int:
        if self.gains is None:
            return self.value
        reached = 0
        for begin, end, gain in zip((0, *TURNS[:-1]), TURNS, self.gains, strict=True):
            reached += max(0, min(scrape, end) - begin) * gain
        return reached

    def gained(self, seconds: int) -> float:
        """Over the last `seconds` as Prometheus extrapolates: one scrape less than fits is within."""
        within = seconds // SCRAPE - 1
        return (self.at(SCRAPES) - self.at(SCRAPES - within)) / (within * SCRAPE) * seconds

    def input(self) -> dict[str, str]:
        if self.gains is None:
            values = f"{self.value}+0x{self.length}"
        else:
            begins = (0, *(turn + 1 for turn in TURNS[:-1]))
            parts = zip(begins, TURNS, self.gains, strict=True)
            values = " ".join(f"{self.at(begin)}+{gain}x{end - begin}" for begin, end, gain in parts)
        return {"series": f"{self.name}{{{_written(self.labels)}}}", "values": values}


def _written(labels: Mapping[str, str]) -> str:
    return ", ".join(f'{label}="{value}"' for label, value in sorted(labels.items()))


def _number(name: str, labels: Mapping[str, str]) -> int:
    """Some number that each series has for itself."""
    return zlib.crc32(f"{name} {_written(labels)}".encode())


def _counter(name: str, labels: Mapping[str, str]) -> Series:
    number = _number(name, labels)
    return Series(name, labels, (1 + number % 97, 1 + number % 89, 1 + number % 83))


def _gauge(name: str, labels: Mapping[str, str]) -> Series:
    value = 1 + _number(name, labels) % 9_973
    if name.endswith("_size_bytes"):
        value += 10_000  # more than what is available of it
    if name.endswith("_build_info"):
        value = 1
    if name.endswith("_plugin_up"):
        value = 0 if (labels["module"], labels["instance"]) == ("guard", "b") else 1
    if name.endswith("_last_update_timestamp"):
        value = 0 if labels["instance"] == "a" else END - 2 * HOUR
    return Series(name, labels, value=value)


def _buckets(spec: MetricSpec, labels: Mapping[str, str]) -> Iterator[Series]:
    name, gains = f"{spec.full_name}_bucket", (0, 0, 0)
    shape = itertools.chain(SHAPE, itertools.repeat(0))
    for bound, weight in zip((*map(str, spec.buckets), "+Inf"), shape, strict=False):
        number = _number(name, {**labels, "le": bound})
        added = (weight * (1 + number % 7), weight * (1 + number % 5), weight * (1 + number % 3))
        gains = (gains[0] + added[0], gains[1] + added[1], gains[2] + added[2])
        yield Series(name, {**labels, "le": bound}, gains)


def _of_host(host: str) -> Iterator[Series]:
    place = {"instance": host, "job": "ironpost"}
    for spec in describe_all():
        for values in itertools.product(*(known or OPEN[label] for label, known in spec.labels.items())):
            labels = {**dict(zip(spec.labels, values, strict=True)), **place}
            if spec.kind == "histogram":
                yield from _buckets(spec, labels)
            else:
                yield (_counter if spec.kind == "counter" else _gauge)(spec.full_name, labels)
    for name in PROCESS:
        yield (_counter if name.endswith("_total") else _gauge)(name, place)


def _aside() -> Iterator[Series]:
    """What must not show: an older build, hosts that fell silent 1 and 25 hours ago, another program's process."""
    for host, hours in (("a", 1), ("c", 1), ("d", 25)):
        place = {"instance": host, "job": "ironpost"}
        length = (END - hours * HOUR) // SCRAPE
        yield Series("ironpost_daemon_build_info", {**place, "version": "0.9"}, value=1, length=length)
    for name in PROCESS:
        yield (_counter if name.endswith("_total") else _gauge)(name, {"instance": "a", "job": "node"})


_OLDEST = Series(
    "ironpost_sbom_scanner_vulndb_last_update_timestamp", {"instance": "e", "job": "ironpost"}, value=END - 3 * HOUR
)
WORLD = [*_of_host("a"), *_of_host("b"), _OLDEST]


def _grouped(
    name: str, by: str, how: Callable[[list[float]], float], of: Callable[[Series], float], **only: str
) -> Samples:
    found: dict[str, list[float]] = defaultdict(list)
    for series in WORLD:
        if series.name in (name, f"ironpost_{name}") and only.items() <= series.labels.items():
            found[_written({label: series.labels[label] for label in by.split()})].append(of(series))
    assert found, f"no series {name} {only}"
    return {labels: how(values) for labels, values in found.items()}


def held(name: str, by: str = "", how: Callable[[list[float]], float] = sum, **only: str) -> Samples:
    """A gauge's values, together by the labels named."""
    return _grouped(name, by, how, lambda series: series.value, **only)


def gained(name: str, seconds: int, by: str = "", **only: str) -> Samples:
    """What counters gained lately, together by the labels named."""
    return _grouped(name, by, sum, lambda series: series.gained(seconds), **only)


def rate(name: str, by: str = "", seconds: int = FIVE, **only: str) -> Samples:
    """A second's gain."""
    return each(lambda gain: gain / seconds, gained(name, seconds, by, **only))


def each(of: Callable[..., float], *samples: Samples) -> Samples:
    """Values with the same labels made into one."""
    assert len({frozenset(one) for one in samples}) == 1
    return {labels: of(*(one[labels] for one in samples)) for labels in samples[0]}


def quantile(share: float, name: str, seconds: int = FIVE) -> Samples:
    """Within its bucket a quantile lies as far as its rank does."""
    by_bound = gained(f"{name}_bucket", seconds, "le")
    buckets = sorted((float(labels[len('le="') : -1]), count) for labels, count in by_bound.items())
    rank = share * buckets[-1][1]
    low, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            return {"": low + (bound - low) * (rank - below) / (count - below)}
        low, below = bound, count
    raise AssertionError(name)


def _overview() -> Iterator[tuple[str, Samples]]:
    yield "Daemon uptime", held("daemon_uptime_seconds", how=min)
    yield "Active plugins", held("daemon_plugins_registered")
    yield "Events per minute", gained("log_pipeline_logs_collected_total", MINUTE)
    yield "Alerts per minute", gained("daemon_alerts_total", MINUTE)
    yield "Monitored containers", held("container_guard_monitored_containers")
    yield "Event rate | log lines", rate("log_pipeline_logs_collected_total")
    for severity in SEVERITIES:
        yield f"Alert rate | {severity}", rate("daemon_alerts_total", severity=severity)
        yield f"CVE distribution | {severity}", held("sbom_scanner_cves_found", severity=severity)
    yield "Isolation actions | {{result}}", gained("container_guard_isolations_total", SHORT, "result")
    yield "eBPF throughput | all protocols", held("ebpf_bits_per_second", protocol="total")


def _log_pipeline() -> Iterator[tuple[str, Samples]]:
    read, unread = rate("log_pipeline_logs_processed_total"), rate("log_pipeline_parse_errors_total")
    yield "Collection rate | collected", rate("log_pipeline_logs_collected_total")
    yield "Processing rate | processed", read
    yield "Error rate | {{format}}", rate("log_pipeline_parse_errors_total", "format")
    yield "Error ratio", each(lambda good, bad: bad / (good + bad), read, unread)
    yield "Rule match rate | matches", rate("log_pipeline_rule_matches_total")
    yield "Alert send rate | alerts", rate("log_pipeline_alerts_sent_total")
    yield "Buffer size | lines", held("log_pipeline_buffer_size")
    yield "Dropped logs | by the buffer", gained("log_pipeline_logs_dropped_total", SHORT)
    yield "Dropped logs | by the kernel", gained("log_pipeline_socket_drops_total", SHORT)
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        latency = quantile(share, "log_pipeline_processing_duration_seconds")
        yield f"Processing latency {name} | {name}", latency


def _security() -> Iterator[tuple[str, Samples]]:
    isolations, database = "container_guard_isolations_total", "sbom_scanner_vulndb_last_update_timestamp"
    for severity in SEVERITIES:
        yield f"CVEs by severity | {severity}", held("sbom_scanner_cves_found", severity=severity)
    yield "Critical CVEs", held("sbom_scanner_cves_found", severity="critical")
    yield "High CVEs", held("sbom_scanner_cves_found", severity="high")
    yield "Scan duration p95 | p95", quantile(0.95, "sbom_scanner_scan_duration_seconds", DAY)
    yield "Scans per hour | scans", gained("sbom_scanner_scans_completed_total", HOUR)
    yield "Policy violations | violations", gained("container_guard_policy_violations_total", SHORT)
    succeeded, tried = gained(isolations, DAY, result="success"), gained(isolations, DAY)
    yield "Isolation success rate", each(lambda part, whole: part / whole, succeeded, tried)
    yield "Isolation actions by type | {{action}} {{result}}", gained(isolations, SHORT, "action result")
    yield "Blocked packets | blocked", rate("ebpf_packets_blocked_total")
    yield "Protocol distribution | {{protocol}}", rate("ebpf_protocol_packets_total", "protocol")
    yield "Packets per second by protocol | {{protocol}}", held("ebpf_packets_per_second", "protocol")
    yield "Vulnerability database age", held(database, how=lambda built: NOW - min(filter(None, built)))
    yield "Packets seen | packets", rate("ebpf_packets_total")
    yield "Bytes seen | bytes", rate("ebpf_bytes_total")
    yield "XDP time per packet | p50", quantile(0.5, "ebpf_xdp_processing_duration_seconds")
    yield "XDP time per packet | p99", quantile(0.99, "ebpf_xdp_processing_duration_seconds")
    yield "Guard at work | looked at", gained("container_guard_alerts_processed_total", SHORT)
    yield "Guard at work | failed", gained("container_guard_isolation_failures_total", SHORT)
    yield "Policies", held("container_guard_policies_loaded")
    yield "Packages scanned | {{ecosystem}}", gained("sbom_scanner_packages_scanned_total", DAY, "ecosystem")


def _plugins() -> Iterator[tuple[str, Samples]]:
    refused, dropped = gained("daemon_alerts_refused_total", HOUR), gained("daemon_alerts_dropped_total", HOUR)
    build = "version commit python_version"
    yield "Hosts gone", {"": 1}
    yield "Failed plugins", {"": 1}
    yield "Restarts (1 h)", gained("daemon_plugin_restarts_total", HOUR)
    yield "Alerts lost (1 h)", each(lambda *parts: sum(parts), refused, dropped)
    yield "History failures (1 h)", gained("daemon_history_failures_total", HOUR)
    yield "Hosts by version | {{version}} {{commit}} {{python_version}}", held("daemon_build_info", build, how=len)
    yield "Plugins up | {{module}}", {'module="guard"': 0, 'module="logs"': 1}
    yield "Restarts | {{module}}", gained("daemon_plugin_restarts_total", SHORT, "module")
    yield "Configuration reloads | {{result}}", gained("daemon_config_reloads_total", SHORT, "result")
    yield "Alerts by plugin | {{module}}", rate("daemon_alerts_total", "module")
    yield "Alert queue | {{module}}", held("daemon_alert_queue_size", "module")
    yield "Alerts refused | {{module}}", gained("daemon_alerts_refused_total", SHORT, "module")
    yield "Alerts dropped | {{module}}", gained("daemon_alerts_dropped_total", SHORT, "module")
    yield "Sink failures | {{module}}", gained("daemon_sink_failures_total", SHORT, "module")
    yield "Metric reader failures | {{module}}", gained("daemon_plugin_reader_failures_total", SHORT, "module")
    yield "Daemon CPU | {{instance}}", rate("process_cpu_seconds_total", "instance job")
    yield "Daemon memory | {{instance}}", held("process_resident_memory_bytes", "instance job")
    yield "Open descriptors | {{instance}}", held("process_open_fds", "instance job")
    yield from _host()


def _host() -> Iterator[tuple[str, Samples]]:
    modes = [rate("system_cpu_seconds_total", "instance", mode=mode) for mode in ("idle", *BUSY)]
    yield "Host CPU | {{instance}}", each(lambda idle, *busy: sum(busy) / (idle + sum(busy)), *modes)
    memory = (held(f"system_memory_{what}_bytes", "instance") for what in ("available", "size"))
    yield "Host memory in use | {{instance}}", each(lambda free, size: (size - free) / size, *memory)
    space = (held(f"system_filesystem_{what}_bytes", "instance filesystem") for what in ("available", "size"))
    yield "Disk space left | {{instance}} {{filesystem}}", each(lambda free, size: free / size, *space)
    yield "Disk traffic | read", rate("system_disk_read_bytes_total")
    yield "Disk traffic | written", rate("system_disk_written_bytes_total")


BUSY = ("user", "nice", "system", "iowait", "irq", "softirq", "steal")
MEANT: dict[str, Samples] = {
    f"{board}: {row}": samples
    for board, rows in zip(NAMES, (_overview(), _log_pipeline(), _security(), _plugins()), strict=True)
    for row, samples in rows
}


def _row(asked: Asked) -> str:
    return asked.place if asked.legend == asked.title else f"{asked.place} | {asked.legend}"


PANELS = {_row(asked): asked for asked in of_panels()}
ANNOTATIONS = {asked.title: asked for asked in of_annotations()}
#: The host of 12 000 lines a minute is heard from, the one of 36 000 not any more since ten minutes.
ONE_IS_GONE = {
    "ironpost-plugins: Hosts gone": 1,
    "ironpost-overview: Daemon uptime": 5_000,
    "ironpost-overview: Events per minute": 12_000,
}
#: Where nothing happens there is nothing to see of quotients and quantiles, except where the panel says 0.
WHILE_IDLE: dict[str, Samples] = {
    "ironpost-log-pipeline: Error ratio": {"": 0},
    "ironpost-log-pipeline: Processing latency p50 | p50": {},
    "ironpost-log-pipeline: Processing latency p95 | p95": {},
    "ironpost-log-pipeline: Processing latency p99 | p99": {},
    "ironpost-security: Scan duration p95 | p95": {},
    "ironpost-security: Isolation success rate": {},
    "ironpost-security: Vulnerability database age": {},
    "ironpost-security: XDP time per packet | p50": {},
    "ironpost-security: XDP time per packet | p99": {},
    "ironpost-plugins: Disk space left | {{instance}} {{filesystem}}": {},
}
#: A host has memory, and its CPUs' time passes.
NEVER_IDLE = {"ironpost-plugins: Host CPU | {{instance}}", "ironpost-plugins: Host memory in use | {{instance}}"}
#: What each annotation marks: a counter's name and labels.
MARKED = {
    "Isolations": ("ironpost_container_guard_isolations_total", {"action": "stop", "result": "success"}),
    "Failed isolations": ("ironpost_container_guard_isolations_total", {"action": "stop", "result": "failure"}),
    "Reloads": ("ironpost_daemon_config_reloads_total", {"result": "success"}),
    "Failed reloads": ("ironpost_daemon_config_reloads_total", {"result": "failure"}),
}
QUARTER = 900
#: Scrapes that first show the event of a host: one each minute of a quarter of an hour, at all places of a minute.
RISES = [2 * QUARTER + 15 + 60 * number + 15 * (number % 4) for number in range(15)]


@attrs.frozen
class Check:
    """One evaluation: `about` what, in which group of series, at which second, and what must come of it."""

    about: str
    group: str
    expr: str
    at: int
    expected: Samples

    def test(self) -> dict[str, Any]:
        samples = [{"labels": f"{{{labels}}}", "value": value} for labels, value in self.expected.items()]
        return {"expr": self.expr, "eval_time": f"{self.at}s", "exp_samples": samples}


def _check(row: str, group: str, at: int, expected: Samples) -> Check:
    """Rounded on both sides in the same way, because promtool compares bit by bit."""
    expr = substitute(PANELS[row].expr, step_seconds=GRAPH_STEP)
    per_unit = 1e6 if all(value == 0 or value > 1e-3 for value in expected.values()) else 1e12
    rounded = {labels: math.floor(value * per_unit + 0.5) / per_unit for labels, value in expected.items()}
    return Check(row, group, f"floor(({expr}) * {per_unit:g} + 0.5) / {per_unit:g}", at, rounded)


def _checks() -> Iterator[Check]:
    for row in PANELS.keys() & MEANT.keys():
        yield _check(row, "world", NOW, MEANT[row])
    for row in PANELS.keys() & ONE_IS_GONE.keys():
        yield _check(row, "gone", HOUR + 7, {"": ONE_IS_GONE[row]})
    for row in PANELS.keys() & WHILE_IDLE.keys():
        yield _check(row, "idle", QUARTER, WHILE_IDLE[row])
    for row in PANELS.keys() - NEVER_IDLE:
        expr = substitute(PANELS[row].expr, step_seconds=GRAPH_STEP)
        yield Check(row, "idle", f"({expr}) != ({expr})", QUARTER, {})  # NaN alone differs from itself
    for name in ANNOTATIONS.keys() & MARKED.keys():
        yield from _marks(name)


def _marks(name: str) -> Iterator[Check]:
    """At a step of a minute each host's event then and not before or long after; at a quarter of an hour all."""

    def check(host: str, step: int, at: int, *marked: str) -> Check:
        expr = substitute(ANNOTATIONS[name].expr, step_seconds=step, instance=host)
        return Check(name, "events", f"sgn({expr})", at, {f'instance="{one}"': 1 for one in marked})

    hosts = [f"{name} {number}" for number in range(len(RISES))]
    for host, rise in zip(hosts, RISES, strict=True):
        before = (rise - 1) // 60 * 60
        yield check(host, 60, before)
        yield check(host, 60, before + 60, host)
        yield check(host, 60, before + 60 + 180)
    yield check(".+", QUARTER, 2 * QUARTER)
    yield check(".+", QUARTER, 3 * QUARTER, *hosts)
    yield check(".+", QUARTER, 5 * QUARTER)


def _one_gone() -> Iterator[dict[str, str]]:
    for host, lines, uptime, last in (("a", 3_000, 5_000, 240), ("b", 9_000, 100, 200)):
        labels = f'{{instance="{host}", job="ironpost"}}'
        yield {"series": f"ironpost_daemon_build_info{labels}", "values": f"1+0x{last}"}
        yield {"series": f"ironpost_daemon_uptime_seconds{labels}", "values": f"{uptime}+0x{last}"}
        yield {"series": f"ironpost_log_pipeline_logs_collected_total{labels}", "values": f"0+{lines}x{last}"}


def _events() -> Iterator[dict[str, str]]:
    for name, (counter, labels) in MARKED.items():
        for number, rise in enumerate(RISES):
            place = {**labels, "instance": f"{name} {number}", "job": "ironpost"}
            values = f"0+0x{rise // SCRAPE - 1} 1+0x{5 * QUARTER // SCRAPE}"
            yield {"series": f"{counter}{{{_written(place)}}}", "values": values}


CHECKS = list(_checks())


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], str]:
    """Expression and second of each evaluation whose result is not the expected one → what promtool says."""
    idle = [attrs.evolve(one, gains=None, value=7 if one.gains else 0, length=QUARTER // SCRAPE) for one in WORLD]
    groups = {
        "world": [one.input() for one in (*WORLD, *_aside())],
        "idle": [one.input() for one in idle],
        "gone": list(_one_gone()),
        "events": list(_events()),
    }
    tests = [
        {
            "name": group,
            "interval": f"{SCRAPE}s",
            "input_series": series,
            "promql_expr_test": [check.test() for check in CHECKS if check.group == group],
        }
        for group, series in groups.items()
    ]
    file = tmp_path_factory.mktemp("meaning") / "tests.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": f"{SCRAPE}s", "tests": tests}))
    done = subprocess.run([program("promtool"), "test", "rules", str(file)], capture_output=True, text=True)
    found = dict(map(_failure, done.stderr.split("    expr: ")[1:]))
    assert bool(found) == (done.returncode != 0), done.stdout + done.stderr
    return found


def _failure(text: str) -> tuple[tuple[str, int], str]:
    expr, length = json.JSONDecoder().raw_decode(text)
    said = re.match(r", time: (\w+),\s*(.*)", text[length:], re.DOTALL)
    assert said is not None, text
    seconds = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
    at = sum(int(number) * seconds[unit] for number, unit in re.findall(r"(\d+)([dhms])", said[1]))
    return (expr, at), said[2]


def _assert_right(wrong: Mapping[tuple[str, int], str], about: str, groups: str) -> None:
    checks = [check for check in CHECKS if check.about == about and check.group in groups.split()]
    assert checks
    failed = [check for check in checks if (check.expr, check.at) in wrong]
    assert not failed, "\n".join(f"{one.expr}\n{wrong[one.expr, one.at]}" for one in failed)


def test_each_query_has_a_row_and_each_row_a_query():
    assert len(PANELS) == len(list(of_panels())), "two queries of a panel have the same name"
    assert sorted(PANELS.keys() - MEANT.keys()) == [], "add a row that says what they must yield"
    rows = MEANT.keys() | ONE_IS_GONE.keys() | WHILE_IDLE.keys() | NEVER_IDLE
    assert sorted(rows - PANELS.keys()) == [], "rows without a query"
    assert ANNOTATIONS.keys() == MARKED.keys()
    quotients = {row for row, asked in PANELS.items() if " / " in asked.expr or "quantile" in asked.expr}
    assert sorted(quotients - WHILE_IDLE.keys() - NEVER_IDLE) == [], "say what they yield while nothing happens"


def test_the_series_tell_quantiles_and_windows_apart():
    name = "log_pipeline_processing_duration_seconds"
    bounds = (*next(spec.buckets for spec in describe_all() if spec.name == name), math.inf)
    quantiles = [quantile(share, name)[""] for share in (0.5, 0.95, 0.99)]
    assert len({sum(bound < value for bound in bounds) for value in quantiles}) == 3
    windows = (MINUTE, SHORT, FIVE, HOUR, 24 * HOUR, DAY)
    for series in WORLD:
        if series.gains and len(set(series.gains)) == 3:
            assert len({series.gained(seconds) / seconds for seconds in windows}) == len(windows)


@pytest.mark.real
@pytest.mark.parametrize("row", [row for row in PANELS if row in MEANT])
def test_a_query_yields_what_its_panel_says(wrong: Mapping[tuple[str, int], str], row: str) -> None:
    _assert_right(wrong, row, "world")


@pytest.mark.real
@pytest.mark.parametrize("row", ONE_IS_GONE)
def test_a_host_that_is_gone_is_missed_and_counts_no_more(wrong: Mapping[tuple[str, int], str], row: str) -> None:
    _assert_right(wrong, row, "gone")


@pytest.mark.real
@pytest.mark.parametrize("row", [row for row in PANELS if row not in NEVER_IDLE])
def test_a_query_is_never_nan_while_nothing_happens(wrong: Mapping[tuple[str, int], str], row: str) -> None:
    _assert_right(wrong, row, "idle")


@pytest.mark.real
@pytest.mark.parametrize("name", MARKED)
def test_an_annotation_marks_each_event_on_its_host_and_nothing_else(
    wrong: Mapping[tuple[str, int], str], name: str
) -> None:
    _assert_right(wrong, name, "events")
