"""A plugin in miniature: counts alerts and answers the serious ones with an alert of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from ironpost_core import Action, Alert, Context, MetricSpec, Plugin, Section, Severity, setting

HEARD = MetricSpec(name="canary_alerts_heard_total", kind="counter", help="Alerts that the canary has heard")


@attrs.frozen(kw_only=True)
class CanaryConfig:
    """The section ``[canary]``."""

    enabled: bool = setting(default=True, help="Whether the canary listens.")
    song: str = setting(default="tweet", help="What it sings.")


@attrs.frozen
class Sing:
    """What the action `sing` asks for."""

    times: int = setting(default=1, help="How often.")


class CanaryPlugin(Plugin[CanaryConfig]):
    """The hooks."""

    def ironpost_config(self) -> Section[CanaryConfig]:
        """Its section."""
        return Section("canary", CanaryConfig, "The canary.")

    def ironpost_metrics(self) -> Sequence[MetricSpec]:
        """Its one metric."""
        return [HEARD]

    def ironpost_actions(self) -> Sequence[Action[Any]]:
        """Its one action."""
        return [Action(name="sing", request=Sing, run=self.sing, help="Sing, and tell what it has heard.")]

    def ironpost_start(self, context: Context[CanaryConfig]) -> None:
        """Keep the context."""
        self.context = context
        self.heard: list[str] = []

    def ironpost_alert(self, alert: Alert) -> None:
        """Count, and answer what is at least high."""
        self.heard.append(alert.id)
        self.context.metrics.counter(HEARD).inc()
        if alert.severity >= Severity.HIGH:
            song = alert.follow_up(
                rule="canary-sang", title=f"Canary: {self.context.config.song}", severity=Severity.CRITICAL
            )
            self.context.alerts.publish(song)

    def sing(self, request: Sing) -> dict[str, Any]:
        """The action."""
        return {"song": " ".join([self.context.config.song] * request.times), "heard": self.heard}
