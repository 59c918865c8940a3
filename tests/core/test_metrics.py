from __future__ import annotations

import math
from typing import Any

import pytest

from ironpost_core import metrics
from ironpost_core.metrics import (
    MetricSpec,
    catalogue_of,
    describe_all,
    describe_fixed,
    prefix_of,
    reserved_overlaps,
    spec_of,
)

PROTOCOL = ("tcp", "udp", "icmp", "other")
RATE = (*PROTOCOL, "total")
BATCH = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 10)
SCAN = (0.1, 0.5, 1, 5, 10, 30, 60, 120, 300)
XDP = tuple(nanoseconds / 1e9 for nanoseconds in (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536))

# The design's table, in its order: name, type, labels with their closed values, buckets.
FIXED: list[tuple[str, str, dict[str, tuple[str, ...]], tuple[float, ...]]] = [
    ("ebpf_packets_total", "counter", {}, ()),
    ("ebpf_packets_blocked_total", "counter", {}, ()),
    ("ebpf_bytes_total", "counter", {}, ()),
    ("ebpf_protocol_packets_total", "counter", {"protocol": PROTOCOL}, ()),
    ("ebpf_xdp_processing_duration_seconds", "histogram", {}, XDP),
    ("ebpf_packets_per_second", "gauge", {"protocol": RATE}, ()),
    ("ebpf_bits_per_second", "gauge", {"protocol": RATE}, ()),
    ("log_pipeline_logs_collected_total", "counter", {}, ()),
    ("log_pipeline_logs_processed_total", "counter", {}, ()),
    ("log_pipeline_parse_errors_total", "counter", {"format": ("syslog", "json", "unknown")}, ()),
    ("log_pipeline_rule_matches_total", "counter", {}, ()),
    ("log_pipeline_alerts_sent_total", "counter", {}, ()),
    ("log_pipeline_processing_duration_seconds", "histogram", {}, BATCH),
    ("log_pipeline_buffer_size", "gauge", {}, ()),
    ("log_pipeline_logs_dropped_total", "counter", {}, ()),
    ("container_guard_monitored_containers", "gauge", {}, ()),
    ("container_guard_policy_violations_total", "counter", {}, ()),
    (
        "container_guard_isolations_total",
        "counter",
        {"action": ("disconnect", "pause", "stop"), "result": ("success", "failure")},
        (),
    ),
    ("container_guard_isolation_failures_total", "counter", {}, ()),
    ("container_guard_alerts_processed_total", "counter", {}, ()),
    ("container_guard_policies_loaded", "gauge", {}, ()),
    ("sbom_scanner_scans_completed_total", "counter", {}, ()),
    ("sbom_scanner_cves_found", "gauge", {"severity": ("info", "low", "medium", "high", "critical")}, ()),
    ("sbom_scanner_scan_duration_seconds", "histogram", {}, SCAN),
    (
        "sbom_scanner_packages_scanned_total",
        "counter",
        {"ecosystem": ("alpine", "cargo", "debian", "go", "npm", "pypi", "rubygems", "other")},
        (),
    ),
    ("sbom_scanner_vulndb_last_update_timestamp", "gauge", {}, ()),
    ("daemon_uptime_seconds", "gauge", {}, ()),
    ("daemon_plugins_registered", "gauge", {}, ()),
    ("daemon_build_info", "gauge", {"version": (), "commit": (), "python_version": ()}, ()),
]


def a_spec(**changes: Any) -> MetricSpec:
    fields: dict[str, Any] = {"name": "canary_songs_total", "kind": "counter", "help": "Songs sung"}
    return MetricSpec(**(fields | changes))


def test_the_29_fixed_metrics():
    specs = describe_fixed()
    assert [(spec.name, spec.kind, dict(spec.labels)) for spec in specs] == [row[:3] for row in FIXED]
    assert len(specs) == 29
    for spec, (*_, buckets) in zip(specs, FIXED, strict=True):
        assert spec.buckets == pytest.approx(buckets)


def test_each_constant_names_its_metric():
    constants = {value: name for name, value in vars(metrics).items() if name.isupper() and isinstance(value, str)}
    shortened = {"sbom_scanner_vulndb_last_update_timestamp": "SBOM_SCANNER_VULNDB_LAST_UPDATE"}
    for spec in describe_all():
        assert constants[spec.name] == shortened.get(spec.name, spec.name.upper())


def test_the_label_constants_and_buckets():
    labels = {name: value for name, value in vars(metrics).items() if name.startswith("LABEL_")}
    assert labels == {
        "LABEL_PROTOCOL": "protocol",
        "LABEL_SEVERITY": "severity",
        "LABEL_MODULE": "module",
        "LABEL_PARSER_FORMAT": "format",
        "LABEL_ACTION": "action",
        "LABEL_ECOSYSTEM": "ecosystem",
        "LABEL_RESULT": "result",
        "LABEL_MODE": "mode",
        "LABEL_FILESYSTEM": "filesystem",
        "LABEL_REASON": "reason",
    }
    assert metrics.PROCESSING_DURATION_BUCKETS == BATCH
    assert metrics.SCAN_DURATION_BUCKETS == SCAN


