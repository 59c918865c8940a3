"""The metric catalogue: every metric that ironpost's own packages export, once, as data.

Neighbours: `instruments` builds prometheus_client objects from these specs; the daemon registers them.
Imports nothing but attrs, so that a generator of dashboards or docs can read it anywhere.
"""

from __future__ import annotations

import math
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PREFIX = "ironpost_"

EBPF_PACKETS_TOTAL = "ebpf_packets_total"
EBPF_PACKETS_BLOCKED_TOTAL = "ebpf_packets_blocked_total"
EBPF_BYTES_TOTAL = "ebpf_bytes_total"
EBPF_PROTOCOL_PACKETS_TOTAL = "ebpf_protocol_packets_total"
EBPF_XDP_PROCESSING_DURATION_SECONDS = "ebpf_xdp_processing_duration_seconds"
EBPF_PACKETS_PER_SECOND = "ebpf_packets_per_second"
EBPF_BITS_PER_SECOND = "ebpf_bits_per_second"
LOG_PIPELINE_LOGS_COLLECTED_TOTAL = "log_pipeline_logs_collected_total"
LOG_PIPELINE_LOGS_PROCESSED_TOTAL = "log_pipeline_logs_processed_total"
LOG_PIPELINE_PARSE_ERRORS_TOTAL = "log_pipeline_parse_errors_total"
LOG_PIPELINE_RULE_MATCHES_TOTAL = "log_pipeline_rule_matches_total"
LOG_PIPELINE_ALERTS_SENT_TOTAL = "log_pipeline_alerts_sent_total"
LOG_PIPELINE_PROCESSING_DURATION_SECONDS = "log_pipeline_processing_duration_seconds"
LOG_PIPELINE_BUFFER_SIZE = "log_pipeline_buffer_size"
LOG_PIPELINE_LOGS_DROPPED_TOTAL = "log_pipeline_logs_dropped_total"
CONTAINER_GUARD_MONITORED_CONTAINERS = "container_guard_monitored_containers"
CONTAINER_GUARD_POLICY_VIOLATIONS_TOTAL = "container_guard_policy_violations_total"
CONTAINER_GUARD_ISOLATIONS_TOTAL = "container_guard_isolations_total"
CONTAINER_GUARD_ISOLATION_FAILURES_TOTAL = "container_guard_isolation_failures_total"
CONTAINER_GUARD_ALERTS_PROCESSED_TOTAL = "container_guard_alerts_processed_total"
CONTAINER_GUARD_POLICIES_LOADED = "container_guard_policies_loaded"
SBOM_SCANNER_SCANS_COMPLETED_TOTAL = "sbom_scanner_scans_completed_total"
SBOM_SCANNER_CVES_FOUND = "sbom_scanner_cves_found"
SBOM_SCANNER_SCAN_DURATION_SECONDS = "sbom_scanner_scan_duration_seconds"
SBOM_SCANNER_PACKAGES_SCANNED_TOTAL = "sbom_scanner_packages_scanned_total"
SBOM_SCANNER_VULNDB_LAST_UPDATE = "sbom_scanner_vulndb_last_update_timestamp"
DAEMON_UPTIME_SECONDS = "daemon_uptime_seconds"
DAEMON_PLUGINS_REGISTERED = "daemon_plugins_registered"
DAEMON_BUILD_INFO = "daemon_build_info"

