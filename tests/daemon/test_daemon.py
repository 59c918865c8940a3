"""The daemon's life in this process, with plugins made here; real processes are in e2e, contract and chaos."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from daemon_process import free_port
from history_tools import PATIENCE, an_alert, until
from ironpost_core import ConfigError, Section
from ironpost_daemon import daemon as daemon_module
from ironpost_daemon.control import call
from ironpost_daemon.daemon import Daemon, Options, check, leave, run
from ironpost_daemon.signals import Signals
from ironpost_daemon.status import Life
from plugin_tools import a_candidate, a_plugin, at_import


@attrs.frozen(kw_only=True)
class Canary:
    enabled: bool = True
    loudness: int = 1


SECTION = Section(name="canary", type=Canary, help="A bird.")


class Notes(Signals):
    """Signals that the test sends."""

    def install(self) -> None:
        """Nothing: this is not the main thread of a process of its own."""

    def send(self, number: int) -> None:
        self._note(number, None)


class Kit:
    """One daemon on a thread of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.signals, self.port = folder, Notes(), free_port()
        self.config = folder / "ironpost.toml"
        self.made: list[Daemon] = []
        self.code: list[int] = []
        self.gate = threading.Event()
        self._thread: threading.Thread | None = None
        self._patch = monkeypatch
        monkeypatch.setattr(daemon_module, "Signals", lambda: self.signals)
        monkeypatch.setattr(daemon_module, "Daemon", self._make)
        self.plugins(canary=a_plugin(config=lambda self: SECTION))
        self.write()

    def _make(self, *arguments: Any) -> Daemon:
        self.made.append(Daemon(*arguments))
        return self.made[-1]

    def plugins(self, **loaded: Any) -> None:
        candidates = [a_candidate(one, name) for name, one in loaded.items()]
        self._patch.setattr(daemon_module, "find_plugins", lambda: candidates)

    def write(self, text: str = "", *, general: str = "", metrics: str = "") -> None:
        folders = f'data_dir = "{self.folder}/data"\nrun_dir = "{self.folder}/run"'
        self.config.write_text(
            f"[general]\n{folders}\n{general}\n[metrics]\nport = {self.port}\n{metrics}\n{text}\n", encoding="utf-8"
        )

    def start(self, **environ: str) -> None:
        options = Options(config=self.config)
        self._thread = threading.Thread(
            target=lambda: self.code.append(run(options, environ, lambda configuration: None)), daemon=True
        )
        self._thread.start()

    def running(self, **environ: str) -> Daemon:
        self.start(**environ)
        until(lambda: self.made and self.made[0].parts._running)
        until(lambda: Life.STARTING not in [one.life for one in self.made[0].parts.supervisor.statuses()])
        return self.made[0]

    def end(self, number: int | None = signal.SIGTERM) -> int:
        assert self._thread is not None
        if number is not None:
            self.signals.send(number)
        self._thread.join(PATIENCE)
        return self.code[0]

    def call(self, name: str) -> Any:
        return call(self.folder / "run" / "control.sock", name, {}, PATIENCE)

    def reloads(self) -> dict[str, float | None]:
        value = self.made[0].parts._registry.get_sample_value
        return {
            result: value("ironpost_daemon_config_reloads_total", {"result": result})
            for result in ("success", "failure")
        }


@pytest.fixture
def kit(tmp_path, monkeypatch, caplog) -> Iterator[Kit]:
    caplog.set_level(logging.INFO)
    level = logging.getLogger("ironpost").level
    kit = Kit(tmp_path, monkeypatch)
    yield kit
    kit.gate.set()
    kit.signals.send(signal.SIGTERM)
    if kit._thread is not None:
        kit._thread.join(PATIENCE)
    logging.getLogger("ironpost").setLevel(level)


def hanging(kit: Kit) -> Any:
    return lambda *_: kit.gate.wait(PATIENCE) and None


# -- a whole life -----------------------------------------------------------------------------------------------


def test_from_start_to_stop(kit, caplog):
    told: list[Any] = []
    kit.plugins(
        canary=a_plugin(start=lambda self, context: told.append(context), stop=lambda self: told.append("stop"))
    )
    daemon = kit.running()
    assert told[0].alerts.publish(an_alert(1))
    assert told[0].alerts.settle(PATIENCE)
    status = kit.call("status")
    assert (status["ready"], status["health"]) == (True, "healthy")
    assert status["metrics_url"] == f"http://127.0.0.1:{kit.port}/metrics"
    assert [alert["id"] for alert in kit.call("alerts")] == ["alert-1"]
    assert (kit.folder / "run" / "ironpost.pid").exists()
    value = daemon.parts._registry.get_sample_value
    assert value("ironpost_daemon_alerts_total", {"module": "canary", "severity": "high"}) == 1
    assert value("ironpost_daemon_plugins_registered") == 1
    kit.signals.send(signal.SIGCHLD)
    assert kit.end() == 0
    assert told[-1] == "stop"
    assert not (kit.folder / "run" / "control.sock").exists()
    assert "ironpost-daemon runs with" in caplog.text
    assert "stops on SIGTERM" in caplog.text


