from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from history_tools import PATIENCE, an_alert, until
from ironpost_core import Health, Metrics, PluginError, Section, State
from ironpost_core.testing import FakeClock
from ironpost_daemon import host_health, host_load
from ironpost_daemon.host import PluginHost, Services
from ironpost_daemon.status import Life
from plugin_tools import Ledger, a_candidate, a_plugin, at_import, the_services

EVIL = "\x1b[31m\ud800"


@attrs.frozen
class Config:
    loudness: int = 1
    enabled: bool = True


SECTION = Section(name="canary", type=Config, help="The canary.")


class Kit:
    """Makes hosts, and lets go at the end whatever hangs."""

    def __init__(self, services: Services) -> None:
        self.services, self.clock, self.ledger = services, FakeClock(), Ledger()
        self.gate, self.entered = threading.Event(), threading.Event()

    def hang(self, *_: Any) -> None:
        self.entered.set()
        self.gate.wait(PATIENCE)

    def host(self, plugin: Any = None, *, config: Any = None, **hooks: Any) -> PluginHost:
        """A host that has loaded a class with these hooks, and is initialised if that went well."""
        host = PluginHost(
            a_candidate(a_plugin(**hooks) if plugin is None else plugin), clock=self.clock, events=self.ledger
        )
        host.load()
        if host.life is not Life.FAILED:
            assert host.hooks is not None
            host.initialise(Metrics(host.hooks.metrics), config)
        return host

    def running(self, **hooks: Any) -> PluginHost:
        host = self.host(**hooks)
        host.start(self.services)
        until(lambda: host.life is Life.RUNNING)
        return host

    def failed(self, host: PluginHost) -> str:
        """Why it failed, once it has."""
        until(lambda: host.life is Life.FAILED)
        status = host.status()
        assert status.health is State.UNHEALTHY
        return status.reason


@pytest.fixture
def kit(tmp_path) -> Iterator[Kit]:
    with the_services(tmp_path) as services:
        kit = Kit(services)
        yield kit
        kit.gate.set()


def raiser(error: BaseException) -> Any:
    def hook(*_: Any, **__: Any) -> None:
        raise error

    return hook


def run_of(host: PluginHost) -> Any:
    return host._run


# -- load -------------------------------------------------------------------------------------------------------


def test_loading_collects_what_it_declares(kit):
    host = kit.host(a_plugin(config=lambda self: SECTION))
    assert host.hooks is not None
    assert (host.life, host.hooks.section, host.name) == (Life.INITIALISED, SECTION, "canary")
    assert kit.ledger.lives == [("canary", Life.INITIALISED)]
    status = host.status()
    assert (status.distribution, status.version, status.entry_point, status.health) == (
        "ironpost-plugin-canary",
        "1.0",
        "canary:Plugin",
        State.HEALTHY,
    )


@pytest.mark.parametrize(
    ("loaded", "reason"),
    [
        (at_import(raiser(ValueError("no wings"))), r"^import raised ValueError: no wings, at .*test_host.py:\d+$"),
        (at_import(raiser(SystemExit(1))), r"^import raised SystemExit: 1"),
        (
            at_import(raiser(ModuleNotFoundError("egg"))),
            r"gone or incomplete: reinstall or uninstall ironpost-plugin-c",
        ),
        (at_import(raiser(ValueError(EVIL))), r"ValueError: \\x1b\[31m\\ud800"),
        (at_import(lambda: "text"), r"^canary:Plugin is no class \(name the plugin's class\)$"),
        (type("Egg", (), {"__init__": raiser(ValueError("cracked"))}), r"^constructor raised ValueError: cracked"),
        (type("Egg", (), {"__init__": lambda self, size: None}), r"^constructor raised TypeError"),
        (a_plugin(alerts=lambda self: None), r"ironpost_alerts.*\(the hooks are"),
        (a_plugin(metrics=raiser(KeyError("feather"))), r"^load raised KeyError: 'feather'"),
        (a_plugin(config=lambda self: 3), r"^ironpost_config\(\) returned 3 \(return a Section or None\)$"),
    ],
)
def test_what_can_not_be_loaded_is_a_failed_plugin_with_its_reason(kit, caplog, loaded, reason):
    host = kit.host(loaded)
    assert host.hooks is None
    assert re.search(reason, kit.failed(host))
    assert "plugin canary failed" in caplog.text
    host.start(kit.services)
    host.stop()
    assert kit.ledger.lives == [("canary", Life.FAILED)]


def test_a_name_that_is_not_its_own_is_not_even_imported(kit):
    host = PluginHost(a_candidate(None, problem="two claim it"), clock=kit.clock, events=kit.ledger)
    host.load()
    assert kit.failed(host) == "two claim it"


