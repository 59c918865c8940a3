"""The dashboard to begin with: is it alive, what comes in, what was found, what was done."""

from __future__ import annotations

from ironpost_core import metrics as m
from monitoring.generator.frame import LOG_PIPELINE, OVERVIEW, PLUGINS, SECURITY, Row, dashboard
from monitoring.generator.panels import (
    DOWN,
    RESULT_COLOURS,
    SEVERITY_COLOURS,
    Panel,
    Query,
    by_severity,
    course,
    incidents,
    number,
    pie,
    stacked,
)
from monitoring.generator.queries import lately, least, rate, total


def build() -> str:
    """The dashboard as JSON."""
    about = "What ironpost sees and does on the chosen hosts. The links of a panel lead to the details."
    return dashboard(OVERVIEW, about, [_now(), _rates(), _by_plugin()])


def _now() -> Row:
    uptime = Panel(
        "Daemon uptime",
        "Time since the daemon started; of several hosts, the one that started last. Orange: within five minutes.",
        least(m.DAEMON_UPTIME_SECONDS),
        width=5,
        unit="s",
        draw=number,
        steps={None: "orange", 300: "green"},
        idle=DOWN,
        link=PLUGINS,
    )
    plugins = Panel(
        "Active plugins",
        "Plugins that are registered and have not failed, on all chosen hosts together.",
        total(m.DAEMON_PLUGINS_REGISTERED),
        width=5,
        unit="short",
        draw=number,
        steps={None: "red", 1: "green"},
        idle=DOWN,
        link=PLUGINS,
    )
    events = Panel(
        "Events per minute",
        "Log lines received from all sources, by the last minute's rate.",
        f"{rate(m.LOG_PIPELINE_LOGS_COLLECTED_TOTAL, '1m')} * 60",
        width=5,
        unit="short",
        draw=number,
        idle=DOWN,
        link=LOG_PIPELINE,
    )
    alerts = Panel(
        "Alerts per minute",
        "Alerts of all plugins as they reach the history, by the last minute's rate. Ten a minute are an attack or a "
        "rule that is too eager.",
        f"{rate(m.DAEMON_ALERTS_TOTAL, '1m')} * 60",
        width=5,
        unit="short",
        draw=number,
        idle=DOWN,
        steps={None: "green", 10: "orange", 50: "red"},
        link=PLUGINS,
    )
    containers = Panel(
        "Monitored containers",
        "Containers that the guard watches on the chosen hosts.",
        total(m.CONTAINER_GUARD_MONITORED_CONTAINERS),
        width=4,
        unit="short",
        draw=number,
        link=SECURITY,
    )
    return Row(4, [uptime, plugins, events, alerts, containers])


def _rates() -> Row:
    events = Panel(
        "Event rate",
        "Log lines received from all sources.",
        [Query(rate(m.LOG_PIPELINE_LOGS_COLLECTED_TOTAL), "log lines")],
        width=12,
        unit="cps",
        draw=course,
        link=LOG_PIPELINE,
    )
    alerts = Panel(
        "Alert rate",
        "Alerts of all plugins by severity, one on top of the other.",
        by_severity(rate, m.DAEMON_ALERTS_TOTAL),
        width=12,
        unit="cps",
        draw=stacked,
        colours=SEVERITY_COLOURS,
        link=PLUGINS,
    )
    return Row(8, [events, alerts])


def _by_plugin() -> Row:
    isolations = Panel(
        "Isolation actions",
        "What the guard did to containers, by result. Dry runs are not among them.",
        [Query(lately(m.CONTAINER_GUARD_ISOLATIONS_TOTAL, by="result"), "{{result}}")],
        width=8,
        unit="short",
        draw=incidents,
        colours=RESULT_COLOURS,
        link=SECURITY,
    )
    findings = Panel(
        "CVE distribution",
        "Open findings by severity, as of each target's latest scan.",
        by_severity(total, m.SBOM_SCANNER_CVES_FOUND),
        width=8,
        unit="short",
        draw=pie,
        colours=SEVERITY_COLOURS,
        link=SECURITY,
    )
    throughput = Panel(
        "eBPF throughput",
        "Traffic that the XDP program sees, of all protocols together.",
        [Query(total(m.EBPF_BITS_PER_SECOND, protocol="total"), "all protocols")],
        width=8,
        unit="bps",
        draw=course,
        link=SECURITY,
    )
    return Row(8, [isolations, findings, throughput])