def test_without_metrics_nothing_is_served(kit):
    kit.write(metrics="enabled = false")
    daemon = kit.running()
    assert (daemon.parts.metrics_url, kit.call("status")["metrics_url"]) == (None, None)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", kit.port))
    assert kit.end(signal.SIGINT) == 0


def test_one_that_fails_in_any_way_leaves_the_others_running(kit):
    def leave(*_: Any) -> None:
        raise SystemExit(1)

    kit.plugins(a=at_import(leave), b=a_plugin(start=leave), c=a_plugin(health=leave), d=a_plugin())
    kit.running()
    plugins = {one["name"]: (one["life"], one["health"]) for one in kit.call("plugins")}
    assert plugins == {
        "a": ("failed", "unhealthy"),
        "b": ("failed", "unhealthy"),
        "c": ("running", "unhealthy"),
        "d": ("running", "healthy"),
    }
    assert kit.call("status")["health"] == "degraded"
    assert kit.end() == 0


def test_a_signal_during_discovery_ends_it(kit):
    kit.plugins(canary=at_import(hanging(kit)))
    kit.start()
    assert kit.end() == 0
    assert not (kit.folder / "data").exists()


@pytest.mark.parametrize("cut", ["second signal", "deadline"])
def test_a_stop_that_hangs_is_cut_short(kit, monkeypatch, caplog, cut):
    kit.plugins(canary=a_plugin(stop=hanging(kit)))
    kit.running()
    if cut == "deadline":
        monkeypatch.setattr(daemon_module, "LONGEST_STOP", 0.05)
    else:
        kit.signals.send(signal.SIGTERM)
    assert kit.end() == 0
    assert "the stop is cut short" in caplog.text


# -- what keeps it from starting --------------------------------------------------------------------------------


def test_every_problem_of_the_configuration_is_logged(kit, caplog):
    kit.write("[canary]\nloudness = 'x'\n[robin]\na = 1")
    kit.start()
    assert kit.end(None) == 78
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 2
    assert "canary.loudness" in errors[0]
    assert "robin" in errors[1]
    assert not (kit.folder / "data").exists()


def test_warnings_are_logged_and_change_nothing(kit, caplog):
    kit.write("[sbom]\nenabled = false")
    kit.running(IRONPOST_CANARY_LOUDNESS="loud")
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any("ironpost-plugin-sbom" in text for text in warnings)
    assert any("IRONPOST_CANARY_LOUDNESS" in text for text in warnings)
    assert kit.end() == 0


def test_a_broken_section_class_fails_its_plugin_alone(kit):
    broken = Section(name="robin", type=dict, help="No attrs class.")
    kit.plugins(robin=a_plugin(config=lambda self: broken), canary=a_plugin(config=lambda self: SECTION))
    kit.running()
    assert {one["name"]: one["life"] for one in kit.call("plugins")} == {"robin": "failed", "canary": "running"}
    assert kit.end() == 0


def test_a_second_daemon_is_told_who_runs(kit, caplog):
    kit.running()
    with pytest.MonkeyPatch.context() as patch:
        second = Kit(kit.folder, patch)
        second.start()
        assert second.end(None) == 1
    assert "pid" in caplog.records[-1].getMessage().lower()
    assert kit.end() == 0


def test_what_was_started_is_stopped_when_the_rest_can_not_be(kit, caplog):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", kit.port))
        taken.listen()
        kit.start()
        assert kit.end(None) == 78
    assert "metrics.port" in caplog.text
    assert not (kit.folder / "run" / "control.sock").exists()
    kit.code.clear()
    kit.made.clear()
    kit.running()
    assert kit.end() == 0


def test_a_part_that_can_not_be_stopped_keeps_no_other(kit, caplog):
    daemon = kit.running()
    daemon.parts._exits.append(lambda: 1 / 0)
    assert kit.end() == 0
    assert "a part did not stop cleanly" in caplog.text
    assert not (kit.folder / "run" / "control.sock").exists()


# -- reload -----------------------------------------------------------------------------------------------------


