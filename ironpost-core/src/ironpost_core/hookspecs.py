"""The whole contract between ironpost and a plugin, on one page.

A plugin is a class named by an entry point in the group ``ironpost.plugins``. The daemon makes one instance without
arguments and finds its hooks by name: every method called ``ironpost_*`` is one, an unknown one is an error. Each
hook may take fewer arguments than named here. Inherit `Plugin` for static types, or don't.

Every hook is called through one guard in the daemon: whatever it raises (``SystemExit`` included) or however long it
hangs, is this plugin's failure alone. A hook is never called a second time while its first call still runs.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import attrs

from ironpost_core.alerts import Alert
from ironpost_core.clock import Clock
from ironpost_core.config import Section
from ironpost_core.instruments import Metrics
from ironpost_core.metrics import MetricSpec

#: Version of this contract. The second number rises with additions, the first with changes that break plugins.
CONTRACT = 1

C = TypeVar("C")
R = TypeVar("R")


class State(enum.Enum):
    """How well a plugin is, in its own words."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"

    def __str__(self) -> str:
        return self.value


@attrs.frozen
class Health:
    """What `Plugin.ironpost_health` answers.

    Attributes:
        state: healthy, degraded (something is missing, the rest works) or unhealthy (it does not do its work).
        reason: what is missing and how to mend it; empty when healthy.
        details: further facts for ``ironpost status``, each JSON-able; no secrets, no text from logs.
    """

    state: State = State.HEALTHY
    reason: str = ""
    details: dict[str, Any] = attrs.field(factory=dict, kw_only=True)


@attrs.frozen(kw_only=True)
class Action(Generic[R]):
    """Something an operator can have a running plugin do, by ``ironpost`` over the control socket.

    Attributes:
        name: ``[a-z][a-z0-9_-]*``; called as ``<plugin>.<name>``.
        request: an attrs class; what the caller sends is structured into it as strictly as configuration is.
        run: called with the request on a thread of its own, also before `ironpost_start` returned; returns
            JSON-able data. May raise `ActionError` with a message for the operator.
        help: one sentence.
        deadline: seconds after which the caller is told that it did not finish in time.
    """

    name: str = attrs.field(validator=attrs.validators.matches_re(r"[a-z][a-z0-9_-]*"))
    request: type[R]
    run: Callable[[R], Any]
    help: str
    deadline: float = 10.0


class Publisher(Protocol):
    """The way of alerts and checkpoints into the history: one ordered, bounded queue per plugin. Thread-safe."""

    def publish(self, alert: Alert) -> bool:
        """Hand over an alert; host and plugin are filled in. Never blocks.

        Returns:
            False when it was refused, because the queue is full or the plugin is being stopped; it is counted. Who
            reads from a stored position must not checkpoint past a refusal.
        """

    def checkpoint(self, key: str, value: bytes) -> None:
        """Remember `value` under `key`: a position and all the state that later alerts depend on.

        It is stored with, or after, every alert published before it, never earlier. Only the latest unwritten value
        of a key is kept. Cheap, but call it at most once a second.
        """

    def last_checkpoint(self, key: str) -> bytes | None:
        """The value last stored under `key` before this start (or since), or None."""

    def settle(self, timeout: float) -> bool:
        """Wait until all that was handed over is stored; False when `timeout` seconds were not enough."""


class Spawn(Protocol):
    """The type of `Context.spawn`."""

    def __call__(self, name: str, target: Callable[[], None]) -> None:
        """Run `target` on a thread named ``ironpost-<plugin>-<name>``.

        When it returns, it has finished. When it raises, that is logged and counted, and it is called again after a
        pause that grows from 0.1 s to 30 s. It has to look at `Context.stopping` at least twice a second.

        Raises:
            PluginError: the plugin is being stopped.
        """


