"""One plugin: its life from entry point to stop. Everything it raises or hangs in is turned into a state and a reason.

Neighbours: `calls` guards each hook, `threads` supervises what it spawns, `supervisor` drives all hosts.
"""

from __future__ import annotations

import contextlib
import json
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
from ironpost_core.registration import Hooks, register
from ironpost_daemon.bus import Bus, Subscription
from ironpost_daemon.calls import Calls, Flight, describe
from ironpost_daemon.discovery import Candidate
from ironpost_daemon.history import History, PluginPublisher
from ironpost_daemon.status import Life, PluginStatus
from ironpost_daemon.threads import Spawner

LOAD_DEADLINE = 5.0
HEALTH_DEADLINE = 0.5
STOP_DEADLINE = 3.0
RELOAD_DEADLINE = 10.0
SLOW_START = 10.0
READER_TROUBLE_SHOWN = 60.0

_RANK = {State.HEALTHY: 0, State.DEGRADED: 1, State.UNHEALTHY: 2}


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
        self._reader_trouble: tuple[float, str] | None = None
        self._asking: Flight[Health] | None = None

    # -- load ---------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Import the entry point, make the instance, collect what it declares. Ends created or failed; never raises."""
        if self.candidate.entry_point is None:
            self.fail(self.candidate.problem)
            return
        try:
            loaded = self._calls.call("import", self.candidate.entry_point.load, LOAD_DEADLINE)
            if not isinstance(loaded, type):
                raise PluginError(self.name, f"{self.candidate.target} is no class", "name the plugin's class")
            instance = self._calls.call("constructor", loaded, LOAD_DEADLINE)
            self.hooks = self._calls.call("load", lambda: register(self.name, instance), LOAD_DEADLINE)
        except PluginError as error:
            self.fail(_load_failure(error, self.candidate), error)

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
        self._reader_trouble = (self._clock.monotonic(), reason)

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

    def disable(self, config: Any) -> None:
        """Take over a section that keeps the stopped plugin from running."""
        self.config = config
        section = self.hooks.section.name if self.hooks and self.hooks.section else self.name
        self._move(Life.DISABLED, f"disabled by [{section}] enabled = false")

    def start(self, services: Services) -> None:
        """Begin the start on a thread of its own; returns at once. Does nothing for a failed plugin."""
        if self._life is Life.FAILED or self.hooks is None or self.metrics is None:
            return
        try:
            if self.enabled:
                self._begin(self._prepare(services, self.hooks, self.metrics))
            else:
                self.disable(self.config)
        except Exception as error:  # noqa: BLE001 - one plugin that can't be prepared (state folder, no thread) fails alone
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
        """Offer a changed section to a running plugin.

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
        if self._life is Life.RUNNING:
            with contextlib.suppress(PluginError):
                self._asking = self._begin_to_ask()

    def _begin_to_ask(self) -> Flight[Health] | None:
        hooks = self.hooks
        if hooks is None or not hooks.has("ironpost_health"):
            return None
        return self._calls.begin(
            "ironpost_health", lambda: _checked(self.name, hooks.call("ironpost_health")), share=True
        )

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
        if life is not Life.RUNNING or run is None:
            return Health(State.HEALTHY, self._reason)
        worst = self._asked()
        for state, reason in self._troubles(run):
            if _RANK[state] >= _RANK[worst.state]:
                worst = Health(state, "; ".join(filter(None, (reason, worst.reason))), details=worst.details)
        return worst

    def _starting(self) -> Health:
        seconds = (self._clock.now() - self._since).total_seconds()
        if seconds < SLOW_START:
            return Health(State.DEGRADED, "still starting")
        return Health(State.UNHEALTHY, f"starting for {seconds:.0f} s{self._calls.standing('ironpost_start')}")

    def _asked(self) -> Health:
        asking, self._asking = self._asking, None
        try:
            asking = asking or self._begin_to_ask()
            return Health() if asking is None else self._calls.finish("ironpost_health", asking, HEALTH_DEADLINE)
        except PluginError as error:
            return Health(State.UNHEALTHY, error.what)

    def _troubles(self, run: _Run) -> list[tuple[State, str]]:
        troubles = []
        if failing := run.spawner.failing():
            troubles.append((State.UNHEALTHY, failing))
        if self._reader_trouble and self._clock.monotonic() - self._reader_trouble[0] < READER_TROUBLE_SHOWN:
            troubles.append((State.DEGRADED, f"metrics reader: {self._reader_trouble[1]}"))
        subscription = run.subscription
        if subscription is not None and subscription.busy_since is not None:
            seconds = self._clock.monotonic() - subscription.busy_since
            if seconds > SLOW_START:
                troubles.append((State.UNHEALTHY, f"ironpost_alert has not returned for {seconds:.0f} s"))
        return troubles

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


def _checked(plugin: str, health: object) -> Health:
    """What a health hook returned, as data of our own that can be shown: the plugin may go on changing its details."""
    if not isinstance(health, Health):
        raise PluginError(plugin, f"its health is {health!r:.200}, not a Health")
    for given, kind in ((health.state, State), (health.reason, str), (health.details, dict)):
        if not isinstance(given, kind):
            raise PluginError(plugin, f"its health holds {given!r:.200} in the place of a {kind.__name__}")
    details = json.loads(json.dumps(health.details, allow_nan=False))
    return Health(health.state, health.reason, details=details)


class StartError(PluginError):
    """A failed start with the exception that it raised, for the log."""

    def __init__(self, plugin: str, cause: BaseException) -> None:
        super().__init__(plugin, describe(cause))
        self.__cause__ = cause


def _load_failure(error: PluginError, candidate: Candidate) -> str:
    text = error.what + (f" ({error.remedy})" if error.remedy else "")
    if isinstance(error.__cause__, ModuleNotFoundError):
        return f"{text}; its package is gone or incomplete: reinstall or uninstall {candidate.distribution}"
    return text