def test_a_reload_says_what_came_of_each_section(kit):
    daemon = kit.running()
    unchanged = dict.fromkeys(("general", "metrics", "alerts", "canary"), "unchanged")
    assert kit.call("reload") == unchanged
    kit.write(
        "[canary]\nenabled = false", general='log_level = "error"\nlog_format = "json"', metrics='endpoint = "/m"'
    )
    needed = {"general": "restart needed", "metrics": "restart needed"}
    assert kit.call("reload") == {**unchanged, **needed, "canary": "stopped"}
    assert logging.getLogger("ironpost").level == logging.ERROR
    assert kit.call("reload") == {**unchanged, **needed}
    kit.write(general='log_level = "info"')
    assert kit.call("reload") == {**unchanged, "general": "reloaded", "canary": "started"}
    until(lambda: daemon.parts.supervisor.hosts["canary"].life is Life.RUNNING)
    assert kit.reloads() == {"success": 4, "failure": 0}
    assert kit.end() == 0


def test_a_reload_warns_as_a_start_does(kit, caplog):
    kit.running()
    kit.write(general='log_format = "pretty"')
    kit.call("reload")
    assert "general.log_format: this value is written differently now" in caplog.text
    assert kit.end() == 0


@pytest.mark.parametrize("text", ["[general", "[robin]\na = 1", "[metrics]\nport = 0"])
def test_a_reload_of_a_file_that_can_not_be_used_changes_nothing(kit, caplog, text):
    daemon = kit.running()
    before = daemon._configuration
    kit.config.write_text(text)
    with pytest.raises(ConfigError):
        daemon.reload()
    kit.signals.send(signal.SIGHUP)
    until(lambda: "reload failed, nothing was changed" in caplog.text)
    assert daemon._configuration is before
    assert kit.reloads() == {"success": 0, "failure": 2}
    assert kit.end() == 0


def test_signals_that_come_while_a_reload_waits_ask_for_no_further_one(kit):
    daemon = kit.running()
    with daemon._reloading:
        for _ in range(50):
            kit.signals.send(signal.SIGHUP)
        until(kit.signals._notes.empty)
        assert [thread.name for thread in threading.enumerate()].count("ironpost-reload") == 1
    until(lambda: kit.reloads()["success"])
    kit.signals.send(signal.SIGHUP)
    until(lambda: kit.reloads()["success"] == 2)
    assert kit.end() == 0


def test_without_a_thread_to_spare_it_goes_on_and_still_ends(kit, monkeypatch, caplog):
    daemon = kit.running()

    def start(thread: threading.Thread) -> None:
        if thread.name in ("ironpost-reload", "ironpost-stop"):
            raise RuntimeError("can't start new thread")
        original(thread)

    original = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)
    kit.signals.send(signal.SIGHUP)
    until(lambda: "reload failed, nothing was changed: can't start new thread" in caplog.text)
    assert kit.end() == 0
    assert "the stop is cut short, its thread can't be started" in caplog.text
    daemon.parts.stop()


def test_a_plugins_refusal_is_its_own_and_counts_as_failure(kit, caplog):
    kit.running()
    kit.write("[canary]\nloudness = 'x'", general='log_level = "debug"')
    kit.signals.send(signal.SIGHUP)
    until(lambda: "reload: [canary] refused" in caplog.text)
    assert "reload: [general] reloaded" in caplog.text
    assert kit.reloads() == {"success": 0, "failure": 1}
    assert kit.end() == 0


def test_what_nobody_foresaw_in_a_reload_is_counted_and_logged(kit, monkeypatch, caplog):
    daemon = kit.running()
    monkeypatch.setattr(daemon, "_read", lambda path: 1 / 0)
    kit.signals.send(signal.SIGHUP)
    until(lambda: "ZeroDivisionError" in caplog.text)
    assert kit.reloads() == {"success": 0, "failure": 1}
    assert kit.end() == 0


# -- check and leave --------------------------------------------------------------------------------------------


def test_a_check_starts_nothing(kit):
    kit.plugins(canary=a_plugin(config=lambda self: SECTION, start=lambda self, context: 1 / 0))
    kit.write("[sbom]\nenabled = false")
    configuration, warnings = check(Options(config=kit.config), {})
    assert configuration.section("canary") == Canary()
    assert len(warnings) == 1
    assert list(kit.folder.iterdir()) == [kit.config]


def test_a_check_fails_on_variables_that_the_daemon_would_ignore(kit):
    with pytest.raises(ConfigError, match="IRONPOST_CANARY_LOUDNESS"):
        check(Options(config=kit.config), {"IRONPOST_CANARY_LOUDNESS": "loud"})


def test_the_process_is_left_without_waiting(monkeypatch):
    codes: list[int] = []
    monkeypatch.setattr(daemon_module.os, "_exit", codes.append)
    leave(3)
    assert codes == [3]
