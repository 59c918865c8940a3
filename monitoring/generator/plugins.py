"""Any plugin, a third party's too: is it up, what does it raise, what is lost; then daemon and host."""

from __future__ import annotations

from ironpost_core import metrics as m
from monitoring.generator.frame import PLUGINS, Row, dashboard
from monitoring.generator.panels import (
    BY_MODULE,
    DOWN,
    RESULT_COLOURS,
    Panel,
    Query,
    bars,
    course,
    incidents,
    number,
    stacked,
    states,
)
from monitoring.generator.queries import count, increase, lately, least, missing, of_process, rate, ratio_if_any, total


def build() -> str:
    """The dashboard as JSON."""
    about = "Every plugin and sink that is installed on the chosen hosts, and what the daemon costs them."
    return dashboard(PLUGINS, about, [_now(), _life(), _alerts(), _losses(), _process(), _host()])


def _now() -> Row:
    failed = Panel(
        "Failed plugins",
        "Plugins that could not be loaded or started; `ironpost plugins` on that host says why.",
        f"{count(m.DAEMON_PLUGIN_UP)} - {total(m.DAEMON_PLUGIN_UP)}",
        width=3,
        unit="short",
        draw=number,
        steps={None: "green", 1: "red"},
        idle=DOWN,
    )
    restarts = Panel(
        "Restarts (1 h)",
        "Threads of plugins that ended with an error and were started again, in the last hour.",
        increase(m.DAEMON_PLUGIN_RESTARTS_TOTAL, "1h"),
        width=3,
        unit="short",
        draw=number,
        steps={None: "green", 1: "orange"},
        idle=DOWN,
    )
    lost = Panel(
        "Alerts lost (1 h)",
        "Alerts that a plugin could not hand over, or that a plugin or sink did not get, in the last hour.",
        f"{increase(m.DAEMON_ALERTS_REFUSED_TOTAL, '1h')} + {increase(m.DAEMON_ALERTS_DROPPED_TOTAL, '1h')}",
        width=4,
        unit="short",
        draw=number,
        steps={None: "green", 1: "red"},
        idle=DOWN,
    )
    history = Panel(
        "History failures (1 h)",
        "Failed attempts of the last hour to write the alert history. Meanwhile alerts wait in memory.",
        increase(m.DAEMON_HISTORY_FAILURES_TOTAL, "1h"),
        width=4,
        unit="short",
        draw=number,
        steps={None: "green", 1: "red"},
        idle=DOWN,
    )
    build = ("version", "commit", "python_version")
    versions = Panel(
        "Hosts by version",
        "Which build how many of the chosen hosts run.",
        [Query(count(m.DAEMON_BUILD_INFO, by=", ".join(build)), " ".join(f"{{{{{label}}}}}" for label in build))],
        width=7,
        unit="short",
        draw=bars,
    )
    gone = Panel(
        "Hosts gone",
        "Hosts that were heard from within a day and are not any more: their daemon or the way to it is down, or they "
        "were taken out of service.",
        missing(),
        width=3,
        unit="short",
        draw=number,
        steps={None: "green", 1: "red"},
        idle=DOWN,
    )
    return Row(5, [gone, failed, restarts, lost, history, versions])


def _life() -> Row:
    up = Panel(
        "Plugins up",
        "By plugin; of several hosts that are heard from, the worst. Failed: it could not be loaded or started.",
        [Query(least(m.DAEMON_PLUGIN_UP, by="module"), BY_MODULE)],
        width=12,
        unit="short",
        draw=states,
        values={1: ("up", "green"), 0: ("failed", "red")},
    )
    restarts = Panel(
        "Restarts",
        "Threads of a plugin that ended with an error and were started again.",
        [Query(lately(m.DAEMON_PLUGIN_RESTARTS_TOTAL, by="module"), BY_MODULE)],
        width=6,
        unit="short",
        draw=incidents,
    )
    reloads = Panel(
        "Configuration reloads",
        "By result; `ironpost reload` says which section was refused and why.",
        [Query(lately(m.DAEMON_CONFIG_RELOADS_TOTAL, by="result"), "{{result}}")],
        width=6,
        unit="short",
        draw=incidents,
        colours=RESULT_COLOURS,
    )
    return Row(7, [up, restarts, reloads])


def _alerts() -> Row:
    alerts = Panel(
        "Alerts by plugin",
        "Alerts as they reach the history, by the plugin that raised them.",
        [Query(rate(m.DAEMON_ALERTS_TOTAL, by="module"), BY_MODULE)],
        width=12,
        unit="cps",
        draw=stacked,
    )
    queue = Panel(
        "Alert queue",
        "Alerts that a plugin or sink has still to handle. One that only grows: a sink that can't be reached.",
        [Query(total(m.DAEMON_ALERT_QUEUE_SIZE, by="module"), BY_MODULE)],
        width=12,
        unit="short",
        draw=course,
    )
    return Row(8, [alerts, queue])


