from __future__ import annotations

import types
from datetime import timedelta
from typing import Any

import pytest

from history_tools import PATIENCE, a_history, an_alert
from ironpost_core import Action, ActionError, ConfigError, Severity
from ironpost_core.testing import START, FakeClock
from ironpost_daemon.requests import DEADLINE, PAGE, RELOAD_DEADLINE, Requests
from ironpost_daemon.status import DaemonStatus


class Supervisor:
    """Knows one action."""

    def action(self, call: str) -> Any:
        if call != "canary.sing":
            raise ActionError(f"{call}: unknown")
        return None, Action(name="sing", request=type(None), run=print, help="Sing.", deadline=3)

    def act(self, call: str, arguments: Any) -> Any:
        self.action(call)
        return {"sung": dict(arguments)}


def the_status() -> DaemonStatus:
    return DaemonStatus(
        version="1",
        commit="c",
        python_version="3",
        pid=1,
        host="h",
        started=START,
        uptime=0,
        ready=True,
        metrics_url=None,
        plugins=(),
        parts=(),
    )


@pytest.fixture
def history(tmp_path):
    """Six alerts, one minute apart: 1 to 6, the odd ones low."""
    clock = FakeClock()
    with a_history(tmp_path / "h.sqlite", clock=clock) as history:
        for number in range(1, 7):
            publisher = history.publisher("canary" if number < 4 else "robin")
            severity = Severity.LOW if number % 2 else Severity.HIGH
            assert publisher.publish(an_alert(number, rule=f"song-{number}", severity=severity))
            assert publisher.settle(PATIENCE)
            clock.advance(60)
        yield history


@pytest.fixture
def requests(history):
    return Requests(
        status=the_status,
        history=history,
        supervisor=Supervisor(),  # type: ignore[arg-type]
        reload=lambda: {"canary": "reloaded"},
        configuration=types.SimpleNamespace(),  # type: ignore[arg-type]
    )


def at(minutes: int) -> str:
    return (START + timedelta(minutes=minutes)).isoformat()


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"limit": 2}, [6, 5]),
        ({"severity": "medium"}, [6, 4, 2]),
        ({"plugin": "canary"}, [3, 2, 1]),
        ({"rule": "song-[23]"}, [3, 2]),
        ({"since": at(4)}, [6, 5]),
        ({"since": at(4).removesuffix("+00:00")}, [6, 5]),
        ({"since": at(4).replace("+00:00", "Z"), "plugin": "canary"}, []),
        ({"after": 2}, [3, 4, 5, 6]),
        ({"after": 2, "limit": 2}, [3, 4]),
        ({"after": 0, "limit": 1, "rule": "song-6"}, [6]),
        ({"after": 0, "severity": "high", "plugin": "robin"}, [4, 6]),
        ({"after": 0, "since": at(4)}, [5, 6]),
        ({"after": 2**63 - 1}, []),
    ],
)
def test_which_alerts_are_asked_for(requests, query, numbers):
    found = requests.control("alerts", query)
    assert [alert["number"] for alert in found] == numbers
    assert [alert["id"] for alert in found] == [f"alert-{number}" for number in numbers]
    assert requests.api()["alerts"]({key: str(value) for key, value in query.items()}) == found


def test_an_alert_comes_with_its_number_and_the_time_of_its_record(requests):
    (found,) = requests.control("alerts", {"limit": 1})
    assert (found["number"], found["recorded"], found["schema"]) == (6, at(5), 1)


def test_more_than_a_page_is_looked_through(requests, history):
    publisher = history.publisher("canary")
    for number in range(PAGE + 5):
        assert publisher.publish(an_alert(100 + number, rule="rare" if number > PAGE else "song"))
    assert publisher.settle(PATIENCE)
    assert len(requests.control("alerts", {"after": 0, "limit": 3, "rule": "rare"})) == 3
    assert len(requests.control("alerts", {"after": 0, "limit": PAGE + 2})) == PAGE + 2


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"limit": 0}, "alerts.limit"),
        ({"limit": 10_001}, "alerts.limit"),
        ({"limit": "ten"}, "alerts.limit"),
        ({"limit": "9" * 5000}, "alerts.limit"),
        ({"after": -1}, "alerts.after"),
        ({"after": 2**63}, "alerts.after"),
        ({"severity": "dire"}, "alerts.severity"),
        ({"since": "yesterday"}, r"alerts.since: found \"yesterday\" \(expected 2026-"),
        ({"since": ""}, "alerts.since"),
        ({"sinse": "x"}, 'did you mean "since"'),
    ],
)
def test_a_query_that_makes_no_sense(requests, query, message):
    with pytest.raises(ActionError, match=message):
        requests.control("alerts", query)
    with pytest.raises(ConfigError, match=message):
        requests.api()["alerts"]({key: str(value) for key, value in query.items()})


def test_texts_that_look_like_numbers_stay_texts(requests):
    assert requests.api()["alerts"]({"plugin": "12", "rule": "34", "limit": "5"}) == []


def test_the_other_calls(requests):
    assert requests.control("status", {})["pid"] == requests.api()["status"]({})["pid"] == 1
    assert requests.control("plugins", {}) == requests.api()["plugins"]({}) == []
    assert requests.control("reload", {}) == {"canary": "reloaded"}
    assert requests.control("canary.sing", {"a": 1}) == {"sung": {"a": 1}}
    assert set(requests.api()) == {"status", "plugins", "alerts"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("fly", r"^no call 'fly'; there are alerts, plugins, reload, status and <plugin>.<action>$"),
        ("", r"no call ''"),
        ("robin.fly", r"robin.fly: unknown"),
    ],
)
def test_a_call_that_is_not_there(requests, call, message):
    with pytest.raises(ActionError, match=message):
        requests.control(call, {})


@pytest.mark.parametrize(
    ("call", "seconds"),
    [("status", DEADLINE), ("reload", RELOAD_DEADLINE), ("fly", DEADLINE), ("canary.sing", 3), ("a.b", DEADLINE)],
)
def test_how_long_a_call_may_take(requests, call, seconds):
    assert requests.deadline_of(call) == seconds
