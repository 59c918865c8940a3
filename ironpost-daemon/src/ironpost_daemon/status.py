"""What the daemon says about itself and its plugins: data for /health, the API, the control socket and the metrics."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import attrs

from ironpost_core import State


class Life(enum.Enum):
    """Where a plugin stands: created → initialised → starting → running → stopped, disabled by config, or failed."""

    CREATED = "created"
    INITIALISED = "initialised"
    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    DISABLED = "disabled"
    FAILED = "failed"

    def __str__(self) -> str:
        return self.value


@attrs.frozen(kw_only=True)
class PluginStatus:
    """One plugin, or one entry point that did not become one.

    Attributes:
        name: its entry point's name.
        distribution, version: who ships it; empty when the metadata is broken.
        entry_point: what the entry point names, such as ``ironpost_ebpf:EbpfPlugin``.
        life: where it stands.
        health: how well it is; unhealthy when failed.
        reason: why, and how to mend it; empty when all is well.
        since: when `life` or `health` last changed (UTC).
        restarts: how often one of its threads was restarted after an error.
        details: further facts from its health hook.
    """

    name: str
    distribution: str
    version: str
    entry_point: str
    life: Life
    health: State
    reason: str
    since: datetime
    restarts: int = 0
    details: dict[str, Any] = attrs.field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` undoes it."""
        data = attrs.asdict(self)
        return data | {"life": self.life.value, "health": self.health.value, "since": self.since.isoformat()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PluginStatus:
        """Read what `to_dict` wrote."""
        given = {"life": Life(data["life"]), "health": State(data["health"])}
        return cls(**(data | given | {"since": datetime.fromisoformat(data["since"])}))


@attrs.frozen(kw_only=True)
class PartStatus:
    """A part of the daemon itself: the history, a sink, the HTTP server.

    `vital`: when this part is unhealthy the daemon as a whole is, and /health answers 503.
    """

    name: str
    health: State
    reason: str = ""
    vital: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return attrs.asdict(self) | {"health": self.health.value}


@attrs.frozen(kw_only=True)
class DaemonStatus:
    """Everything at one moment."""

    version: str
    commit: str
    python_version: str
    pid: int
    host: str
    started: datetime
    uptime: float
    ready: bool
    metrics_url: str | None
    plugins: tuple[PluginStatus, ...]
    parts: tuple[PartStatus, ...]

    @property
    def health(self) -> State:
        """Unhealthy when a vital part is or no plugin is usable; degraded when anything is not healthy."""
        usable = [plugin for plugin in self.plugins if plugin.life is not Life.FAILED]
        if any(part.vital and part.health is State.UNHEALTHY for part in self.parts) or not usable:
            return State.UNHEALTHY
        everything = [*(part.health for part in self.parts), *(plugin.health for plugin in self.plugins)]
        return State.HEALTHY if all(health is State.HEALTHY for health in everything) else State.DEGRADED

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        plain = {"health": self.health.value, "started": self.started.isoformat()}
        lists = {"plugins": [p.to_dict() for p in self.plugins], "parts": [p.to_dict() for p in self.parts]}
        fields = ("version", "commit", "python_version", "pid", "host", "uptime", "ready", "metrics_url")
        return {name: getattr(self, name) for name in fields} | plain | lists
