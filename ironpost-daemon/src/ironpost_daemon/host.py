"""One plugin: its life from entry point to stop. Everything it raises or hangs in is turned into a state and a reason.

Neighbours: `host_load` loads it, `host_health` asks how it is, `calls` guards each hook, `threads` supervises what it
spawns, `supervisor` drives all hosts.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import attrs

from ironpost_core import Alert, Clock, Context, Health, Metrics, PluginError, State
from ironpost_core.alerts import MAX_MESSAGE, readable
from ironpost_core.files import ensure_folder
from ironpost_core.registration import Hooks
from ironpost_daemon.bus import Bus, Subscription
from ironpost_daemon.calls import Calls, describe
from ironpost_daemon.discovery import Candidate
from ironpost_daemon.history import History, PluginPublisher
from ironpost_daemon.host_health import SLOW, HealthWatch
from ironpost_daemon.host_load import LOAD_DEADLINE, PluginLoad, load_failure
from ironpost_daemon.status import Life, PluginStatus
from ironpost_daemon.threads import Spawner

STOP_DEADLINE = 3.0
RELOAD_DEADLINE = 10.0


class Events(Protocol):
    """What a host tells the daemon's metrics."""

    def restarted(self, plugin: str) -> None:
        """One of its threads was restarted."""

    def life_changed(self, plugin: str, life: Life) -> None:
        """It moved on."""

    def watch_publisher(self, plugin: str, refused: Callable[[], int]) -> None:
        """It may publish; `refused` counts the alerts that were not taken."""

    def watch_subscription(self, subscription: Subscription) -> None:
        """It is subscribed to alerts."""


@attrs.frozen(kw_only=True)
class Services:
    """What the daemon lends to every plugin that it starts."""

    history: History
    bus: Bus
    clock: Clock
    state_root: Path


@attrs.define(kw_only=True)
class _Run:
    """One run of a plugin, from start to stop; a later start gets another."""

    context: Context[Any]
    spawner: Spawner
    publisher: PluginPublisher
    subscription: Subscription | None


