"""PromQL over the catalogue: a name, kind or label that does not exist is an error here, not an empty panel.

Every query asks for the hosts that are chosen in the dashboard's variable ``instance``.
"""

from __future__ import annotations

from ironpost_core.metrics import DAEMON_BUILD_INFO, RESULTS, MetricSpec, spec_of

CHOSEN = 'instance=~"$instance"'
SUCCESS, FAILURE = RESULTS


def total(name: str, by: str = "", **labels: str) -> str:
    """A gauge, summed over the chosen hosts.

    Args:
        name: the metric, without prefix.
        by: labels that stay apart, such as ``action, result``.
        labels: label values to narrow it to.

    Raises:
        KeyError: no such metric.
        ValueError: it is no gauge, or its spec has no such label or value.
    """
    return _sum(_series(_spec(name, "gauge", by), labels), by)


def least(name: str, by: str = "") -> str:
    """The least value of a gauge among the chosen hosts; arguments and errors as for `total`."""
    return _over("min", _series(_spec(name, "gauge", by), {}), by)


def rate(name: str, window: str = "5m", by: str = "", **labels: str) -> str:
    """What a counter gains in a second, on average over `window`; otherwise as `total`."""
    return _sum(f"rate({_series(_spec(name, 'counter', by), labels)}[{window}])", by)


def increase(name: str, window: str = "5m", by: str = "", **labels: str) -> str:
    """What a counter gained within `window`; otherwise as `total`."""
    return _sum(f"increase({_series(_spec(name, 'counter', by), labels)}[{window}])", by)


def lately(name: str, by: str = "", **labels: str) -> str:
    """What a counter gained since about the last point of a graph (see `panels.incidents`); otherwise as `total`."""
    return increase(name, "$__rate_interval", by, **labels)


def quantile(share: float, name: str, window: str = "5m") -> str:
    """A quantile of a histogram; nothing while nothing was observed, because NaN is not ``>= 0``."""
    buckets = _series(_spec(name, "histogram", ""), {}, "_bucket")
    return f"histogram_quantile({share}, sum by (le) (rate({buckets}[{window}]))) >= 0"


def ratio(part: str, whole: str) -> str:
    """`part` of `whole`; 0 while the whole is 0."""
    return f"{part} / clamp_min({whole}, 1e-9)"


def ratio_if_any(part: str, whole: str) -> str:
    """`part` of `whole`; nothing while the whole is 0, where 0 would look like a failure."""
    return f"{part} / ({whole} > 0)"


def age(name: str) -> str:
    """Seconds since the oldest time that a gauge holds on any host; hosts where it holds 0 are left out."""
    return f"time() - min({_series(_spec(name, 'gauge', ''), {})} > 0)"


def missing() -> str:
    """How many of the chosen hosts were heard from within a day and are not any more."""
    build = _series(spec_of(DAEMON_BUILD_INFO), {})
    known = f"count(count by (instance) (last_over_time({build}[1d])))"
    return f"{known} - count(count by (instance) ({build}))"


def count(name: str, by: str = "") -> str:
    """How many series of a gauge the chosen hosts have; otherwise as `total`."""
    return _over("count", _series(_spec(name, "gauge", by), {}), by)


def of_process(name: str, window: str = "") -> str:
    """A metric of the client library's process collector (with `window`: its rate), for ironpost's processes alone."""
    found = f"{name}{{{CHOSEN}}}"
    build = _series(spec_of(DAEMON_BUILD_INFO), {})
    return f"{f'rate({found}[{window}])' if window else found} and on (job, instance) {build}"


def event(name: str, **labels: str) -> str:
    """When a counter rose on which host, for annotations.

    Grafana asks for these at steps of a minute or more; whatever happened since the last one is found.
    """
    return f"max_over_time(({increase(name, '2m', 'instance', **labels)})[$__interval:1m]) > 0"


def values_of(name: str, label: str) -> str:
    """All values of a label, for a variable."""
    return f"label_values({spec_of(name).full_name}, {label})"


def _spec(name: str, kind: str, by: str) -> MetricSpec:
    spec = spec_of(name)
    if spec.kind != kind:
        raise ValueError(f"{name} is a {spec.kind}, not a {kind}")
    unknown = set(filter(None, by.split(", "))) - {*spec.labels, "instance"}
    if unknown:
        raise ValueError(f"{name} has no label {', '.join(sorted(unknown))}")
    return spec


def _series(spec: MetricSpec, labels: dict[str, str], suffix: str = "") -> str:
    for label, value in labels.items():
        if value not in spec.labels.get(label, ()):
            raise ValueError(f"{spec.name}: no series has {label}={value!r}")
    matchers = [CHOSEN, *(f'{label}="{value}"' for label, value in labels.items())]
    return f"{spec.full_name}{suffix}{{{', '.join(matchers)}}}"


def _sum(what: str, by: str) -> str:
    return _over("sum", what, by)


def _over(how: str, what: str, by: str) -> str:
    return f"{how} by ({by}) ({what})" if by else f"{how}({what})"
