"""Grafana's variables in a query, filled in as Grafana does it."""

from __future__ import annotations

import re

#: The data source's timeInterval, in seconds, and the uid of the provisioned one.
SCRAPE_INTERVAL = 15
DATASOURCE = "ironpost-prometheus"
HOUR = 3_600

# A letter must follow: `$1` in label_replace and `$"` at the end of a pattern are PromQL's own.
_VARIABLE = re.compile(r"\$(?:(?P<bare>[A-Za-z_]\w*)|\{(?P<braced>[^}]*)\})")


def substitute(expr: str, step_seconds: int, instance: str = ".+", *, range_seconds: int = HOUR) -> str:
    """`expr` as Prometheus understands it.

    Args:
        expr: a panel's or annotation's query.
        step_seconds: the distance of two points of the graph; Grafana calls it interval.
        instance: what stands for the chosen hosts, a regular expression.
        range_seconds: how much time the dashboard shows.

    Raises:
        ValueError: it holds a variable that is none of Grafana's times and none of the dashboards' own.
    """
    known = {
        "instance": instance,
        "datasource": DATASOURCE,
        "__interval": f"{step_seconds}s",
        "__interval_ms": str(step_seconds * 1000),
        "__rate_interval": f"{max(4 * SCRAPE_INTERVAL, step_seconds + SCRAPE_INTERVAL)}s",
        "__range": f"{range_seconds}s",
        "__range_s": str(range_seconds),
        "__range_ms": str(range_seconds * 1000),
    }

    def value(found: re.Match[str]) -> str:
        name = found["bare"] or found["braced"]
        if name not in known:
            raise ValueError(f"unknown variable {found[0]}; known are ${', $'.join(known)}")
        return known[name]

    return _VARIABLE.sub(value, expr)