class PluginHost:
    """One entry point and what became of it."""

    def __init__(self, candidate: Candidate, *, clock: Clock, events: Events) -> None:
        self.candidate = candidate
        self.name = candidate.name
        self.log = logging.getLogger(f"ironpost.{candidate.name}")
        self.hooks: Hooks | None = None
        self.metrics: Metrics | None = None
        self.config: Any = None
        self._clock = clock
        self._events = events
        self._calls = Calls(self.name)
        self._lock = threading.RLock()
        self._run: _Run | None = None
        self._life = Life.CREATED
        self._reason = ""
        self._since = clock.now()
        self._shown: tuple[State, str] = (State.HEALTHY, "")
        self._restarts = 0
        self._loading = PluginLoad(candidate, self._calls, clock)
        self._watch = HealthWatch(self.name, self._calls, clock)
        self._prepared: _Run | None = None

    # -- load ---------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """`begin_load` and `finish_load`."""
        self.begin_load(LOAD_DEADLINE)
        self.finish_load()

    def begin_load(self, patience: float) -> None:
        """Import the entry point, make the instance, collect what it declares; wait `patience` seconds for that."""
        self._loading.begin(patience)

    def finish_load(self) -> None:
        """Wait for the load until its deadline. Ends created or failed; never raises."""
        try:
            self.hooks = self._loading.finish()
        except PluginError as error:
            self.fail(load_failure(error, self.candidate), error)

    def initialise(self, metrics: Metrics, config: Any) -> None:
        """Take the instruments that the daemon registered and the validated section."""
        self.metrics = metrics
        self.config = config
        self._move(Life.INITIALISED)

    def fail(self, reason: str, error: BaseException | None = None) -> None:
        """Give the plugin up for `reason`."""
        self.log.error("plugin %s failed: %s", self.name, reason, exc_info=error.__cause__ if error else None)
        self._move(Life.FAILED, reason)

    def reader_failed(self, reason: str) -> None:
        """Remember that its metric reader failed, for the health shown in the next minute."""
        self._watch.reader_failed(reason)

    # -- start --------------------------------------------------------------------------------------------------

    @property
    def life(self) -> Life:
        """Where it stands."""
        return self._life

    @property
    def enabled(self) -> bool:
        """Whether its section lets it run."""
        return bool(getattr(self.config, "enabled", True))

    @property
    def handles_alerts(self) -> bool:
        """Whether it implements ``ironpost_alert``."""
        return self.hooks is not None and self.hooks.has("ironpost_alert")

    @property
    def takes_reloads(self) -> bool:
        """Whether it implements ``ironpost_reload``."""
        return self.hooks is not None and self.hooks.has("ironpost_reload")

    def disable(self, config: Any) -> None:
        """Take over a section that keeps the stopped plugin from running."""
        self.config = config
        section = self.hooks.section.name if self.hooks and self.hooks.section else self.name
        self._move(Life.DISABLED, f"disabled by [{section}] enabled = false")

    def start(self, services: Services) -> None:
        """`prepare` and `begin`."""
        self.prepare(services)
        self.begin()

    def prepare(self, services: Services) -> None:
        """Make what a start needs; from here on no alert is missed. Does nothing for a failed plugin; never raises."""
        if self._life is Life.FAILED or self.hooks is None or self.metrics is None:
            return
        try:
            if self.enabled:
                self._prepared = self._prepare(services, self.hooks, self.metrics)
            else:
                self.disable(self.config)
        except Exception as error:  # noqa: BLE001 - one plugin that can't be prepared (its state folder, say) fails alone
            self.fail(f"cannot be started: {describe(error)}", error)

    def begin(self) -> None:
        """Begin the prepared start on a thread of its own; returns at once, never raises."""
        run, self._prepared = self._prepared, None
        if run is None:
            return
        try:
            self._begin(run)
        except Exception as error:  # noqa: BLE001 - no thread can be started: this plugin fails alone
            self.fail(f"cannot be started: {describe(error)}", error)

    def _prepare(self, services: Services, hooks: Hooks, metrics: Metrics) -> _Run:
        state_dir = services.state_root / self.name
        ensure_folder(state_dir)
        stopping = threading.Event()
        spawner = Spawner(
            self.name, stopping=stopping, clock=services.clock, log=self.log, on_restart=self._thread_restarted
        )
        publisher = services.history.publisher(self.name)
        self._events.watch_publisher(self.name, lambda: publisher.refused)
        context = Context(
            name=self.name,
            config=self.config,
            metrics=metrics,
            alerts=publisher,
            state_dir=state_dir,
            clock=services.clock,
            log=self.log,
            stopping=stopping,
            spawn=spawner,
        )
        subscription = None
        if self.handles_alerts:
            handle: Callable[[Alert], None] = lambda alert: hooks.call("ironpost_alert", alert=alert)  # noqa: E731
            subscription = services.bus.subscribe(self.name, handle, not_from=self.name)
            self._events.watch_subscription(subscription)
        return _Run(context=context, spawner=spawner, publisher=publisher, subscription=subscription)

    def _begin(self, run: _Run) -> None:
        with self._lock:
            self._run = run
            self._move(Life.STARTING)
        try:
            self._calls.begin("ironpost_start", lambda: self._start(run))
        except PluginError:
            self._revoke(run)
            raise

    def _start(self, run: _Run) -> None:
        assert self.hooks is not None  # noqa: S101 - start() looked
        try:
            self.hooks.call("ironpost_start", context=run.context)
        except BaseException as error:  # noqa: BLE001 - the stated boundary: a start may raise anything
            with self._lock:
                being_stopped = self._run is not run
                self._run = None
            # While it is being stopped, a start may well raise, and stop() sees to the rest.
            if not being_stopped:
                run.context.stopping.set()
                self.fail(f"start raised {describe(error)}", StartError(self.name, error))
                self._call_stop(STOP_DEADLINE)
                self._revoke(run)
            return
        with self._lock:
            if self._run is not run:
                return
            if run.subscription is not None:
                run.subscription.start()
            self._move(Life.RUNNING)
        self.log.info("plugin %s runs", self.name)

    def _thread_restarted(self, _thread: str, _reason: str) -> None:
        self._restarts += 1
        self._events.restarted(self.name)

    # -- reload -------------------------------------------------------------------------------------------------

    def reload(self, config: Any) -> None:
        """Offer a section, changed or not, to a running plugin that takes reloads.

        Raises:
            PluginError: it refused, hangs, or can't be reloaded; the old section stays.
        """
        if self._run is None or self.hooks is None or self._life is not Life.RUNNING:
            raise PluginError(self.name, f"is {self._life}", "reload again when it runs, or restart the daemon")
        hooks, run = self.hooks, self._run
        if not hooks.has("ironpost_reload"):
            raise PluginError(self.name, "takes no changes while it runs", "restart the daemon")
        self._calls.call("ironpost_reload", lambda: hooks.call("ironpost_reload", config=config), RELOAD_DEADLINE)
        self.config = run.context.config = config

    # -- stop ---------------------------------------------------------------------------------------------------

    def stop(self, timeout: float = STOP_DEADLINE) -> None:
        """Stop within `timeout` seconds; what still hangs then is left behind and can't publish. Never raises."""
        with self._lock:
            run, self._run = self._run, None
        if run is None:
            return
        deadline = self._clock.monotonic() + timeout
        if run.subscription is not None:
            run.subscription.stop(timeout / 3)
        run.context.stopping.set()
        hung = self._calls.standing("ironpost_start")
        if hung:
            self.log.warning("plugin %s is stopped while it still starts%s", self.name, hung)
        self._call_stop(max(0.1, deadline - self._clock.monotonic()))
        left = run.spawner.join(deadline)
        if left:
            self.log.warning("plugin %s leaves threads behind: %s", self.name, "; ".join(left))
        self._revoke(run)
        if self._life is not Life.FAILED:
            self._move(Life.STOPPED)

    def _call_stop(self, timeout: float) -> None:
        hooks = self.hooks
        if hooks is None or not hooks.has("ironpost_stop"):
            return
        try:
            self._calls.call("ironpost_stop", lambda: hooks.call("ironpost_stop"), timeout)
        except PluginError as error:
            self.log.warning("plugin %s: %s", self.name, error, exc_info=error.__cause__)

    @staticmethod
    def _revoke(run: _Run) -> None:
        run.context.stopping.set()
        run.publisher.close()
        if run.subscription is not None:
            run.subscription.revoke()

    # -- health -------------------------------------------------------------------------------------------------

    def ask_health(self) -> None:
        """Begin to ask the health hook, so that `status` of several hosts waits for all of them together."""
        if self._life is Life.RUNNING and self.hooks is not None:
            self._watch.ask(self.hooks)

    def status(self) -> PluginStatus:
        """How it is now; waits for its health hook at most 0.5 s. Never raises."""
        health = self._health()
        self._note_change(health)
        return PluginStatus(
            name=self.name,
            distribution=self.candidate.distribution,
            version=self.candidate.version,
            entry_point=self.candidate.target,
            life=self._life,
            health=health.state,
            reason=readable(health.reason, MAX_MESSAGE),
            since=self._since,
            restarts=self._restarts,
            details=dict(health.details),
        )

    def _health(self) -> Health:
        life, run = self._life, self._run
        if life is Life.FAILED:
            return Health(State.UNHEALTHY, self._reason)
        if life is Life.STARTING:
            return self._starting()
        if life is not Life.RUNNING or run is None or self.hooks is None:
            return Health(State.HEALTHY, self._reason)
        return self._watch.look(self.hooks, run.spawner, run.subscription)

    def _starting(self) -> Health:
        seconds = (self._clock.now() - self._since).total_seconds()
        if seconds < SLOW:
            return Health(State.DEGRADED, "still starting")
        return Health(State.UNHEALTHY, f"starting for {seconds:.0f} s{self._calls.standing('ironpost_start')}")

    # -- state --------------------------------------------------------------------------------------------------

    def _move(self, life: Life, reason: str = "") -> None:
        with self._lock:
            self._life = life
            self._reason = reason
            self._since = self._clock.now()
        self._events.life_changed(self.name, life)

    def _note_change(self, health: Health) -> None:
        shown = (health.state, health.reason)
        if shown[0] is not self._shown[0]:
            if self._life is Life.RUNNING:
                level = logging.INFO if health.state is State.HEALTHY else logging.WARNING
                self.log.log(level, "plugin %s is %s: %s", self.name, health.state, health.reason or "all is well")
                self._since = self._clock.now()
            self._shown = shown

    @property
    def since(self) -> datetime:
        """When its life or health last changed."""
        return self._since


class StartError(PluginError):
    """A failed start with the exception that it raised, for the log."""

    def __init__(self, plugin: str, cause: BaseException) -> None:
        super().__init__(plugin, describe(cause))
        self.__cause__ = cause
