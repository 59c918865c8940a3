"""Everything the daemon consists of, in the order in which it is started, and stopped in reverse."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from ironpost_core import Alert, Clock, State
from ironpost_core.alerts import this_host
from ironpost_core.config import MetricsConfig
from ironpost_core.files import ensure_folder
from ironpost_daemon import build, system_metrics
from ironpost_daemon.accounts import Accounts
from ironpost_daemon.bus import Bus
from ironpost_daemon.configuration import Configuration, Folders
from ironpost_daemon.control import ControlServer
from ironpost_daemon.discovery import Candidate
from ironpost_daemon.exposition import ShieldedRegistry, render
from ironpost_daemon.history import History
from ironpost_daemon.host import PluginHost, Services
from ironpost_daemon.http import HttpServer
from ironpost_daemon.outlets import Outlets
from ironpost_daemon.own_metrics import DaemonMetrics
from ironpost_daemon.pidfile import PidFile, hold_folder
from ironpost_daemon.requests import Requests
from ironpost_daemon.status import DaemonStatus, PartStatus
from ironpost_daemon.supervisor import Supervisor
from ironpost_daemon.systemd import Notifier, Watchdog

SINKS_DEADLINE: Final = 1.0
SERVERS_DEADLINE: Final = 0.5

log = logging.getLogger("ironpost.daemon")


class Parts:
    """The daemon's parts; `start` makes those that need a configuration."""

    def __init__(self, clock: Clock, environ: Mapping[str, str], *, reload: Callable[[], dict[str, str]]) -> None:
        self.clock = clock
        self._environ = environ
        self._reload = reload
        self._started: datetime = clock.now()
        self._metrics = DaemonMetrics(clock, version=build.version(), commit=build.commit())
        self.accounts = Accounts(self._metrics)
        self._metrics.before_collect = self.accounts.take_over
        self._registry = ShieldedRegistry(on_failure=self._metrics.reader_failed)
        self._registry.register(self._metrics)
        self._metrics.register_process(self._registry)
        self.supervisor = Supervisor(
            make_host=self._make_host,
            registry=self._registry,
            events=self.accounts,
            on_reader_failure=self._metrics.reader_failed,
        )
        self._notifier = Notifier(environ)
        self._exits: list[Callable[[], object]] = []
        # Stopped after the others: when the time for the stop runs out, the history must have had its share.
        self._late_exits: list[Callable[[], object]] = []
        self._http: HttpServer | None = None
        self._history: History | None = None
        self._outlets: Outlets | None = None
        self._running = False
        self._shown: dict[str, State] = {}
        self.services: Services

    def _make_host(self, candidate: Candidate) -> PluginHost:
        return PluginHost(candidate, clock=self.clock, events=self.accounts)

    # -- start --------------------------------------------------------------------------------------------------

    def start(self, configuration: Configuration) -> None:
        """Start everything; what was started is stopped by `stop`, also when this raises.

        Raises:
            ConfigError: a folder, address or file that can't be used, and how to mend it.
            AlreadyRunning: another daemon holds the PID file.
        """
        folders = Folders.of(configuration.general, self._environ)
        ensure_folder(folders.data_dir)
        ensure_folder(folders.run_dir)
        pid_file = PidFile(folders.pid_file)
        pid_file.acquire()
        self._late_exits.append(pid_file.release)
        self._late_exits.append(hold_folder(folders.data_dir).close)
        history, bus = self._start_history(configuration, folders)
        self.services = Services(
            history=history, bus=bus, clock=self.clock, state_root=ensure_folder(folders.data_dir / "plugins")
        )
        self._start_system_metrics(configuration.metrics, folders.data_dir)
        self._start_servers(configuration, folders, history)
        self._exits.append(lambda: self.supervisor.stop(self._drain))
        self.supervisor.start(self.services)
        self._running = True
        self._notifier.ready(f"serving {self.metrics_url or 'no metrics'}")
        self._start_watchdog()

    def _start_history(self, configuration: Configuration, folders: Folders) -> tuple[History, Bus]:
        alerts = configuration.alerts
        history = History(
            folders.history,
            clock=self.clock,
            log=logging.getLogger("ironpost.history"),
            on_stored=self._stored,
            queue_capacity=alerts.queue_capacity,
            retention=timedelta(days=alerts.history_days),
        )
        history.open()
        history.start()
        bus = Bus(
            history,
            clock=self.clock,
            log=logging.getLogger("ironpost.alerts"),
            replay_max_age=alerts.replay_max_age,
            backlog=alerts.backlog,
        )
        self._bus = bus
        self._history = history
        self.accounts.watch_history(history)
        self._exits.append(lambda: history.stop(SINKS_DEADLINE))
        outlets = Outlets(alerts.sinks, bus, self.accounts)
        self._outlets = outlets
        outlets.start()
        self._exits.append(lambda: outlets.stop(SINKS_DEADLINE))
        return history, bus

    def _start_system_metrics(self, metrics: MetricsConfig, data_dir: Path) -> None:
        if not (metrics.enabled and metrics.system):
            return
        self._metrics.known_reader(system_metrics.MODULE)
        host = system_metrics.Host(data_dir=data_dir)
        for collector in system_metrics.collectors(host, self._metrics.reader_failed):
            self._registry.register(collector)
            collector.begin()  # so that the first scrape has values even when its own reading is late

    def _start_servers(self, configuration: Configuration, folders: Folders, history: History) -> None:
        requests = Requests(
            status=self.status,
            history=history,
            supervisor=self.supervisor,
            reload=self._reload,
            configuration=configuration,
        )
        control = ControlServer(
            folders.control,
            requests.control,
            deadline_of=requests.deadline_of,
            group=configuration.general.control_group,
            log=logging.getLogger("ironpost.control"),
        )
        control.start()
        self._late_exits.append(lambda: control.stop(SERVERS_DEADLINE))
        if not configuration.metrics.enabled:
            return
        self._http = HttpServer(
            configuration.metrics,
            render=lambda accept: render(self._registry, accept),
            ready=lambda: self._running,
            status=self.status,
            api=requests.api(),
            log=logging.getLogger("ironpost.http"),
        )
        self._http.start()
        self._late_exits.append(functools.partial(self._http.stop, SERVERS_DEADLINE))

    def _start_watchdog(self) -> None:
        watchdog = Watchdog(self._notifier, self._works)
        watchdog.start()
        self._exits.append(watchdog.stop)

    def _works(self) -> bool:
        """Whether a scrape succeeds and the HTTP thread is there to serve it."""
        return bool(render(self._registry, "")[0]) and (self._http is None or self._http.alive)

    def _stored(self, alerts: Sequence[Alert]) -> None:
        self.accounts.stored(alerts)
        self._bus.wake()

    # -- stop ---------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop what was started, in reverse; each part for itself, so that one that fails does not keep the rest."""
        self._notifier.stopping()
        while self._exits or self._late_exits:
            leave = (self._exits or self._late_exits).pop()
            try:
                leave()
            except Exception:
                log.exception("a part did not stop cleanly")

    def _drain(self, timeout: float) -> None:
        """Have what was published stored, and handled by the plugins that answer alerts."""
        until = self.clock.monotonic() + timeout
        self.services.history.settle(timeout)
        self.services.bus.drain(until - self.clock.monotonic())

    @contextlib.contextmanager
    def reload_said(self) -> Iterator[None]:
        """Tell the service manager that a reload is under way, and when it is over."""
        self._notifier.reloading()
        try:
            yield
        finally:
            self._notifier.ready()

    # -- status -------------------------------------------------------------------------------------------------

    @property
    def metrics_url(self) -> str | None:
        """Where metrics are served, or None."""
        return self._http.url if self._http is not None else None

    def status(self) -> DaemonStatus:
        """Everything as it is now."""
        return DaemonStatus(
            version=build.version(),
            commit=build.commit(),
            python_version=platform.python_version(),
            pid=os.getpid(),
            host=this_host(),
            started=self._started,
            uptime=self._metrics.uptime,
            ready=self._running,
            metrics_url=self.metrics_url,
            plugins=self.supervisor.statuses(),
            parts=self._noted(tuple(self._part_statuses())),
        )

    def _noted(self, parts: tuple[PartStatus, ...]) -> tuple[PartStatus, ...]:
        """Log a part whose health changed, as the hosts do for plugins."""
        for part in parts:
            if self._shown.get(part.name, State.HEALTHY) is not part.health:
                level = logging.INFO if part.health is State.HEALTHY else logging.WARNING
                log.log(level, "%s is %s: %s", part.name, part.health, part.reason or "all is well")
            self._shown[part.name] = part.health
        return parts

    def _part_statuses(self) -> Iterator[PartStatus]:
        if self._history is not None:
            yield self._history.health()
        if self._outlets is not None:
            yield from self._outlets.statuses()
