"""The daemon's life: load, validate, start, run, stop. Neighbours: `supervisor` (plugins), `parts` (all the rest)."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from ironpost_core import ConfigError
from ironpost_core.clock import SystemClock
from ironpost_core.config import Loaded
from ironpost_daemon import logs
from ironpost_daemon.calls import Flight, describe
from ironpost_daemon.configuration import Configuration, complete, find_file, read
from ironpost_daemon.discovery import find_plugins
from ironpost_daemon.exits import CONFIGURATION, GOOD, NO
from ironpost_daemon.parts import Parts
from ironpost_daemon.pidfile import AlreadyRunning
from ironpost_daemon.signals import STOP, Signals

#: After this long a stop is cut short, whatever hangs.
LONGEST_STOP: Final = 9.5
_TICK: Final = 1.0

log = logging.getLogger("ironpost.daemon")


@attrs.frozen(kw_only=True)
class Options:
    """The command line of ``ironpost-daemon``."""

    config: Path | None = None
    overrides: Mapping[str, Any] = attrs.field(factory=dict)


class Daemon:
    """One run of the daemon in this process."""

    def __init__(self, options: Options, environ: Mapping[str, str], signals: Signals) -> None:
        self._options = options
        self._environ = environ
        self._signals = signals
        self._reloading = threading.Lock()
        self._reload_waits = threading.Semaphore()
        self._configuration: Configuration | None = None
        self.parts = Parts(SystemClock(), environ, reload=self.reload)

    # -- load and validate --------------------------------------------------------------------------------------

    def load(self) -> bool:
        """Discover and load the plugins on a thread of its own, watching for signals; False when told to stop."""
        loading = Flight(lambda: self.parts.supervisor.load(find_plugins()), "ironpost-load")
        loading.start()
        while not loading.wait(0):
            if self._signals.wait(0.005) in STOP:
                return False
        loading.outcome()
        return True

    def configure(self) -> Configuration:
        """Read and validate everything, and give each plugin its section.

        Raises:
            ConfigError: with every problem of the document.
        """
        path = find_file(self._options.config, self._environ)
        loaded = self._read(path)
        broken = self.parts.supervisor.refuse_broken_sections(loaded)
        if broken:
            theirs = {problem for section in broken for problem in loaded.problems_of(section)}
            loaded = attrs.evolve(loaded, problems=tuple(p for p in loaded.problems if p not in theirs))
        configuration = complete(path, loaded)
        _warn(loaded)
        self.parts.supervisor.initialise(loaded.values)
        self._configuration = configuration
        return configuration

    def _read(self, path: Path | None) -> Loaded:
        supervisor = self.parts.supervisor
        return read(
            path,
            plugins=supervisor.sections(),
            environ=self._environ,
            overrides=self._options.overrides,
            unreadable=supervisor.unreadable_sections(),
        )

    # -- run ----------------------------------------------------------------------------------------------------

    def run(self, configuration: Configuration) -> int:
        """Start everything, wait for a signal, stop everything; the exit code."""
        try:
            self.parts.start(configuration)
        except BaseException:
            self.parts.stop()
            raise
        log.info(
            "ironpost-daemon runs with %s",
            configuration.path or "embedded defaults",
            extra={"fields": {"metrics_url": self.parts.metrics_url or "off"}},
        )
        number = self._wait()
        log.info("stops on %s", signal.Signals(number).name)
        self._stop_in_time()
        return GOOD

    def _wait(self) -> int:
        while True:
            number = self._signals.wait(_TICK)
            if number in STOP:
                return number
            # One reload that waits for its turn sees whatever the signals after it are about.
            if number == signal.SIGHUP and self._reload_waits.acquire(blocking=False):
                try:
                    threading.Thread(target=self._reload_on_signal, name="ironpost-reload", daemon=True).start()
                except RuntimeError as error:  # no more threads
                    self._reload_waits.release()
                    log.error("reload failed, nothing was changed: %s", error)

    def _stop_in_time(self) -> None:
        """Stop; a second signal or a stop that takes too long ends the process at once."""
        try:
            thread = threading.Thread(target=self.parts.stop, name="ironpost-stop", daemon=True)
            thread.start()
        except RuntimeError as error:  # no more threads
            log.error("the stop is cut short, its thread can't be started: %s", error)
            return
        deadline = self.parts.clock.monotonic() + LONGEST_STOP
        while thread.is_alive():
            if self._signals.wait(0.01) in STOP or self.parts.clock.monotonic() > deadline:
                log.error("the stop is cut short; what was not stored by now is read again at the next start")
                return

    # -- reload -------------------------------------------------------------------------------------------------

    def _reload_on_signal(self) -> None:
        try:
            self.reload(self._reload_waits.release)
        except Exception as error:  # noqa: BLE001 - the stated boundary of this thread: a failed reload changes nothing
            why = error if isinstance(error, ConfigError) else describe(error)
            log.error("reload failed, nothing was changed: %s", why)

    def reload(self, begun: Callable[[], object] = lambda: None) -> dict[str, str]:
        """Read the configuration again and offer every changed section to its owner, each for itself.

        Args:
            begun: called when its turn has come.

        Returns:
            Section → ``unchanged``, ``reloaded``, ``started``, ``stopped``, ``restart needed`` or ``refused: why``.

        Raises:
            ConfigError: the file can't be read at all, or holds problems outside the sections of plugins.
        """
        try:
            with self._reloading:
                begun()
                with self.parts.reload_said():
                    outcome = self._reload()
        except Exception:
            self.parts.accounts.reloaded(success=False)
            raise
        for section, what in outcome.items():
            log.log(logging.WARNING if "refused" in what else logging.INFO, "reload: [%s] %s", section, what)
        self.parts.accounts.reloaded(success=not any("refused" in what for what in outcome.values()))
        return outcome

    def _reload(self) -> dict[str, str]:
        old = self._configuration
        assert old is not None  # noqa: S101 - nothing can ask before run()
        loaded = self._read(old.path)
        plugins = [section.name for section in self.parts.supervisor.sections()]
        of_plugins = {problem for name in plugins for problem in loaded.problems_of(name)}
        rest = tuple(problem for problem in loaded.problems if problem not in of_plugins)
        new = complete(old.path, attrs.evolve(loaded, problems=rest))
        _warn(loaded)
        outcome = self._reload_own(old, new) | self.parts.supervisor.reload(loaded, self.parts.services)
        # What needs a restart stays as it was, so that every later reload says so again.
        general = attrs.evolve(old.general, log_level=new.general.log_level)
        self._configuration = attrs.evolve(old, loaded=loaded, general=general)
        return outcome

    def _reload_own(self, old: Configuration, new: Configuration) -> dict[str, str]:
        """The daemon's own sections: the log level changes at once, all else needs a restart."""
        if old.general.log_level != new.general.log_level:
            logs.set_level(new.general.log_level)
        only_level = attrs.evolve(old.general, log_level=new.general.log_level)
        general = "unchanged" if old.general == new.general else "reloaded"
        return {
            "general": general if only_level == new.general else "restart needed",
            "metrics": "unchanged" if old.metrics == new.metrics else "restart needed",
            "alerts": "unchanged" if old.alerts == new.alerts else "restart needed",
        }


