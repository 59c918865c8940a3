"""What was found and what was done about it: vulnerabilities, isolations, packets."""

from __future__ import annotations

from ironpost_core import metrics as m
from monitoring.generator.frame import SECURITY, Row, dashboard
from monitoring.generator.panels import (
    SEVERITY_COLOURS,
    Panel,
    Query,
    bars,
    by_severity,
    course,
    dial,
    incidents,
    number,
    pie,
)
from monitoring.generator.queries import (
    SUCCESS,
    age,
    increase,
    lately,
    quantile,
    rate,
    ratio_if_any,
    total,
)

#: Covers the usual pause between two scans, and what happens hardly ever.
DAY = "26h"
_DAYS = 86_400.0
_ACTION_COLOURS = {
    "disconnect success": "light-green",
    "pause success": "green",
    "stop success": "dark-green",
    "disconnect failure": "light-red",
    "pause failure": "red",
    "stop failure": "dark-red",
}


def build() -> str:
    """The dashboard as JSON."""
    about = "Vulnerabilities, isolated containers and packets on the chosen hosts."
    return dashboard(SECURITY, about, [_vulnerabilities(), _containers(), _packets(), _more()])


def _vulnerabilities() -> Row:
    severities = Panel(
        "CVEs by severity",
        "Open findings, the union over the latest scans of all targets.",
        by_severity(total, m.SBOM_SCANNER_CVES_FOUND),
        width=8,
        unit="short",
        draw=bars,
        colours=SEVERITY_COLOURS,
    )
    critical = Panel(
        "Critical CVEs",
        "Open findings of critical severity; 0 also while nothing was scanned.",
        total(m.SBOM_SCANNER_CVES_FOUND, severity="critical"),
        width=4,
        unit="short",
        draw=number,
        steps={None: "green", 1: "red"},
    )
    high = Panel(
        "High CVEs",
        "Open findings of high severity; 0 also while nothing was scanned.",
        total(m.SBOM_SCANNER_CVES_FOUND, severity="high"),
        width=4,
        unit="short",
        draw=number,
        steps={None: "green", 1: "orange"},
    )
    duration = Panel(
        "Scan duration p95",
        "95 % of the scans of the last day took no longer than this (at most: 300 s).",
        [Query(quantile(0.95, m.SBOM_SCANNER_SCAN_DURATION_SECONDS, DAY), "p95")],
        width=4,
        unit="s",
        draw=number,
        idle=("no scan", "text"),
    )
    scans = Panel(
        "Scans per hour",
        "Scans completed, by the last hour's rate. With one scan a day it is 0 most of the time.",
        [Query(f"{rate(m.SBOM_SCANNER_SCANS_COMPLETED_TOTAL, '1h')} * 3600", "scans")],
        width=4,
        unit="short",
        draw=number,
    )
    return Row(7, [severities, critical, high, duration, scans])


def _containers() -> Row:
    violations = Panel(
        "Policy violations",
        "Alerts that matched a policy and a container.",
        [Query(lately(m.CONTAINER_GUARD_POLICY_VIOLATIONS_TOTAL), "violations")],
        width=9,
        unit="short",
        draw=incidents,
        colours={"violations": "orange"},
    )
    isolations = m.CONTAINER_GUARD_ISOLATIONS_TOTAL
    success = Panel(
        "Isolation success rate",
        "Share of the last day's isolation actions that succeeded. Below 100 % a container may still be reachable.",
        ratio_if_any(increase(isolations, DAY, result=SUCCESS), increase(isolations, DAY)),
        width=6,
        unit="percentunit",
        draw=dial,
        steps={None: "red", 0.9: "orange", 1: "green"},
        idle=("no isolation", "text"),
    )
    actions = Panel(
        "Isolation actions by type",
        "Actions of the guard; dry runs are not among them.",
        [Query(lately(isolations, by="action, result"), "{{action}} {{result}}")],
        width=9,
        unit="short",
        draw=incidents,
        colours=_ACTION_COLOURS,
    )
    return Row(8, [violations, success, actions])


def _packets() -> Row:
    blocked = Panel(
        "Blocked packets",
        "Packets that the XDP program dropped.",
        [Query(rate(m.EBPF_PACKETS_BLOCKED_TOTAL), "blocked")],
        width=7,
        unit="cps",
        draw=course,
        colours={"blocked": "red"},
    )
    protocols = Panel(
        "Protocol distribution",
        "Packets seen by protocol.",
        [Query(rate(m.EBPF_PROTOCOL_PACKETS_TOTAL, by="protocol"), "{{protocol}}")],
        width=5,
        unit="pps",
        draw=pie,
    )
    per_second = Panel(
        "Packets per second by protocol",
        "The current rate as the XDP program's reader measures it.",
        [Query(total(m.EBPF_PACKETS_PER_SECOND, by="protocol"), "{{protocol}}")],
        width=8,
        unit="pps",
        draw=course,
    )
    database = Panel(
        "Vulnerability database age",
        "Time since the database was built; of the hosts that have one, the oldest. Orange after a week, red after a "
        "month. Newer vulnerabilities than this are not found.",
        age(m.SBOM_SCANNER_VULNDB_LAST_UPDATE),
        width=4,
        unit="s",
        draw=number,
        steps={None: "green", 7 * _DAYS: "orange", 30 * _DAYS: "red"},
        idle=("no database", "orange"),
    )
    return Row(8, [blocked, protocols, per_second, database])


def _more() -> Row:
    """Beyond the design's twelve: the rest of what these three plugins measure."""
    packets = Panel(
        "Packets seen",
        "All packets that pass the XDP program.",
        [Query(rate(m.EBPF_PACKETS_TOTAL), "packets")],
        width=4,
        unit="pps",
        draw=course,
    )
    volume = Panel(
        "Bytes seen",
        "All bytes that pass the XDP program.",
        [Query(rate(m.EBPF_BYTES_TOTAL), "bytes")],
        width=4,
        unit="Bps",
        draw=course,
    )
    per_packet = Panel(
        "XDP time per packet",
        "Time spent in the kernel on one packet, sampled about once in 64.",
        [
            Query(quantile(0.5, m.EBPF_XDP_PROCESSING_DURATION_SECONDS), "p50"),
            Query(quantile(0.99, m.EBPF_XDP_PROCESSING_DURATION_SECONDS), "p99"),
        ],
        width=5,
        unit="s",
        draw=course,
        idle=("idle", "text"),
    )
    guard = Panel(
        "Guard at work",
        "Alerts that the guard looked at, and isolation actions that failed.",
        [
            Query(lately(m.CONTAINER_GUARD_ALERTS_PROCESSED_TOTAL), "looked at"),
            Query(lately(m.CONTAINER_GUARD_ISOLATION_FAILURES_TOTAL), "failed"),
        ],
        width=5,
        unit="short",
        draw=incidents,
        colours={"failed": "red"},
    )
    policies = Panel(
        "Policies",
        "Policies in force, on all chosen hosts together.",
        total(m.CONTAINER_GUARD_POLICIES_LOADED),
        width=2,
        unit="short",
        draw=number,
    )
    packages = Panel(
        "Packages scanned",
        "Packages that the scans of the last day looked at, by ecosystem.",
        [Query(increase(m.SBOM_SCANNER_PACKAGES_SCANNED_TOTAL, DAY, by="ecosystem"), "{{ecosystem}}")],
        width=4,
        unit="short",
        draw=bars,
    )
    return Row(8, [packets, volume, per_packet, guard, policies, packages])