def test_an_import_that_hangs_is_left_behind(kit, monkeypatch):
    monkeypatch.setattr(host_load, "LOAD_DEADLINE", 0.05)
    reason = kit.failed(kit.host(at_import(lambda: kit.hang(None))))
    assert reason.startswith("import did not return within 0.05 s, at ")
    assert reason.endswith(" in hang")


# -- start ------------------------------------------------------------------------------------------------------


def test_a_start_gets_its_context_and_then_it_runs(kit, tmp_path):
    seen: list[Any] = []
    host = kit.host(config=Config(loudness=3), start=lambda self, context: seen.append(context))
    host.start(kit.services)
    until(lambda: host.life is Life.RUNNING)
    (context,) = seen
    assert (context.name, context.config, context.metrics) == ("canary", Config(loudness=3), host.metrics)
    assert context.state_dir == tmp_path / "plugins" / "canary"
    assert context.state_dir.stat().st_mode & 0o777 == 0o700
    assert (context.log.name, context.clock, context.stopping.is_set()) == (
        "ironpost.canary",
        kit.services.clock,
        False,
    )
    assert [life for _, life in kit.ledger.lives] == [Life.INITIALISED, Life.STARTING, Life.RUNNING]
    host.stop()
    assert host.life is Life.STOPPED


def test_a_disabled_plugin_is_not_started(kit):
    host = kit.host(a_plugin(config=lambda self: SECTION, start=raiser(AssertionError())), config=Config(enabled=False))
    host.start(kit.services)
    assert (host.life, host.status().reason) == (Life.DISABLED, "disabled by [canary] enabled = false")
    assert host.status().health is State.HEALTHY
    host.stop()
    assert host.life is Life.DISABLED


def test_a_section_that_raises_when_asked_whether_it_is_enabled(kit):
    host = kit.host(config=type("Odd", (), {"enabled": property(raiser(LookupError("odd")))})())
    host.start(kit.services)
    assert "cannot be started: LookupError: odd" in kit.failed(host)


def test_a_start_without_a_state_folder_fails_alone(kit, tmp_path):
    (tmp_path / "plugins").write_text("in the way")
    host = kit.host()
    host.start(kit.services)
    assert kit.failed(host).startswith("cannot be started: ")


def test_a_start_without_a_thread_to_give(kit, monkeypatch):
    host = kit.host()
    with monkeypatch.context() as patch:
        patch.setattr(host._calls, "begin", raiser(PluginError("canary", "no thread")))
        host.start(kit.services)
    assert "no thread" in kit.failed(host)
    assert run_of(host).context.stopping.is_set()
    assert run_of(host).publisher.publish(an_alert()) is False
    host.stop()
    assert host.life is Life.FAILED


@pytest.mark.parametrize("error", [ValueError("no song"), SystemExit("no song"), KeyboardInterrupt("no song")])
def test_a_start_that_raises_fails_after_its_stop_which_may_still_publish(kit, error):
    told: list[Any] = []

    def start(self: Any, context: Any) -> None:
        self.context = context
        context.spawn("air", lambda: context.stopping.wait(PATIENCE) and None)
        raise error

    def stop(self: Any) -> None:
        told.append((self.context.stopping.is_set(), self.context.alerts.publish(an_alert())))

    host = kit.host(start=start, stop=stop, alert=lambda self, alert: None)
    host.start(kit.services)
    assert kit.failed(host).startswith(f"start raised {type(error).__name__}: no song, at ")
    until(lambda: told)
    assert told == [(True, True)]
    host.stop()
    assert (host.life, len(told)) == (Life.FAILED, 1)


def test_a_slow_start_is_no_failure_but_unhealthy_after_a_while(kit):
    host = kit.host(start=kit.hang)
    host.start(kit.services)
    assert kit.entered.wait(PATIENCE)
    assert (host.status().health, host.status().reason) == (State.DEGRADED, "still starting")
    kit.clock.advance(11)
    status = host.status()
    assert (status.life, status.health) == (Life.STARTING, State.UNHEALTHY)
    assert status.reason.startswith("starting for 11 s, at ")
    assert status.reason.endswith(" in hang")
    kit.gate.set()
    until(lambda: host.life is Life.RUNNING)
    assert host.status().health is State.HEALTHY


# -- alerts and threads -----------------------------------------------------------------------------------------


def test_alerts_of_others_reach_it_and_its_own_are_counted_when_refused(kit):
    heard: list[str] = []
    host = kit.running(alert=lambda self, alert: heard.append(alert.id))
    assert host.handles_alerts
    other = kit.services.history.publisher("other")
    assert other.publish(an_alert(1))
    until(lambda: heard)
    assert (heard, kit.ledger.subscriptions) == (["alert-1"], ["canary"])
    publisher = run_of(host).publisher
    host.stop()
    assert publisher.publish(an_alert(2)) is False
    assert kit.ledger.refused["canary"]() == 1