def _warn(loaded: Loaded) -> None:
    for problem in (*loaded.warnings, *loaded.environment_problems):
        log.warning("%s", problem)


def run(options: Options, environ: Mapping[str, str], configure_logs: Callable[[Configuration], None]) -> int:
    """The whole life; returns the exit code."""
    signals = Signals()
    signals.install()
    daemon = Daemon(options, environ, signals)
    try:
        if not daemon.load():
            return GOOD
        configuration = daemon.configure()
        configure_logs(configuration)
        return daemon.run(configuration)
    except ConfigError as error:
        for problem in error.problems:
            log.error("%s", problem)
        return CONFIGURATION
    except AlreadyRunning as error:
        log.error("%s", error)
        return NO


def check(options: Options, environ: Mapping[str, str]) -> tuple[Configuration, tuple[str, ...]]:
    """Load and validate without starting anything: the configuration and the warnings.

    Raises:
        ConfigError: with every problem, unusable environment variables among them.
    """
    daemon = Daemon(options, environ, Signals())
    daemon.parts.supervisor.load(find_plugins())
    configuration = daemon.configure()
    if configuration.loaded.environment_problems:
        raise ConfigError(configuration.loaded.environment_problems)
    return configuration, tuple(str(warning) for warning in configuration.loaded.warnings)


def leave(code: int) -> None:
    """End the process without waiting for threads that a plugin left behind."""
    logging.shutdown()
    os._exit(code)