# Beyond the 29 that the design fixes.
DAEMON_PLUGIN_UP = "daemon_plugin_up"
DAEMON_PLUGIN_RESTARTS_TOTAL = "daemon_plugin_restarts_total"
DAEMON_PLUGIN_READER_FAILURES_TOTAL = "daemon_plugin_reader_failures_total"
DAEMON_ALERTS_TOTAL = "daemon_alerts_total"
DAEMON_ALERTS_REFUSED_TOTAL = "daemon_alerts_refused_total"
DAEMON_ALERTS_DROPPED_TOTAL = "daemon_alerts_dropped_total"
DAEMON_ALERT_QUEUE_SIZE = "daemon_alert_queue_size"
DAEMON_SINK_FAILURES_TOTAL = "daemon_sink_failures_total"
DAEMON_HISTORY_FAILURES_TOTAL = "daemon_history_failures_total"
DAEMON_CONFIG_RELOADS_TOTAL = "daemon_config_reloads_total"
LOG_PIPELINE_SOCKET_DROPS_TOTAL = "log_pipeline_socket_drops_total"
LOG_PIPELINE_REFUSED_SENDERS_TOTAL = "log_pipeline_refused_senders_total"
LOG_PIPELINE_FRAMING_ERRORS_TOTAL = "log_pipeline_framing_errors_total"
LOG_PIPELINE_FILES_GAPS_TOTAL = "log_pipeline_files_gaps_total"
LOG_PIPELINE_RULES_LOADED = "log_pipeline_rules_loaded"
LOG_PIPELINE_THRESHOLD_EVICTIONS_TOTAL = "log_pipeline_threshold_evictions_total"
SYSTEM_CPU_SECONDS_TOTAL = "system_cpu_seconds_total"
SYSTEM_CPUS = "system_cpus"
SYSTEM_MEMORY_SIZE_BYTES = "system_memory_size_bytes"
SYSTEM_MEMORY_AVAILABLE_BYTES = "system_memory_available_bytes"
SYSTEM_SWAP_SIZE_BYTES = "system_swap_size_bytes"
SYSTEM_SWAP_FREE_BYTES = "system_swap_free_bytes"
SYSTEM_FILESYSTEM_SIZE_BYTES = "system_filesystem_size_bytes"
SYSTEM_FILESYSTEM_AVAILABLE_BYTES = "system_filesystem_available_bytes"
SYSTEM_DISK_READ_BYTES_TOTAL = "system_disk_read_bytes_total"
SYSTEM_DISK_WRITTEN_BYTES_TOTAL = "system_disk_written_bytes_total"

LABEL_PROTOCOL = "protocol"
LABEL_SEVERITY = "severity"
LABEL_MODULE = "module"
LABEL_PARSER_FORMAT = "format"
LABEL_ACTION = "action"
LABEL_ECOSYSTEM = "ecosystem"
LABEL_RESULT = "result"
LABEL_MODE = "mode"
LABEL_FILESYSTEM = "filesystem"
LABEL_REASON = "reason"

PROTOCOLS = ("tcp", "udp", "icmp", "other")
SEVERITIES = ("info", "low", "medium", "high", "critical")
PARSER_FORMATS = ("syslog", "json", "unknown")
ACTIONS = ("disconnect", "pause", "stop")
ECOSYSTEMS = ("alpine", "cargo", "debian", "go", "npm", "pypi", "rubygems", "other")
RESULTS = ("success", "failure")
CPU_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
FILESYSTEMS = ("root", "data")
REFUSALS = ("address", "connections", "tls")

PROCESSING_DURATION_BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0)
SCAN_DURATION_BUCKETS = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
XDP_DURATION_BUCKETS = tuple(2**power * 1e-9 for power in range(5, 17))  # 32 ns to 65 µs

#: What a plugin of this project writes in front of its metrics instead of its name.
PLUGIN_PREFIXES: Mapping[str, str] = MappingProxyType(
    {"ebpf": "ebpf", "guard": "container_guard", "logpipe": "log_pipeline", "sbom": "sbom_scanner"}
)
#: Prefixes that no plugin may claim, besides those of `PLUGIN_PREFIXES` (for the four themselves).
DAEMON_PREFIXES = ("daemon", "system")

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_LABEL_NAME = re.compile(r"[a-z][a-z0-9_]*")
_LIMIT_OF_SERIES = 1000


def _valid_name(spec: MetricSpec, _attribute: object, name: str) -> None:
    if not _NAME.fullmatch(name) or name.startswith(PREFIX):
        raise ValueError(f"metric name {name!r}: lower-case letters, digits and '_', without the prefix {PREFIX!r}")
    if (spec.kind == "counter") != name.endswith("_total"):
        raise ValueError(f"metric name {name!r}: counters, and nothing else, end in '_total'")


def _valid_labels(_spec: MetricSpec, _attribute: object, labels: Mapping[str, tuple[str, ...]]) -> None:
    series = 1
    for label, values in labels.items():
        if not _LABEL_NAME.fullmatch(label) or label in ("le", "quantile"):
            raise ValueError(f"label {label!r}: lower-case letters, digits and '_', not 'le' or 'quantile'")
        if len(set(values)) != len(values):
            raise ValueError(f"label {label!r}: a value stands twice")
        series *= max(1, len(values))
    if series > _LIMIT_OF_SERIES:
        raise ValueError(f"{series} series from one metric; {_LIMIT_OF_SERIES} is the limit")


