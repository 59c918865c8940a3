from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import Any

import pytest
from click.testing import CliRunner

from ironpost_core import ConfigError, Problem
from ironpost_daemon import daemon, main
from ironpost_daemon.build import version
from ironpost_daemon.daemon import Options


class LeftError(Exception):
    """Instead of the end of the process."""


@pytest.fixture
def calls(monkeypatch):
    """What the program does instead of running."""
    calls: dict[str, Any] = {"log": []}

    def leave(code: int) -> None:
        calls["code"] = code
        raise LeftError

    def run(options: Options, environ: Any, configure_logs: Any) -> int:
        calls["options"], calls["configure"] = options, configure_logs
        return 7

    monkeypatch.setattr(daemon, "leave", leave)
    monkeypatch.setattr(daemon, "run", run)
    monkeypatch.setattr(main.logs, "configure", lambda *arguments: calls["log"].append(arguments[:2]))
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    return calls


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(main.main, list(arguments))


def test_the_exit_code_is_that_of_the_run(calls, tmp_path):
    done = invoke("--config", str(tmp_path / "x.toml"), "--log-level", "error", "--log-format", "json")
    assert isinstance(done.exception, LeftError)
    assert (calls["code"], calls["log"]) == (7, [("error", "json")])
    overrides = {"general.log_level": "error", "general.log_format": "json"}
    assert calls["options"] == Options(config=tmp_path / "x.toml", overrides=overrides)


def test_without_options_nothing_is_overridden_and_the_configuration_decides_about_logs(calls):
    invoke()
    assert calls["options"] == Options()
    general = type("General", (), {"log_level": "debug", "log_format": "text"})
    calls["configure"](type("Configuration", (), {"general": general}))
    assert calls["log"] == [("info", "auto"), ("debug", "text")]


def test_a_daemon_that_dies_says_so_and_the_process_still_leaves(calls, monkeypatch, caplog):
    def run(*_: Any) -> int:
        raise ValueError("no more")

    monkeypatch.setattr(daemon, "run", run)
    assert isinstance(invoke().exception, LeftError)
    assert calls["code"] == 1
    assert "the daemon died: ValueError: no more" in caplog.text


@pytest.mark.parametrize(("path", "name"), [("/etc/x.toml", "/etc/x.toml"), (None, "embedded defaults")])
def test_a_good_check(calls, monkeypatch, path, name):
    found = type("Configuration", (), {"path": path})
    monkeypatch.setattr(daemon, "check", lambda options, environ: (found, ("odd",)))
    done = invoke("--check")
    assert (calls["code"], done.stdout, done.stderr) == (0, f"{name}: good\n", "warning: odd\n")
    assert "options" not in calls


def test_a_failed_check(calls, monkeypatch):
    def check(*_: Any) -> None:
        raise ConfigError([Problem(where="a", what="w"), Problem(where="b", what="v")])

    monkeypatch.setattr(daemon, "check", check)
    done = invoke("--check")
    assert (calls["code"], done.stdout, done.stderr) == (78, "", "a: w\nb: v\n")


@pytest.mark.parametrize("arguments", [["--log-level", "loud"], ["--nope"], ["extra"]])
def test_usage(calls, arguments):
    assert invoke(*arguments).exit_code == 2


def test_help_and_version():
    assert "Exit codes: 0 good" in invoke("-h").output
    assert invoke("--version").output.startswith(f"ironpost-daemon {version()} (")


def test_a_thread_that_nobody_supervises_dies_into_the_log(calls, caplog):
    invoke()
    thread = threading.Thread(target=lambda: 1 / 0, name="wild")
    thread.start()
    thread.join()
    (record,) = caplog.records
    assert record.getMessage().startswith("wild died: ZeroDivisionError: division by zero, at ")
    assert record.levelno == logging.ERROR


def test_a_death_of_which_little_is_known(calls, caplog):
    invoke()
    threading.excepthook(threading.ExceptHookArgs((KeyError, None, None, None)))
    assert caplog.records[0].getMessage() == "a thread died: KeyError"


def test_it_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "ironpost_daemon", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[:2]) == (0, ["ironpost-daemon", version()])
