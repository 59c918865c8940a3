"""The hooks of the guard plugin: registered with its section and metrics, and honest that the rest is to come."""

from __future__ import annotations

from collections.abc import Sequence

from ironpost_core import Health, MetricSpec, Plugin, Section, State
from ironpost_core.metrics import catalogue_of
from ironpost_guard.config import SECTION, GuardConfig


class GuardPlugin(Plugin[GuardConfig]):
    """Containers."""

    def ironpost_config(self) -> Section[GuardConfig]:
        """The section ``[container]``."""
        return SECTION

    def ironpost_metrics(self) -> Sequence[MetricSpec]:
        """Its part of the catalogue, at 0."""
        return catalogue_of("guard")

    def ironpost_health(self) -> Health:
        """Degraded, because it does nothing."""
        return Health(State.DEGRADED, "not implemented yet")