def _valid_buckets(spec: MetricSpec, _attribute: object, buckets: tuple[float, ...]) -> None:
    if (spec.kind == "histogram") != bool(buckets):
        raise ValueError("a histogram, and nothing else, names its buckets")
    if list(buckets) != sorted(set(buckets)) or not all(map(math.isfinite, buckets)):
        raise ValueError("buckets must rise and be finite; +Inf is added")


def _frozen_labels(labels: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    frozen = {label: () if isinstance(values, str) else tuple(values) for label, values in labels.items()}
    for label, values in frozen.items():
        if isinstance(labels[label], str) or not all(isinstance(value, str) for value in values):
            raise ValueError(f"label {label!r}: its values are given as a tuple of texts")
    return MappingProxyType(frozen)


def _floats(buckets: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(bound) for bound in buckets)


@attrs.frozen(kw_only=True, eq=False)
class MetricSpec:
    """One metric, as data. Identity is equality: declare it once, as a module's constant.

    Attributes:
        name: without the prefix ``ironpost_``; counters end in ``_total``.
        kind: the Prometheus type.
        help: one English sentence without a full stop at its end.
        labels: label name → every value it can take. All combinations are exported at 0 from the start. An empty
            tuple leaves the set to the daemon (names of plugins); a plugin's own labels must be closed.
        buckets: a histogram's upper bounds in its unit, rising, without +Inf.

    Raises:
        ValueError: a name, label or bucket that Prometheus or this project does not allow.
    """

    name: str = attrs.field(validator=_valid_name)
    kind: Literal["counter", "gauge", "histogram"] = attrs.field(
        validator=attrs.validators.in_(("counter", "gauge", "histogram"))
    )
    help: str = attrs.field(validator=attrs.validators.min_len(1))
    labels: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, converter=_frozen_labels, validator=_valid_labels)
    buckets: tuple[float, ...] = attrs.field(default=(), converter=_floats, validator=_valid_buckets)

    @property
    def full_name(self) -> str:
        """The name in the exposition."""
        return PREFIX + self.name

    def series_names(self) -> tuple[str, ...]:
        """Every name that this metric occupies in the exposition, for finding clashes."""
        if self.kind == "histogram":
            return tuple(self.full_name + suffix for suffix in ("", "_bucket", "_count", "_sum", "_created"))
        if self.kind == "counter":
            base = self.full_name.removesuffix("_total")
            return (base, self.full_name, base + "_created")
        return (self.full_name,)


def _counter(name: str, text: str, **labels: tuple[str, ...]) -> MetricSpec:
    return MetricSpec(name=name, kind="counter", help=text, labels=labels)


def _gauge(name: str, text: str, **labels: tuple[str, ...]) -> MetricSpec:
    return MetricSpec(name=name, kind="gauge", help=text, labels=labels)


def _histogram(name: str, text: str, buckets: tuple[float, ...]) -> MetricSpec:
    return MetricSpec(name=name, kind="histogram", help=text, buckets=buckets)


_RATE_PROTOCOLS = (*PROTOCOLS, "total")