def test_further_metrics_that_the_design_expects():
    further = {spec.name: tuple(spec.labels) for spec in describe_all() if spec not in describe_fixed()}
    expected = {
        "daemon_plugin_up": ("module",),
        "daemon_plugin_restarts_total": ("module",),
        "daemon_alerts_total": ("module", "severity"),
        "daemon_alerts_dropped_total": ("module",),
        "daemon_config_reloads_total": ("result",),
        "log_pipeline_socket_drops_total": (),
        "log_pipeline_refused_senders_total": ("reason",),
        "log_pipeline_framing_errors_total": (),
    }
    assert {name: further.get(name) for name in expected} == expected


def test_what_the_host_itself_exports():
    modes = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    filesystem = {"filesystem": ("root", "data")}
    assert [(spec.name, spec.kind, dict(spec.labels)) for spec in catalogue_of("system")] == [
        ("system_cpu_seconds_total", "counter", {"mode": modes}),
        ("system_cpus", "gauge", {}),
        ("system_memory_size_bytes", "gauge", {}),
        ("system_memory_available_bytes", "gauge", {}),
        ("system_swap_size_bytes", "gauge", {}),
        ("system_swap_free_bytes", "gauge", {}),
        ("system_filesystem_size_bytes", "gauge", filesystem),
        ("system_filesystem_available_bytes", "gauge", filesystem),
        ("system_disk_read_bytes_total", "counter", {}),
        ("system_disk_written_bytes_total", "counter", {}),
    ]


def test_names_are_unique_prefixed_by_their_owner_and_helped_in_one_sentence():
    names = [series for spec in describe_all() for series in spec.series_names()]
    assert len(names) == len(set(names))
    for owner in ("ebpf", "logpipe", "guard", "sbom", "daemon", "system"):
        for spec in catalogue_of(owner):
            assert spec.name.startswith(prefix_of(owner) + "_")
            assert spec.help[0].isupper() or spec.help[0].isdigit()
            assert not spec.help.endswith(".")
            assert "\n" not in spec.help


def test_finding_a_spec():
    assert spec_of(metrics.DAEMON_BUILD_INFO).full_name == "ironpost_daemon_build_info"
    with pytest.raises(KeyError, match="nope"):
        spec_of("nope")
    with pytest.raises(KeyError, match="canary"):
        catalogue_of("canary")


@pytest.mark.parametrize(
    ("changes", "series"),
    [
        ({}, ("ironpost_canary_songs", "ironpost_canary_songs_total", "ironpost_canary_songs_created")),
        ({"name": "canary_age", "kind": "gauge"}, ("ironpost_canary_age",)),
        (
            {"name": "canary_air", "kind": "histogram", "buckets": (1,)},
            tuple("ironpost_canary_air" + end for end in ("", "_bucket", "_count", "_sum", "_created")),
        ),
    ],
)
def test_the_names_that_a_metric_occupies(changes, series):
    assert a_spec(**changes).series_names() == series


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Canary_total"}, "lower-case"),
        ({"name": "canary-songs_total"}, "lower-case"),
        ({"name": "1canary_total"}, "lower-case"),
        ({"name": "canary_total\n"}, "lower-case"),
        ({"name": "ironpost_canary_total"}, "without the prefix"),
        ({"name": "canary_songs"}, "counters, and nothing else"),
        ({"kind": "gauge"}, "counters, and nothing else"),
        ({"name": "canary", "kind": "summary"}, "kind"),
        ({"help": ""}, "help"),
        ({"labels": {"le": ("1",)}}, "not 'le'"),
        ({"labels": {"Tree": ("oak",)}}, "lower-case"),
        ({"labels": {"tree": ("oak", "oak")}}, "twice"),
        ({"labels": {"tree": "oak"}}, "tuple of texts"),
        ({"labels": {"tree": (1, 2)}}, "tuple of texts"),
        ({"labels": {"a": map(str, range(40)), "b": map(str, range(40))}}, "1600 series"),
        ({"labels": {"a": tuple(map(str, range(1001)))}}, "1001 series"),
        ({"buckets": (1.0,)}, "a histogram, and nothing else"),
        ({"name": "canary", "kind": "histogram"}, "a histogram, and nothing else"),
        ({"name": "canary", "kind": "histogram", "buckets": (2, 1)}, "rise"),
        ({"name": "canary", "kind": "histogram", "buckets": (1, 1)}, "rise"),
        ({"name": "canary", "kind": "histogram", "buckets": (1, math.inf)}, "finite"),
        ({"name": "canary", "kind": "histogram", "buckets": (math.nan,)}, "finite"),
    ],
)
def test_a_spec_that_prometheus_would_not_take(changes, message):
    with pytest.raises(ValueError, match=message):
        a_spec(**changes)


def test_specs_are_frozen_and_equal_by_identity():
    spec = a_spec(labels={"tree": ["oak"]})
    assert spec != a_spec(labels={"tree": ["oak"]})
    assert spec.labels == {"tree": ("oak",)}
    with pytest.raises(TypeError):
        spec.labels["tree"] = ()  # type: ignore[index]


@pytest.mark.parametrize(
    ("plugin", "overlaps"),
    [
        ("canary", []),
        ("ebpf", []),
        ("daemon", ["daemon"]),
        ("daemon_more", ["daemon"]),
        ("system", ["system"]),
        ("log", ["log_pipeline"]),
        ("log_pipeline", ["log_pipeline"]),
        ("log_pipeline_x", ["log_pipeline"]),
        ("ebpfx", []),
        ("logs", []),
    ],
)
def test_reserved_prefixes(plugin, overlaps):
    assert list(reserved_overlaps(plugin)) == overlaps
