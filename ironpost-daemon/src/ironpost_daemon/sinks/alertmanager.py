"""Alerts for a Prometheus Alertmanager, by its API v2."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Literal

import attrs

from ironpost_core import Alert, Clock, Duration, Key, setting
from ironpost_core.alerts import readable
from ironpost_core.settings import between
from ironpost_daemon.sinks.base import Sink
from ironpost_daemon.sinks.http import HttpSinkConfig, Poster

#: Observables that become labels, so that alerts about different ones don't replace each other.
_LABELS = (Key.SOURCE_IP, Key.CONTAINER_NAME, Key.PACKAGE, Key.VULNERABILITY)


@attrs.frozen(kw_only=True)
class AlertmanagerSink(HttpSinkConfig):
    """Sends alerts to an Alertmanager."""

    type: Literal["alertmanager"] = setting(
        default="alertmanager", help="A Prometheus Alertmanager; url is its base, such as http://localhost:9093."
    )
    resolve_after: Duration = setting(
        default=Duration.parse("15m"),
        help="How long after its last repetition an alert counts as resolved.",
        check=between(1, 2_592_000),
    )


class Alertmanager(Sink):
    """The sender; ConfigError when a secret or the CA file can't be used."""

    def __init__(self, config: AlertmanagerSink, name: str, clock: Clock) -> None:
        super().__init__(config, name)
        self._clock = clock
        self._resolve_after = timedelta(seconds=config.resolve_after)
        self._poster = Poster(config, name, clock, path="/api/v2/alerts")

    def send(self, alert: Alert) -> None:
        """Post it; raises as `Poster.post`."""
        body = json.dumps([self._entry(alert)]).encode()
        self._poster.post(body, "application/json", {})

    def _entry(self, alert: Alert) -> dict[str, Any]:
        """Counted from now, since Alertmanager ignores what ended in the past, and events of files may be old."""
        ends = max(self._clock.now(), alert.time) + self._resolve_after
        labels = {
            "alertname": alert.rule,
            "rule": alert.rule,
            "severity": alert.severity.value,
            "plugin": alert.plugin,
            "instance": alert.host,
        } | {key.value: alert.observable(key) or "" for key in _LABELS}
        annotations = {"summary": alert.title, "description": alert.message, "id": alert.id}
        return {
            "labels": {name: readable(value) for name, value in labels.items() if value},
            "annotations": {name: readable(value, 4_000) for name, value in annotations.items() if value},
            "startsAt": alert.time.isoformat(),
            "endsAt": ends.isoformat(),
        }