_CATALOGUE: Mapping[str, tuple[MetricSpec, ...]] = MappingProxyType(
    {
        "ebpf": (
            _counter(EBPF_PACKETS_TOTAL, "Packets seen by the XDP program"),
            _counter(EBPF_PACKETS_BLOCKED_TOTAL, "Packets dropped by the XDP program"),
            _counter(EBPF_BYTES_TOTAL, "Bytes seen by the XDP program"),
            _counter(EBPF_PROTOCOL_PACKETS_TOTAL, "Packets seen per protocol", protocol=PROTOCOLS),
            _histogram(
                EBPF_XDP_PROCESSING_DURATION_SECONDS,
                "Time spent on one packet in the kernel, sampled about once in 64",
                XDP_DURATION_BUCKETS,
            ),
            _gauge(EBPF_PACKETS_PER_SECOND, "Current packet rate", protocol=_RATE_PROTOCOLS),
            _gauge(EBPF_BITS_PER_SECOND, "Current throughput in bits per second", protocol=_RATE_PROTOCOLS),
        ),
        "logpipe": (
            _counter(LOG_PIPELINE_LOGS_COLLECTED_TOTAL, "Raw log lines received from all sources"),
            _counter(LOG_PIPELINE_LOGS_PROCESSED_TOTAL, "Log lines parsed and evaluated"),
            _counter(LOG_PIPELINE_PARSE_ERRORS_TOTAL, "Log lines that failed to parse", format=PARSER_FORMATS),
            _counter(LOG_PIPELINE_RULE_MATCHES_TOTAL, "Rule matches"),
            _counter(LOG_PIPELINE_ALERTS_SENT_TOTAL, "Alerts handed to the bus"),
            _histogram(
                LOG_PIPELINE_PROCESSING_DURATION_SECONDS,
                "Time spent on one batch of log lines",
                PROCESSING_DURATION_BUCKETS,
            ),
            _gauge(LOG_PIPELINE_BUFFER_SIZE, "Log lines waiting or in the batch being worked on"),
            _counter(LOG_PIPELINE_LOGS_DROPPED_TOTAL, "Log lines dropped because the buffer was full"),
            _counter(LOG_PIPELINE_SOCKET_DROPS_TOTAL, "Datagrams that the kernel dropped before the syslog listener"),
            _counter(
                LOG_PIPELINE_REFUSED_SENDERS_TOTAL,
                "Syslog datagrams and connections refused: sender not allowed, too many connections, or TLS failed",
                reason=REFUSALS,
            ),
            _counter(
                LOG_PIPELINE_FRAMING_ERRORS_TOTAL,
                "Syslog connections whose messages could not be told apart or broke off",
            ),
            _counter(
                LOG_PIPELINE_FILES_GAPS_TOTAL,
                "Times that a followed file was truncated, or gone at a start, so that lines may be missing",
            ),
            _gauge(LOG_PIPELINE_RULES_LOADED, "Rules in force"),
            _counter(LOG_PIPELINE_THRESHOLD_EVICTIONS_TOTAL, "Threshold windows forgotten, the table being full"),
        ),
        "guard": (
            _gauge(CONTAINER_GUARD_MONITORED_CONTAINERS, "Containers watched"),
            _counter(CONTAINER_GUARD_POLICY_VIOLATIONS_TOTAL, "Alerts that matched a policy and a container"),
            _counter(CONTAINER_GUARD_ISOLATIONS_TOTAL, "Isolation actions executed", action=ACTIONS, result=RESULTS),
            _counter(CONTAINER_GUARD_ISOLATION_FAILURES_TOTAL, "Isolation actions that failed"),
            _counter(CONTAINER_GUARD_ALERTS_PROCESSED_TOTAL, "Alerts looked at by the container guard"),
            _gauge(CONTAINER_GUARD_POLICIES_LOADED, "Policies in force"),
        ),
        "sbom": (
            _counter(SBOM_SCANNER_SCANS_COMPLETED_TOTAL, "Scans completed"),
            _gauge(SBOM_SCANNER_CVES_FOUND, "Open findings, the union over all targets", severity=SEVERITIES),
            _histogram(SBOM_SCANNER_SCAN_DURATION_SECONDS, "Time spent on one scan", SCAN_DURATION_BUCKETS),
            _counter(SBOM_SCANNER_PACKAGES_SCANNED_TOTAL, "Packages scanned per ecosystem", ecosystem=ECOSYSTEMS),
            _gauge(
                SBOM_SCANNER_VULNDB_LAST_UPDATE,
                "Unix time at which the vulnerability database was built, 0 when there is none",
            ),
        ),
        "daemon": (
            _gauge(DAEMON_UPTIME_SECONDS, "Seconds since the daemon started"),
            _gauge(DAEMON_PLUGINS_REGISTERED, "Plugins registered and not failed"),
            _gauge(
                DAEMON_BUILD_INFO, "Build of the running daemon, always 1", version=(), commit=(), python_version=()
            ),
            _gauge(DAEMON_PLUGIN_UP, "1 while the plugin runs or waits as configured, 0 when it failed", module=()),
            _counter(DAEMON_PLUGIN_RESTARTS_TOTAL, "Restarts of a plugin's threads after an error", module=()),
            _counter(
                DAEMON_PLUGIN_READER_FAILURES_TOTAL,
                "Scrapes at which a plugin's metric reader failed or was late",
                module=(),
            ),
            _counter(DAEMON_ALERTS_TOTAL, "Alerts stored in the history", module=(), severity=SEVERITIES),
            _counter(DAEMON_ALERTS_REFUSED_TOTAL, "Alerts refused, the publish queue being full", module=()),
            _counter(
                DAEMON_ALERTS_DROPPED_TOTAL,
                "Alerts that a subscriber or sink missed because it lagged too far or failed",
                module=(),
            ),
            _gauge(DAEMON_ALERT_QUEUE_SIZE, "Alerts that a subscriber or sink has still to handle", module=()),
            _counter(DAEMON_SINK_FAILURES_TOTAL, "Failed attempts to deliver to a sink", module=()),
            _counter(DAEMON_HISTORY_FAILURES_TOTAL, "Failed attempts to write the alert history"),
            _counter(DAEMON_CONFIG_RELOADS_TOTAL, "Configuration reloads", result=RESULTS),
        ),
        "system": (
            _counter(
                SYSTEM_CPU_SECONDS_TOTAL, "Seconds that all CPUs together spent in a mode since boot", mode=CPU_MODES
            ),
            _gauge(SYSTEM_CPUS, "CPUs that are online"),
            _gauge(SYSTEM_MEMORY_SIZE_BYTES, "Memory of the host"),
            _gauge(SYSTEM_MEMORY_AVAILABLE_BYTES, "Memory that programs could have without swapping"),
            _gauge(SYSTEM_SWAP_SIZE_BYTES, "Swap space of the host"),
            _gauge(SYSTEM_SWAP_FREE_BYTES, "Swap space that is unused"),
            _gauge(
                SYSTEM_FILESYSTEM_SIZE_BYTES,
                "Size of the file system of / (root) and of general.data_dir (data)",
                filesystem=FILESYSTEMS,
            ),
            _gauge(
                SYSTEM_FILESYSTEM_AVAILABLE_BYTES,
                "Space left for ordinary users in the file system of / (root) and of general.data_dir (data)",
                filesystem=FILESYSTEMS,
            ),
            _counter(SYSTEM_DISK_READ_BYTES_TOTAL, "Bytes read from all whole physical disks together"),
            _counter(SYSTEM_DISK_WRITTEN_BYTES_TOTAL, "Bytes written to all whole physical disks together"),
        ),
    }
)
_EXTRA = frozenset(
    (
        DAEMON_PLUGIN_UP,
        DAEMON_PLUGIN_RESTARTS_TOTAL,
        DAEMON_PLUGIN_READER_FAILURES_TOTAL,
        DAEMON_ALERTS_TOTAL,
        DAEMON_ALERTS_REFUSED_TOTAL,
        DAEMON_ALERTS_DROPPED_TOTAL,
        DAEMON_ALERT_QUEUE_SIZE,
        DAEMON_SINK_FAILURES_TOTAL,
        DAEMON_HISTORY_FAILURES_TOTAL,
        DAEMON_CONFIG_RELOADS_TOTAL,
        LOG_PIPELINE_SOCKET_DROPS_TOTAL,
        LOG_PIPELINE_REFUSED_SENDERS_TOTAL,
        LOG_PIPELINE_FRAMING_ERRORS_TOTAL,
        LOG_PIPELINE_FILES_GAPS_TOTAL,
        LOG_PIPELINE_RULES_LOADED,
        LOG_PIPELINE_THRESHOLD_EVICTIONS_TOTAL,
        *(spec.name for spec in _CATALOGUE["system"]),
    )
)


