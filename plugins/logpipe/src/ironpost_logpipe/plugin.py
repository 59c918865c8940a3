"""The hooks of the log pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from ironpost_core import Action, ActionError, Context, Health, IronpostError, MetricSpec, Plugin, Section, State
from ironpost_core.metrics import catalogue_of
from ironpost_logpipe.config import LogPipelineConfig, section
from ironpost_logpipe.service import Service


@attrs.frozen(kw_only=True)
class ReloadRules:
    """The request of ``logpipe.reload-rules``: nothing to say."""


class LogpipePlugin(Plugin[LogPipelineConfig]):
    """Reads logs, matches rules, raises alerts."""

    def __init__(self) -> None:
        self._service: Service | None = None
        self._context: Context[LogPipelineConfig] | None = None

    def ironpost_config(self) -> Section[LogPipelineConfig]:
        """The section ``[log_pipeline]``."""
        return section()

    def ironpost_metrics(self) -> Sequence[MetricSpec]:
        """Its part of the catalogue."""
        return catalogue_of("logpipe")

    def ironpost_actions(self) -> Sequence[Action[Any]]:
        """What operators can have it do."""
        return (
            Action(name="reload-rules", request=ReloadRules, run=self._reload_rules, help="Read the rule files again."),
        )

    def ironpost_start(self, context: Context[LogPipelineConfig]) -> None:
        """Load rules, restore the last checkpoint, start the sources."""
        self._context = context
        self._service = Service(context)
        self._service.start()

    def ironpost_reload(self, config: LogPipelineConfig) -> None:
        """Take over rules and settings between two batches."""
        if self._service is not None:
            self._service.reload(config)

    def ironpost_health(self) -> Health:
        """How sources and rules are."""
        return Health(State.DEGRADED, "not started") if self._service is None else self._service.health()

    def ironpost_stop(self) -> None:
        """Wait for the last checkpoint."""
        if self._service is not None:
            self._service.stop()

    def _reload_rules(self, _request: ReloadRules) -> dict[str, Any]:
        if self._service is None or self._context is None:
            raise ActionError("the log pipeline is not running")
        try:
            rules = self._service.reload(self._context.config)
            return {"rules": rules, "problems": [str(problem) for problem in self._service.problems]}
        except IronpostError as error:
            raise ActionError(f"the old rules stay in force: {error}") from error
