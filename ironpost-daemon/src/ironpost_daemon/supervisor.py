"""All plugins together: load one by one, start side by side, stop in order, reload each for itself.

Neighbours: `host` holds one plugin; `daemon` calls this.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from ironpost_core import ActionError, ConfigError, Metrics, PluginError, Section
from ironpost_core.config import DAEMON_SECTIONS, KNOWN_SECTIONS, Loaded
from ironpost_core.hookspecs import Action
from ironpost_core.registration import check_section
from ironpost_core.structure import FAILED, Report, structure
from ironpost_daemon.calls import describe
from ironpost_daemon.discovery import Candidate
from ironpost_daemon.exposition import OnFailure, PluginCollector
from ironpost_daemon.host import STOP_DEADLINE, Events, PluginHost, Services
from ironpost_daemon.names import daemon_names, register_specs
from ironpost_daemon.status import Life, PluginStatus

DRAIN_DEADLINE = 2.0
#: Seconds for one plugin's load before the next one's begins beside it.
LOAD_PATIENCE = 0.5

log = logging.getLogger("ironpost.daemon")


class Supervisor:
    """The hosts of all entry points."""

    def __init__(
        self,
        *,
        make_host: Callable[[Candidate], PluginHost],
        registry: CollectorRegistry,
        events: Events,
        on_reader_failure: OnFailure,
    ) -> None:
        self.hosts: dict[str, PluginHost] = {}
        self._make_host = make_host
        self._registry = registry
        self._events = events
        self._on_reader_failure = on_reader_failure
        self._collectors: dict[str, PluginCollector] = {}
        self._taken = daemon_names()
        self._lock = threading.Lock()
        self._stopping = False

    # -- load ---------------------------------------------------------------------------------------------------

    def load(self, candidates: Sequence[Candidate]) -> None:
        """Load every candidate, one after the other; one that hangs is left to go on while the next follow."""
        hosts = [self._make_host(candidate) for candidate in candidates]
        for host in hosts:
            self.hosts[host.name] = host
            host.begin_load(LOAD_PATIENCE)
        for host in hosts:
            host.finish_load()
            if host.hooks is not None:
                self._admit(host)

    def _admit(self, host: PluginHost) -> None:
        """Refuse a plugin whose section or metrics clash with what is there; register its metrics otherwise."""
        hooks = host.hooks
        assert hooks is not None  # noqa: S101 - load() looked
        try:
            if hooks.section is not None:
                check_section(host.name, hooks.section.name)
            register_specs(self._taken, host.name, hooks.metrics)
            host.metrics = Metrics(hooks.metrics)
            collector = PluginCollector(host.name, host.metrics, on_failure=self._reader_failed)
            self._registry.register(collector)
            self._collectors[host.name] = collector
        except PluginError as error:
            host.fail(f"{error.what} ({error.remedy})" if error.remedy else error.what)
        except Exception as error:  # noqa: BLE001 - what one plugin declares may not stop the others
            host.fail(f"what it declares can't be used: {describe(error)}", error)

    def _reader_failed(self, name: str, reason: str) -> None:
        self.hosts[name].reader_failed(reason)
        self._on_reader_failure(name, reason)

    # -- configuration ------------------------------------------------------------------------------------------

    def sections(self) -> list[Section[Any]]:
        """The sections of all plugins that could be loaded, also of those that failed later."""
        return [host.hooks.section for host in self._admitted() if host.hooks is not None and host.hooks.section]

    def unreadable_sections(self) -> set[str]:
        """The sections of plugins that could not be loaded: their own names, and the fixed ones of the four."""
        failed = self.hosts.keys() - {host.name for host in self._admitted()}
        fixed = {
            section for section, owner in KNOWN_SECTIONS.items() if owner.removeprefix("ironpost-plugin-") in failed
        }
        return (failed | fixed) - set(DAEMON_SECTIONS)

    def refuse_broken_sections(self, loaded: Loaded) -> set[str]:
        """Fail the plugins whose section class, not the operator's text, is broken; the names of those sections."""
        broken = set()
        for host in self._usable():
            section = host.hooks.section if host.hooks else None
            problems = loaded.problems_of(section.name) if section else ()
            authors = [problem for problem in problems if problem.file is None and "." not in problem.where]
            if section is not None and authors:
                host.fail(str(authors[0]))
                broken.add(section.name)
        return broken

    def initialise(self, values: Mapping[str, Any]) -> None:
        """Give every usable plugin its section."""
        for host in self._usable():
            assert host.hooks is not None and host.metrics is not None  # noqa: S101, PT018 - usable means both
            section = host.hooks.section
            host.initialise(host.metrics, values[section.name] if section else None)

    def _admitted(self) -> list[PluginHost]:
        return [host for host in self.hosts.values() if host.name in self._collectors]

    def _usable(self) -> list[PluginHost]:
        return [host for host in self.hosts.values() if host.life is not Life.FAILED]

    # -- run ----------------------------------------------------------------------------------------------------

    def start(self, services: Services) -> None:
        """Start all side by side; returns at once. All subscribe before the first one can publish."""
        hosts = self._usable()
        for host in hosts:
            host.prepare(services)
        for host in hosts:
            host.begin()

    def stop(self, drain: Callable[[float], object]) -> None:
        """Stop those that only raise alerts, drain the queues, then stop those that answer alerts."""
        self._stopping = True
        running = [host for host in self.hosts.values() if host.life in (Life.STARTING, Life.RUNNING)]
        _side_by_side([host for host in running if not host.handles_alerts])
        drain(DRAIN_DEADLINE)
        _side_by_side([host for host in running if host.handles_alerts])
        for collector in self._collectors.values():
            collector.close()

    def statuses(self) -> tuple[PluginStatus, ...]:
        """How every entry point is now; health hooks are asked side by side."""
        hosts = list(self.hosts.values())
        for host in hosts:
            host.ask_health()
        return tuple(host.status() for host in hosts)

    # -- reload -------------------------------------------------------------------------------------------------

    def reload(self, loaded: Loaded, services: Services) -> dict[str, str]:
        """Offer the sections to their plugins, each for itself; one that had failed gets a new start.

        Returns:
            Section → what came of it: ``unchanged``, ``reloaded``, ``started``, ``stopped``, ``restart needed`` or
            ``refused: why``.
        """
        with self._lock:
            return {
                host.hooks.section.name: self._reload_one(host, host.hooks.section, loaded, services)
                for host in self._admitted()
                if host.hooks is not None and host.hooks.section is not None
            }

    def _reload_one(self, host: PluginHost, section: Section[Any], loaded: Loaded, services: Services) -> str:
        problems = loaded.problems_of(section.name)
        if problems:
            return "refused: " + "; ".join(str(problem) for problem in problems)
        try:
            return self._offer(host, loaded.values[section.name], services)
        except PluginError as error:
            return f"refused: {error}"
        except Exception as error:
            # Comparing a plugin's section, or asking whether it is enabled, may run the plugin's code.
            host.log.exception("reload of plugin %s", host.name)
            return f"refused: {describe(error)}"

    def _offer(self, host: PluginHost, config: Any, services: Services) -> str:
        if not getattr(config, "enabled", True):
            return self._switch_off(host, config)
        if host.life in (Life.DISABLED, Life.STOPPED, Life.FAILED):
            return self._restart(host, config, services)
        same = config == host.config
        if not host.takes_reloads:
            return "unchanged" if same else "restart needed"
        if same and host.life is Life.STARTING:
            return "unchanged"
        host.reload(config)
        return "reloaded"

    def _switch_off(self, host: PluginHost, config: Any) -> str:
        if host.life in (Life.STARTING, Life.RUNNING):
            host.stop()
            self._collectors[host.name].close()
            outcome = "stopped"
        else:
            outcome = "unchanged" if config == host.config else "reloaded"
        host.disable(config)
        return outcome

    def _restart(self, host: PluginHost, config: Any, services: Services) -> str:
        """A new instance for a plugin that was switched on or had failed; its metrics go on counting."""
        fresh = self._make_host(host.candidate)
        fresh.load()
        if fresh.hooks is None or host.metrics is None or fresh.life is Life.FAILED:
            self._events.life_changed(host.name, host.life)
            return f"refused: {fresh.status().reason}"
        if self._stopping:
            self._events.life_changed(host.name, host.life)
            return "refused: the daemon is being stopped"
        host.metrics.forget_readers()
        self._collectors[host.name].reopen()
        fresh.initialise(host.metrics, config)
        self.hosts[host.name] = fresh
        fresh.start(services)
        return "started"

    # -- actions ------------------------------------------------------------------------------------------------

    def action(self, call: str) -> tuple[PluginHost, Action[Any]]:
        """The action called ``<plugin>.<name>``.

        Raises:
            ActionError: there is none, or its plugin failed.
        """
        plugin, _, name = call.partition(".")
        host = self.hosts.get(plugin)
        if host is None or host.hooks is None or host.life is Life.FAILED:
            raise ActionError(f"{call}: no plugin {plugin!r} is loaded; see `ironpost plugins`")
        action = host.hooks.actions.get(name)
        if action is None:
            known = ", ".join(sorted(host.hooks.actions)) or "none"
            raise ActionError(f"{call}: plugin {plugin} has no action {name!r}; it has: {known}")
        return host, action

    def act(self, call: str, arguments: Mapping[str, Any]) -> Any:
        """Run an action on the calling thread; what it raises becomes an ActionError."""
        host, action = self.action(call)
        try:
            report = Report()
            request = structure(action.request, arguments, (host.name, action.name), report)
            if request is FAILED:
                raise ConfigError(report.problems)
            return action.run(request)
        except (ActionError, ConfigError):
            raise
        except BaseException as error:
            host.log.error("action %s raised %s", call, describe(error), exc_info=error)
            raise ActionError(f"{call}: raised {describe(error)}") from error


def _side_by_side(hosts: Sequence[PluginHost]) -> None:
    """Stop these at the same time and wait until each has stopped or its deadline has passed."""
    threads = [threading.Thread(target=host.stop, name=f"ironpost-{host.name}-stop", daemon=True) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(STOP_DEADLINE + 1.0)