def _losses() -> Row:
    refused = Panel(
        "Alerts refused",
        "Alerts that a plugin could not hand over, its queue to the history being full.",
        [Query(lately(m.DAEMON_ALERTS_REFUSED_TOTAL, by="module"), BY_MODULE)],
        width=6,
        unit="short",
        draw=incidents,
    )
    dropped = Panel(
        "Alerts dropped",
        "Alerts that a plugin or sink did not get: it lagged too far or failed.",
        [Query(lately(m.DAEMON_ALERTS_DROPPED_TOTAL, by="module"), BY_MODULE)],
        width=6,
        unit="short",
        draw=incidents,
    )
    sinks = Panel(
        "Sink failures",
        "Failed attempts to deliver, by sink; it is tried again.",
        [Query(lately(m.DAEMON_SINK_FAILURES_TOTAL, by="module"), BY_MODULE)],
        width=6,
        unit="short",
        draw=incidents,
        idle=("no sink", "text"),
    )
    readers = Panel(
        "Metric reader failures",
        "Scrapes at which a plugin's reader failed or was late, so that old values were served.",
        [Query(lately(m.DAEMON_PLUGIN_READER_FAILURES_TOTAL, by="module"), BY_MODULE)],
        width=6,
        unit="short",
        draw=incidents,
    )
    return Row(7, [refused, dropped, sinks, readers])


def _process() -> Row:
    cpu = Panel(
        "Daemon CPU",
        "Share of one core, by host.",
        [Query(of_process("process_cpu_seconds_total", window="5m"), "{{instance}}")],
        width=8,
        unit="percentunit",
        draw=course,
    )
    memory = Panel(
        "Daemon memory",
        "Resident memory, by host.",
        [Query(of_process("process_resident_memory_bytes"), "{{instance}}")],
        width=8,
        unit="bytes",
        draw=course,
    )
    descriptors = Panel(
        "Open descriptors",
        "Files and sockets that the daemon holds open, by host.",
        [Query(of_process("process_open_fds"), "{{instance}}")],
        width=8,
        unit="short",
        draw=course,
    )
    return Row(7, [cpu, memory, descriptors])


def _host() -> Row:
    """Of what the daemon reads itself; empty where `metrics.system` is switched off in favour of node_exporter."""
    by_host, by_file_system = "instance", "instance, filesystem"
    idle = rate(m.SYSTEM_CPU_SECONDS_TOTAL, by=by_host, mode="idle"), rate(m.SYSTEM_CPU_SECONDS_TOTAL, by=by_host)
    memory = total(m.SYSTEM_MEMORY_AVAILABLE_BYTES, by_host), total(m.SYSTEM_MEMORY_SIZE_BYTES, by_host)
    space = (
        total(m.SYSTEM_FILESYSTEM_AVAILABLE_BYTES, by_file_system),
        total(m.SYSTEM_FILESYSTEM_SIZE_BYTES, by_file_system),
    )
    busy = Panel(
        "Host CPU",
        "Share of the time in which the host's CPUs were not idle.",
        [Query(f"1 - {' / '.join(idle)}", "{{instance}}")],
        width=6,
        unit="percentunit",
        draw=course,
        idle=("off", "text"),
    )
    used = Panel(
        "Host memory in use",
        "Share of the host's memory that programs could not have without swapping.",
        [Query(f"1 - {' / '.join(memory)}", "{{instance}}")],
        width=6,
        unit="percentunit",
        draw=course,
        idle=("off", "text"),
    )
    left = Panel(
        "Disk space left",
        "Share that is left in the file systems of / (root) and of general.data_dir (data). Without any, alerts "
        "can't be stored.",
        [Query(ratio_if_any(*space), "{{instance}} {{filesystem}}")],
        width=6,
        unit="percentunit",
        draw=course,
        idle=("off", "text"),
    )
    disk = Panel(
        "Disk traffic",
        "Bytes read from and written to the disks of all chosen hosts together.",
        [
            Query(rate(m.SYSTEM_DISK_READ_BYTES_TOTAL), "read"),
            Query(rate(m.SYSTEM_DISK_WRITTEN_BYTES_TOTAL), "written"),
        ],
        width=6,
        unit="Bps",
        draw=course,
        idle=("off", "text"),
    )
    return Row(7, [busy, used, left, disk])