def describe_all() -> tuple[MetricSpec, ...]:
    """Every spec of the catalogue: the 29 fixed ones and ironpost's further ones."""
    return tuple(spec for specs in _CATALOGUE.values() for spec in specs)


def describe_fixed() -> tuple[MetricSpec, ...]:
    """The 29 metrics whose names the design fixes."""
    return tuple(spec for spec in describe_all() if spec.name not in _EXTRA)


def catalogue_of(owner: str) -> tuple[MetricSpec, ...]:
    """The part of the catalogue that `owner` (a plugin's name, ``daemon`` or ``system``) exports.

    Raises:
        KeyError: the catalogue has no such owner; a third-party plugin declares its own specs.
    """
    return _CATALOGUE[owner]


def spec_of(name: str) -> MetricSpec:
    """The spec with this name (a constant of this module).

    Raises:
        KeyError: no such metric.
    """
    for spec in describe_all():
        if spec.name == name:
            return spec
    raise KeyError(name)


def prefix_of(plugin: str) -> str:
    """What a plugin's metric names begin with (followed by ``_``)."""
    return PLUGIN_PREFIXES.get(plugin, plugin)


def reserved_overlaps(plugin: str) -> Iterator[str]:
    """The reserved prefixes that a third-party plugin of this name would overlap."""
    if plugin in PLUGIN_PREFIXES:
        return
    for prefix in (*DAEMON_PREFIXES, *PLUGIN_PREFIXES.values()):
        if f"{prefix}_".startswith(f"{plugin}_") or f"{plugin}_".startswith(f"{prefix}_"):
            yield prefix
