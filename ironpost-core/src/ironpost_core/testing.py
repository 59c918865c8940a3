"""A test kit for plugin authors: run one plugin in a test, with a fake clock, collected alerts and readable metrics.

Example::

    with PluginRun(CanaryPlugin, name="canary", config={"loudness": 3}, folder=tmp_path) as run:
        run.deliver(an_alert())
        assert run.metric("canary_songs_total") == 1
        assert [alert.rule for alert in run.alerts] == ["canary-song"]

It holds a plugin to the contract as the daemon does, but in the test's own process and without hiding an error:
what a hook raises comes out of the call, what a spawned thread raises comes out when the run ends.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs

from ironpost_core.alerts import Alert, Key, Observable, Severity, Trust
from ironpost_core.errors import ConfigError, PluginError
from ironpost_core.hookspecs import Context, Health
from ironpost_core.instruments import Metrics
from ironpost_core.metrics import PREFIX, prefix_of
from ironpost_core.registration import Hooks, check_section, register
from ironpost_core.structure import FAILED, Report, structure

#: Seconds (real ones) after which something that should have happened is given up.
PATIENCE = 10.0
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class FakeClock:
    """A clock that stands still until `advance`; waits end when it passes them. Starts at noon of 2026-01-01 (UTC)."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._start = now
        self._moved = threading.Condition()

    def now(self) -> datetime:
        """The fake wall time (UTC)."""
        with self._moved:
            return self._now

    def monotonic(self) -> float:
        """Fake seconds since the clock was made."""
        return (self.now() - self._start).total_seconds()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set or the clock was advanced by `seconds`; whether it is set."""
        with self._moved:
            until = self._now + timedelta(seconds=seconds)
            while not event.is_set() and self._now < until:
                self._moved.wait(0.01)  # the event has no way to wake us
        return event.is_set()

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        with self._moved:
            self._now += timedelta(seconds=seconds)
            self._moved.notify_all()


@attrs.define
class CollectingPublisher:
    """A publisher that keeps everything in lists; `refuse` makes it behave as one whose queue is full."""

    plugin: str = "test"
    alerts: list[Alert] = attrs.field(factory=list)
    checkpoints: dict[str, bytes] = attrs.field(factory=dict)
    refuse: bool = False
    _ids: set[str] = attrs.field(factory=set, init=False, repr=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def publish(self, alert: Alert) -> bool:
        """Keep the alert, unless refusing or one with its id was there already (as the history does)."""
        if self.refuse:
            return False
        with self._lock:
            if alert.id not in self._ids:
                self._ids.add(alert.id)
                self.alerts.append(attrs.evolve(alert, plugin=self.plugin, host=alert.host or "test-host"))
        return True

    def checkpoint(self, key: str, value: bytes) -> None:
        """Keep the value."""
        self.checkpoints[key] = value

    def last_checkpoint(self, key: str) -> bytes | None:
        """The value kept last."""
        return self.checkpoints.get(key)

    def settle(self, timeout: float) -> bool:
        """All is kept at once."""
        return not self.refuse


class PluginRun:
    """One plugin from load to stop, as a context manager.

    Args:
        plugin: the plugin's class (made without arguments, as the daemon does) or an instance.
        name: its entry point's name.
        config: its section's keys as in TOML; checked as strictly as the daemon does.
        folder: where its state is kept; a temporary one otherwise. Give the same folder and `publisher` to a second
            run to test a restart.
        clock, publisher: to share them between runs.
        start: call ``ironpost_start`` at once.

    Raises:
        PluginError: it breaks the contract.
        ConfigError: the section, with every problem.
    """

    def __init__(
        self,
        plugin: Any,
        *,
        name: str = "test",
        config: Mapping[str, Any] | None = None,
        folder: Path | None = None,
        clock: FakeClock | None = None,
        publisher: CollectingPublisher | None = None,
        start: bool = True,
    ) -> None:
        self.hooks: Hooks = register(name, plugin() if isinstance(plugin, type) else plugin)
        check_declarations(self.hooks)
        self.clock = clock or FakeClock()
        self.publisher = publisher or CollectingPublisher()
        self.publisher.plugin = name
        self.metrics = Metrics(self.hooks.metrics)
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._exits = contextlib.ExitStack()
        self._start = start
        self._started = False
        section = self._section(config or {})
        state_dir = folder or Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="ironpost-test-")))
        self.context: Context[Any] = Context(
            name=name,
            config=section,
            metrics=self.metrics,
            alerts=self.publisher,
            state_dir=state_dir,
            clock=self.clock,
            log=logging.getLogger(f"ironpost.{name}"),
            stopping=threading.Event(),
            spawn=self._spawn,
        )

    def __enter__(self) -> PluginRun:
        if self._start:
            try:
                self.start()
            except BaseException:
                with self._exits:
                    self.stop()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        with self._exits:
            self.stop()
        if error is None and self.errors:
            raise self.errors[0]

    # -- what the daemon does -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Call ``ironpost_start``."""
        self._started = True
        self.hooks.call("ironpost_start", context=self.context)

    def stop(self) -> None:
        """Set `stopping`, call ``ironpost_stop`` if it was started, wait for the threads.

        Raises:
            PluginError: a thread did not end within 10 s.
        """
        self.context.stopping.set()
        try:
            if self._started:
                self._started = False
                self.hooks.call("ironpost_stop")
        finally:
            self._join()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
            if thread.is_alive():
                raise PluginError(self.context.name, f"thread {thread.name} goes on after the stop")

    def deliver(self, alert: Alert) -> None:
        """Have the plugin look at an alert of somebody else."""
        self.hooks.call("ironpost_alert", alert=alert)

    def reload(self, config: Mapping[str, Any]) -> None:
        """Offer a changed section; what the plugin raises to refuse comes out, and the old one stays.

        Raises:
            PluginError: it has no hook for that; the daemon says "restart needed".
        """
        fresh = self._section(config)
        if not self.hooks.has("ironpost_reload"):
            raise PluginError(self.context.name, "takes no changes while it runs", "implement ironpost_reload")
        self.hooks.call("ironpost_reload", config=fresh)
        self.context.config = fresh

    def act(self, action: str, **arguments: Any) -> Any:
        """Do one of its actions, with arguments as they come over the control socket."""
        known = self.hooks.actions[action]
        report = Report()
        request = structure(known.request, arguments, (action,), report)
        if request is FAILED:
            raise ConfigError(report.problems)
        return known.run(request)

    # -- what a test looks at -----------------------------------------------------------------------------------

    @property
    def alerts(self) -> Sequence[Alert]:
        """What it published, in order, repetitions left out."""
        return self.publisher.alerts

    def health(self) -> Health:
        """What it says of itself."""
        return self.hooks.call("ironpost_health") or Health()

    def metric(self, name: str, **labels: str) -> float:
        """A sample's value as Prometheus would see it; `name` without the prefix ``ironpost_``.

        Raises:
            KeyError: there is no such sample; the message lists those of that family.
        """
        samples = list(self._samples())
        for found, its_labels, value in samples:
            if found == PREFIX + name and its_labels == labels:
                return value
        near = sorted(f"{found}{its_labels or ''}" for found, its_labels, _ in samples if name in found)
        raise KeyError(f"no sample {name}{labels or ''}; there are {', '.join(near) or 'none like it'}")

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds.

        Raises:
            TimeoutError: it does not within 10 real seconds.
        """
        until = threading.Event()
        for _ in range(int(PATIENCE / 0.01)):
            if condition():
                return
            until.wait(0.01)
        raise TimeoutError(f"{condition} does not hold after {PATIENCE:g} s")

    # -- inside -------------------------------------------------------------------------------------------------

    def _samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        reading: dict[Any, Any] = {}
        for reader in self.metrics.readers:
            reading.update(reader())
        for family in self.metrics.families(reading):
            for sample in family.samples:
                yield sample.name, sample.labels, sample.value

    def _section(self, data: Mapping[str, Any]) -> Any:
        section = self.hooks.section
        if section is None:
            return None
        report = Report()
        config = structure(section.type, data, (section.name,), report)
        if config is FAILED:
            raise ConfigError(report.problems)
        return config

    def _spawn(self, name: str, target: Callable[[], None]) -> None:
        if self.context.stopping.is_set():
            raise PluginError(self.context.name, f"no thread {name!r} is started: the plugin is being stopped")
        thread = threading.Thread(
            target=self._run, args=(target,), name=f"ironpost-{self.context.name}-{name}", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _run(self, target: Callable[[], None]) -> None:
        try:
            target()
        except BaseException as error:  # noqa: BLE001 - kept for the end of the run, where it is raised
            self.errors.append(error)


def check_declarations(hooks: Hooks) -> None:
    """Hold what a plugin declares to the rules that the daemon holds it to.

    Raises:
        PluginError: a metric outside its prefix, twice or with open labels, or a section that is not its own.
    """
    prefix = f"{prefix_of(hooks.name)}_"
    names = [series for spec in hooks.metrics for series in spec.series_names()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PluginError(hooks.name, f"two of its metrics export {', '.join(twice)}", "rename one")
    for spec in hooks.metrics:
        if not spec.name.startswith(prefix):
            raise PluginError(hooks.name, f"metric {spec.name}: its name must begin with {prefix}", "rename it")
        if not all(spec.labels.values()):
            raise PluginError(hooks.name, f"metric {spec.name} has a label without values", "name every value")
    if hooks.section is not None:
        check_section(hooks.name, hooks.section.name)


def an_alert(**changes: Any) -> Alert:
    """An alert to deliver in tests: SSH password guessing from 203.0.113.7; `changes` replace fields."""
    fields: dict[str, Any] = {
        "rule": "ssh-password-guessing",
        "title": "SSH password guessing",
        "severity": Severity.HIGH,
        "time": START,
        "plugin": "logpipe",
        "host": "test-host",
        "observables": [
            Observable(Key.SOURCE_IP, "203.0.113.7", Trust.LOCAL),
            Observable(Key.USER, "root", Trust.LOCAL),
        ],
    }
    return Alert(**(fields | changes))