def test_a_thread_that_dies_is_restarted_counted_and_told(kit, caplog):
    def start(self: Any, context: Any) -> None:
        context.spawn("air", raiser(ValueError("no air")))

    host = kit.running(start=start)
    until(lambda: kit.ledger.restarts)
    status = host.status()
    assert status.health is State.UNHEALTHY
    assert "thread air raised ValueError: no air" in status.reason
    assert status.restarts >= 1
    host.stop()


def test_a_hanging_alert_hook_is_unhealthy(kit, monkeypatch):
    host = kit.running(alert=kit.hang, health=lambda self: Health(State.DEGRADED, "hoarse"))
    kit.services.history.publisher("other").publish(an_alert(1))
    assert kit.entered.wait(PATIENCE)
    monkeypatch.setattr(host._watch, "_clock", type("Now", (FakeClock,), {"monotonic": lambda self: -1e12})())
    assert host.status().reason == "hoarse"
    monkeypatch.setattr(host._watch, "_clock", type("Later", (FakeClock,), {"monotonic": lambda self: 1e12})())
    status = host.status()
    assert status.health is State.UNHEALTHY
    assert status.reason.startswith("ironpost_alert has not returned for ")
    assert status.reason.endswith("; hoarse")


# -- health -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("health", "state", "reason"),
    [
        (lambda self: Health(), State.HEALTHY, r"^$"),
        (lambda self: Health(State.DEGRADED, "hoarse"), State.DEGRADED, r"^hoarse$"),
        (lambda self: Health(State.DEGRADED, EVIL), State.DEGRADED, r"^\\x1b\[31m\\ud800$"),
        (raiser(ValueError("sick")), State.UNHEALTHY, r"^ironpost_health raised ValueError: sick, at "),
        (raiser(SystemExit(0)), State.UNHEALTHY, r"^ironpost_health raised SystemExit: 0"),
        (lambda self: "fine", State.UNHEALTHY, r"^its health is 'fine', not a Health$"),
        (lambda self: None, State.UNHEALTHY, r"^its health is None, not a Health$"),
        (lambda self: Health("healthy"), State.UNHEALTHY, r"^its health holds 'healthy' in the place of a State$"),
        (lambda self: Health(State.DEGRADED, None), State.UNHEALTHY, r"holds None in the place of a str$"),
        (lambda self: Health(details=[1]), State.UNHEALTHY, r"holds \[1\] in the place of a dict$"),
        (lambda self: Health(details={"a": {1, 2}}), State.UNHEALTHY, r"raised TypeError: Object of type set is not"),
        (lambda self: Health(details={"a": float("nan")}), State.UNHEALTHY, r"raised ValueError: Out of range float"),
        (lambda self: Health(details={(1,): 2}), State.UNHEALTHY, r"raised TypeError: keys must be"),
    ],
)
def test_health_in_the_plugins_own_words(kit, health, state, reason):
    status = kit.running(health=health).status()
    assert status.health is state
    assert re.search(reason, status.reason), status.reason
    assert status.life is Life.RUNNING


def test_without_the_hook_it_is_healthy(kit):
    assert kit.running().status().health is State.HEALTHY


def test_details_are_a_copy(kit):
    details = {"birds": [1]}
    host = kit.running(health=lambda self: Health(details=details))
    status = host.status()
    details["birds"].append(2)
    assert status.details == {"birds": [1]}


def test_the_hook_is_called_once_for_a_status_asked_in_advance(kit):
    calls: list[int] = []
    host = kit.running(health=lambda self: calls.append(1) or Health())
    for _ in range(3):
        host.ask_health()
        host.status()
    assert len(calls) == 3


def test_a_hanging_health_hook_costs_one_thread(kit, monkeypatch):
    monkeypatch.setattr(host_health, "HEALTH_DEADLINE", 0.01)
    host = kit.running(health=kit.hang)
    for _ in range(5):
        host.ask_health()
        assert host.status().reason.startswith("ironpost_health did not return within 0.01 s, at ")
    assert [thread.name for thread in threading.enumerate()].count("ironpost-canary-ironpost_health") == 1


def test_health_without_a_thread_to_give(kit, monkeypatch):
    host = kit.running(health=lambda self: Health())
    monkeypatch.setattr(host._calls, "begin", raiser(PluginError("canary", "no thread")))
    host.ask_health()
    assert (host.status().health, host.status().reason) == (State.UNHEALTHY, "no thread")


