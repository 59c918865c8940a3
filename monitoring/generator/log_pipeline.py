"""The log pipeline in detail: what comes in, what becomes of it, how long it takes."""

from __future__ import annotations

from ironpost_core import metrics as m
from monitoring.generator.frame import LOG_PIPELINE, Row, dashboard
from monitoring.generator.panels import Panel, Query, course, dial, incidents, stacked
from monitoring.generator.queries import lately, quantile, rate, ratio, total


def build() -> str:
    """The dashboard as JSON."""
    about = "What the log pipeline receives, understands, finds and loses on the chosen hosts."
    return dashboard(LOG_PIPELINE, about, [_lines(), _findings(), _losses(), _latency()])


def _lines() -> Row:
    collected = Panel(
        "Collection rate",
        "Lines received from all sources, before anything is dropped.",
        [Query(rate(m.LOG_PIPELINE_LOGS_COLLECTED_TOTAL), "collected")],
        width=8,
        unit="cps",
        draw=course,
    )
    processed = Panel(
        "Processing rate",
        "Lines parsed and evaluated. It follows the collection rate; a lasting gap lies in errors, drops or the "
        "buffer.",
        [Query(rate(m.LOG_PIPELINE_LOGS_PROCESSED_TOTAL), "processed")],
        width=8,
        unit="cps",
        draw=course,
    )
    errors = Panel(
        "Error rate",
        "Lines that the parser of their source could not read, by format.",
        [Query(rate(m.LOG_PIPELINE_PARSE_ERRORS_TOTAL, by="format"), "{{format}}")],
        width=8,
        unit="cps",
        draw=stacked,
    )
    return Row(8, [collected, processed, errors])


def _findings() -> Row:
    errors = rate(m.LOG_PIPELINE_PARSE_ERRORS_TOTAL)
    ratio_of_errors = Panel(
        "Error ratio",
        "Share of the lines looked at that could not be read; 0 while nothing comes in. Above 1 % a source's format is "
        "probably set wrong.",
        # Not of what was collected: a line is counted there first, and only later as one that could be read or not.
        ratio(errors, f"({rate(m.LOG_PIPELINE_LOGS_PROCESSED_TOTAL)} + {errors})"),
        width=6,
        unit="percentunit",
        draw=dial,
        steps={None: "green", 0.01: "orange", 0.05: "red"},
        most=0.1,
    )
    matches = Panel(
        "Rule match rate",
        "Lines that met all conditions of a rule; most rules need several within a time to raise an alert.",
        [Query(rate(m.LOG_PIPELINE_RULE_MATCHES_TOTAL), "matches")],
        width=9,
        unit="cps",
        draw=course,
    )
    alerts = Panel(
        "Alert send rate",
        "Alerts that the pipeline handed over.",
        [Query(rate(m.LOG_PIPELINE_ALERTS_SENT_TOTAL), "alerts")],
        width=9,
        unit="cps",
        draw=course,
    )
    return Row(8, [ratio_of_errors, matches, alerts])


def _losses() -> Row:
    waiting = Panel(
        "Buffer size",
        "Lines that wait or are being worked on. A file waits when the buffer is full; datagrams are dropped.",
        [Query(total(m.LOG_PIPELINE_BUFFER_SIZE), "lines")],
        width=12,
        unit="short",
        draw=course,
    )
    dropped = Panel(
        "Dropped logs",
        "Lines lost because the buffer was full, and datagrams lost in the kernel before they were read. Anything but "
        "0 is a gap in what was looked at.",
        [
            Query(lately(m.LOG_PIPELINE_LOGS_DROPPED_TOTAL), "by the buffer"),
            Query(lately(m.LOG_PIPELINE_SOCKET_DROPS_TOTAL), "by the kernel"),
        ],
        width=12,
        unit="short",
        draw=incidents,
        colours={"by the buffer": "red", "by the kernel": "orange"},
    )
    return Row(8, [waiting, dropped])


def _latency() -> Row:
    return Row(8, [_quantile("p50", 0.50), _quantile("p95", 0.95), _quantile("p99", 0.99)])


def _quantile(name: str, share: float) -> Panel:
    return Panel(
        f"Processing latency {name}",
        f"{share:.0%} of the batches took no longer than this. A batch is up to log_pipeline.batch_size lines.",
        [Query(quantile(share, m.LOG_PIPELINE_PROCESSING_DURATION_SECONDS), name)],
        width=8,
        unit="s",
        draw=course,
        idle=("idle", "text"),
    )
