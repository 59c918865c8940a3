"""The section ``[alerts]``: how long alerts are kept, how far subscribers may lag, and where alerts are sent."""

from __future__ import annotations

import attrs

from ironpost_core import Duration, setting
from ironpost_core.settings import between
from ironpost_daemon.sinks import AlertmanagerSink, JsonlSink, StdoutSink, WebhookSink, name_of


def _distinct(
    instance: object, attribute: attrs.Attribute[object], value: tuple[JsonlSink | StdoutSink | WebhookSink, ...]
) -> None:
    names = [name_of(sink) for sink in value]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"several sinks are named {', '.join(twice)}; give each a name of its own")


@attrs.frozen(kw_only=True)
class AlertsConfig:
    """The alert history, its subscribers and the sinks."""

    history_days: int = setting(
        default=30, help="How long alerts are kept in the history.", unit="days", check=between(1, 36_500)
    )
    replay_max_age: Duration = setting(
        default=Duration.parse("5m"),
        help="After a start, plugins and sinks get the alerts that they missed unless those are older.",
    )
    backlog: int = setting(
        default=10_000,
        help="How many alerts a plugin or sink may lag behind before it misses the oldest.",
        unit="alerts",
        check=between(1, 10_000_000),
    )
    queue_capacity: int = setting(
        default=10_000,
        help="How many alerts of one plugin may wait to be stored before further ones are refused.",
        unit="alerts",
        check=between(1, 1_000_000),
    )
    sinks: tuple[JsonlSink | StdoutSink | WebhookSink | AlertmanagerSink, ...] = setting(
        default=(), help="Where alerts are sent.", check=_distinct
    )
