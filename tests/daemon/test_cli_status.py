"""``ironpost status``, ``health``, ``plugins``, ``reload`` and ``alerts`` before a daemon made of answers."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from typing import Any

import click
import pytest
from click.testing import CliRunner

from history_tools import an_alert
from ironpost_core import ActionError
from ironpost_core.testing import START
from ironpost_daemon.cli import alerts as alerts_module
from ironpost_daemon.cli import offline, status
from plugin_tools import a_candidate, a_plugin

EVIL = "\x1b[31m"


class Operator:
    """Answers each call with what was given for it, and remembers the questions."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[Mapping[str, Any]] = []

    def call(self, action: str, arguments: Mapping[str, Any] | None = None) -> Any:
        self.asked.append(dict(arguments or {}))
        answer = self.answers[action]
        if isinstance(answer, BaseException):
            raise answer
        return answer(arguments) if callable(answer) else answer


def a_daemon(health: str = "degraded", **changes: Any) -> dict[str, Any]:
    plugin = {
        "name": "canary",
        "distribution": "d",
        "version": "1",
        "life": "running",
        "health": "healthy",
        "reason": "",
    }
    lost = plugin | {"name": "robin", "life": "failed", "health": "unhealthy", "reason": f"lost {EVIL}"}
    return {
        "version": "1.2",
        "commit": "abc",
        "host": "web1",
        "pid": 7,
        "health": health,
        "uptime": 3_661.5,
        "metrics_url": "http://127.0.0.1:9100/metrics",
        "plugins": [plugin, lost],
        "parts": [{"name": "history", "health": "degraded", "reason": "slow"}],
    } | changes


def run(command: click.Command, operator: Operator, *arguments: str) -> Any:
    return CliRunner().invoke(command, list(arguments), obj=operator)


def test_status_shows_the_daemon_its_plugins_and_parts():
    done = run(status.status, Operator(status=a_daemon()))
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[0] == "ironpost 1.2 (abc) on web1, pid 7: degraded"
    assert lines[1] == "up 01:01:01; metrics at http://127.0.0.1:9100/metrics"
    assert [line.split()[:1] for line in lines if line][2:] == [
        ["PLUGIN"],
        ["canary"],
        ["robin"],
        ["PART"],
        ["history"],
    ]
    assert r"lost \x1b[31m" in done.output
    assert EVIL not in done.output


def test_status_with_less_to_show():
    done = run(status.status, Operator(status=a_daemon(parts=[], metrics_url=None, uptime=90_061)))
    assert "up 1d 01:01:01; metrics at nowhere (switched off)" in done.output
    assert "PART" not in done.output


@pytest.mark.parametrize("command", [status.status, status.health, status.reload, alerts_module.alerts])
def test_without_a_daemon_the_error_comes_out(command):
    error = ActionError("no daemon runs")
    done = run(command, Operator(status=error, reload=error, alerts=error))
    assert done.exception is error


@pytest.mark.parametrize(("health", "code"), [("healthy", 0), ("degraded", 0), ("unhealthy", 1)])
def test_health_is_the_exit_code(health, code):
    operator = Operator(status=a_daemon(health))
    done = run(status.health, operator)
    assert (done.exit_code, done.output.splitlines()) == (
        code,
        [health, r"  robin: unhealthy: lost \x1b[31m", "  history: degraded: slow"],
    )
    found = json.loads(run(status.health, operator, "--json").output)
    assert (found["health"], [one["name"] for one in found["lacking"]]) == (health, ["robin", "history"])


def test_everything_as_json():
    operator = Operator(status=a_daemon(), plugins=[{"name": "canary"}], reload={"canary": "reloaded"}, alerts=[])
    for command, name in [(status.status, "status"), (status.plugins, "plugins"), (status.reload, "reload")]:
        assert json.loads(run(command, operator, "--json").output) == operator.answers[name]
    assert json.loads(run(alerts_module.alerts, operator, "--json").output) == []