@attrs.define(kw_only=True)
class Context(Generic[C]):
    """What a plugin gets at start, and all that it needs from the daemon.

    Attributes:
        name: the plugin's name (that of its entry point).
        config: its section, validated. Swapped after `ironpost_reload` returned, so read it from here each time.
        metrics: its instruments, by the specs that `ironpost_metrics` returned.
        alerts: where alerts and checkpoints go.
        state_dir: a folder of its own that survives restarts (mode 0700).
        clock: wall, monotonic time and sleeping; tests put a fake one here.
        log: a logger named ``ironpost.<plugin>``.
        stopping: set when the plugin must end; every loop and wait looks at it.
        spawn: runs a function on a supervised thread.
    """

    name: str
    config: C
    metrics: Metrics
    alerts: Publisher
    state_dir: Path
    clock: Clock
    log: logging.Logger
    stopping: Event
    spawn: Spawn


class Operator(Protocol):
    """What a command of the group ``ironpost.commands`` finds as click's ``ctx.obj``."""

    def call(self, action: str, arguments: Mapping[str, Any], timeout: float = 10.0) -> Any:
        """Have the running daemon do ``<plugin>.<action>`` and return its JSON data.

        Raises:
            ActionError: no daemon runs, or the plugin refused; the text is for the operator.
        """

    def section(self, section: Section[C]) -> C:
        """This plugin's section as the daemon would read it now, without needing a running one.

        Raises:
            ConfigError: with every problem of the section.
        """


class Plugin(Generic[C]):
    """The hooks. None is required; an inherited one that is not overridden counts as absent."""

    #: The first and last contract version that the plugin works with.
    contract: ClassVar[tuple[int, int]] = (CONTRACT, CONTRACT)

    def ironpost_config(self) -> Section[C] | None:
        """Name the plugin's section of the configuration. Called once at load; returns data and does nothing else.

        Returns:
            The section, or None for a plugin without settings (its config is then None). The section's name is the
            plugin's. A field ``enabled`` that is false keeps the plugin registered but not started.
        """
        return None

    def ironpost_metrics(self) -> Sequence[MetricSpec]:
        """Name the metrics that the plugin exports. Called once at load; returns data and does nothing else.

        Returns:
            Specs whose names begin with the plugin's own name and ``_``. They are exported at 0 from then on, also
            while the plugin is disabled.
        """
        return ()

    def ironpost_actions(self) -> Sequence[Action[Any]]:
        """Name what operators can have it do. Called once at load; returns data and does nothing else."""
        return ()

    def ironpost_start(self, context: Context[C]) -> None:
        """Begin to work, on a thread of its own: open things, `spawn` threads, return. All plugins start side by side.

        The plugin runs when this returns. It may take long (after 10 s it is shown as unhealthy with the line it
        stands at). Raising means failed: the exception's text is shown, and everything that it spawned is stopped.
        """

    def ironpost_alert(self, alert: Alert) -> None:
        """Look at an alert of another plugin, in the order of the history, on a worker thread of this plugin's own.

        Called at least once for each alert, also for those that were stored while the daemon was down (not older
        than ``alerts.replay_max_age``), so it must be idempotent. Never called with an alert of its own or one deeper
        than `alerts.MAX_DEPTH`. Raising is logged and counted; the next alert follows. A worker that falls too far
        behind skips the oldest, counted in ``ironpost_daemon_alerts_dropped_total``.
        """

    def ironpost_reload(self, config: C) -> None:
        """Take over an already validated section, and read again the files that it names; called on a control thread.

        Called at each reload that the operator asks for (SIGHUP, ``ironpost reload``), also when the section is the
        same. Return to accept: `Context.config` is swapped after that. Raise to refuse: the old one stays, and the
        operator is shown the exception's text. A plugin without this hook is said to need a restart once its section
        has changed.
        """

    def ironpost_health(self) -> Health:
        """Say how well the plugin is. Called often, on any thread; may not block (0.5 s, then it is unhealthy)."""
        return Health()

    def ironpost_stop(self) -> None:
        """End: close what was opened. `Context.stopping` is set already and spawned threads are ending.

        May still publish and checkpoint. It has 3 s; then the plugin is left behind. Also called when a start failed
        or a running plugin is disabled, and while a slow `ironpost_start` or `ironpost_alert` still runs.
        """