def test_trouble_of_the_metrics_reader_is_told_for_a_minute(kit):
    host = kit.running()
    host.reader_failed("late")
    assert (host.status().health, host.status().reason) == (State.DEGRADED, "metrics reader: late")
    kit.clock.advance(61)
    assert host.status().health is State.HEALTHY


def test_a_milder_trouble_does_not_hide_a_worse_one(kit):
    host = kit.running(health=lambda self: Health(State.UNHEALTHY, "dying"))
    host.reader_failed("late")
    assert (host.status().health, host.status().reason) == (State.UNHEALTHY, "dying")


def test_a_change_is_logged_once_with_its_time(kit, caplog):
    caplog.set_level(logging.INFO, "ironpost.canary")
    states = iter([State.DEGRADED, State.DEGRADED, State.HEALTHY])
    host = kit.running(health=lambda self: Health(next(states), "hoarse"))
    since = host.since
    kit.clock.advance(60)
    for _ in range(3):
        host.status()
        kit.clock.advance(60)
    told = [(r.levelname, r.getMessage()) for r in caplog.records if " is " in r.getMessage()]
    assert told == [("WARNING", "plugin canary is degraded: hoarse"), ("INFO", "plugin canary is healthy: hoarse")]
    assert (host.since - since).total_seconds() == 180


# -- reload -----------------------------------------------------------------------------------------------------


def test_a_reload_swaps_the_section_after_the_hook_returned(kit):
    seen: list[Any] = []
    host = kit.running(reload=lambda self, config: seen.append((config, run_of(host).context.config)))
    host.reload(Config(loudness=2))
    assert seen == [(Config(loudness=2), None)]
    assert host.config == run_of(host).context.config == Config(loudness=2)


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        ({}, r"takes no changes while it runs \(restart the daemon\)"),
        ({"reload": raiser(ValueError("too loud"))}, r"ironpost_reload raised ValueError: too loud"),
    ],
)
def test_a_refused_reload_changes_nothing(kit, hooks, message):
    host = kit.running(**hooks)
    with pytest.raises(PluginError, match=message):
        host.reload(Config(loudness=2))
    assert host.config is run_of(host).context.config is None


def test_a_plugin_that_does_not_run_can_not_be_reloaded(kit):
    host = kit.host(reload=lambda self, config: None)
    with pytest.raises(PluginError, match="is initialised"):
        host.reload(Config())


# -- stop -------------------------------------------------------------------------------------------------------


def test_a_stop_sets_stopping_calls_the_hook_and_joins_the_threads(kit):
    told: list[str] = []

    def start(self: Any, context: Any) -> None:
        def air() -> None:
            context.stopping.wait(PATIENCE)
            told.append("air")

        context.spawn("air", air)

    host = kit.running(start=start, stop=lambda self: told.append("stop"))
    host.stop()
    assert sorted(told) == ["air", "stop"]
    assert host.life is Life.STOPPED
    host.stop()
    assert len(told) == 2


def test_what_a_stop_raises_is_logged(kit, caplog):
    host = kit.running(stop=raiser(ValueError("stuck")))
    host.stop()
    assert host.life is Life.STOPPED
    assert "ironpost_stop raised ValueError: stuck" in caplog.text


def test_what_hangs_at_the_stop_is_left_behind_and_can_not_publish(kit, caplog):
    contexts: list[Any] = []

    def start(self: Any, context: Any) -> None:
        contexts.append(context)
        context.spawn("deaf", kit.hang)

    host = kit.running(start=start, stop=kit.hang, alert=lambda self, alert: None)
    host.stop(0.1)
    assert host.life is Life.STOPPED
    assert "ironpost_stop did not return within" in caplog.text
    assert "leaves threads behind: ironpost-canary-deaf" in caplog.text
    assert contexts[0].alerts.publish(an_alert()) is False
    with pytest.raises(PluginError):
        contexts[0].spawn("more", lambda: None)


@pytest.mark.parametrize("error", [None, RuntimeError("told to stop")])
def test_a_start_that_ends_after_its_stop_changes_nothing(kit, caplog, error):
    told: list[str] = []

    def start(self: Any, context: Any) -> None:
        kit.hang()
        told.append("started")
        if error is not None:
            raise error

    host = kit.host(start=start, stop=lambda self: told.append("stop"), alert=lambda self, alert: None)
    host.start(kit.services)
    assert kit.entered.wait(PATIENCE)
    host.stop(0.1)
    assert "is stopped while it still starts, at " in caplog.text
    kit.gate.set()
    until(lambda: not host._calls.standing("ironpost_start") and "started" in told)
    assert told == ["stop", "started"]
    assert host.life is Life.STOPPED