def test_plugins_of_the_running_daemon():
    done = run(status.plugins, Operator(plugins=a_daemon()["plugins"]))
    assert (done.exit_code, [line.split()[0] for line in done.output.splitlines()]) == (
        0,
        ["PLUGIN", "canary", "robin"],
    )


def test_plugins_without_a_daemon_are_loaded_here(monkeypatch):
    found = [a_candidate(a_plugin(), "canary"), a_candidate(None, "robin", problem="two claim it")]
    monkeypatch.setattr(offline, "find_plugins", lambda: found)
    done = run(status.plugins, Operator(plugins=ActionError("no daemon runs")), "--json")
    assert (done.exit_code, done.stderr) == (1, "no daemon runs; this is what it would load:\n")
    listed = json.loads(done.stdout)
    assert [(one["name"], one["life"], one["reason"]) for one in listed] == [
        ("canary", "created", ""),
        ("robin", "failed", "two claim it"),
    ]


@pytest.mark.parametrize(("outcome", "code"), [("reloaded", 0), ("restart needed", 0), ("refused: too loud", 1)])
def test_reload(outcome, code):
    done = run(status.reload, Operator(reload={"canary": outcome}))
    assert (done.exit_code, outcome in done.output) == (code, True)


# -- alerts -----------------------------------------------------------------------------------------------------


def stored(*numbers: int) -> list[dict[str, Any]]:
    return [{"number": number, **an_alert(number, title=f"title {number}").to_dict()} for number in numbers]


def test_alerts_are_shown_newest_last():
    done = run(alerts_module.alerts, Operator(alerts=stored(3, 2)))
    assert [line.split()[-1] for line in done.output.splitlines()[1:]] == ["2", "3"]
    assert "source_ip=203.0.113.7" in done.output
    assert run(alerts_module.alerts, Operator(alerts=[])).output == "no alerts\n"


def test_what_is_asked_for(monkeypatch):
    monkeypatch.setattr(alerts_module, "datetime", types.SimpleNamespace(now=lambda zone: START))
    operator = Operator(alerts=[])
    run(alerts_module.alerts, operator)
    run(alerts_module.alerts, operator, "--limit=5", "--severity=high", "--plugin=a", "--rule=b*", "--since=2h")
    assert operator.asked[0] == {"limit": 20}
    since = "2026-01-01T10:00:00+00:00"
    assert operator.asked[1] == {"limit": 5, "severity": "high", "plugin": "a", "rule": "b*", "since": since}


@pytest.mark.parametrize("arguments", ["--since soon", "--limit 0", "--severity dire"])
def test_what_can_not_be_asked_for(arguments):
    done = run(alerts_module.alerts, Operator(alerts=[]), *arguments.split())
    assert (done.exit_code, arguments.split()[0] in done.output) == (2, True)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("first", "seen"), [([], []), ([4, 3], [3, 4])])
def test_following_goes_on_after_the_newest_of_all(monkeypatch, as_json, first, seen):
    later = iter([[], stored(12, 13), KeyboardInterrupt()])
    monkeypatch.setattr(alerts_module.time, "sleep", lambda seconds: None)

    def answer(asked: Mapping[str, Any]) -> Any:
        if "after" not in asked:
            return stored(9) if asked == {"limit": 1} else stored(*first)
        found = next(later)
        if isinstance(found, BaseException):
            raise found
        return found

    operator = Operator(alerts=answer)
    arguments = ["--follow", "--severity", "high", "--since", "1h", *(["--json"] if as_json else [])]
    done = run(alerts_module.alerts, operator, *arguments)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    numbers = [json.loads(line)["number"] if as_json else int(line.split()[-1]) for line in lines if line]
    assert numbers == [*seen, 12, 13]
    assert operator.asked[2:] == [{"severity": "high", "after": after, "limit": 1000} for after in (9, 9, 13)]
