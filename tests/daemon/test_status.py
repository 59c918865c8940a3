from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ironpost_core import State
from ironpost_daemon.status import DaemonStatus, Life, PartStatus, PluginStatus

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_plugin(life: Life = Life.RUNNING, health: State = State.HEALTHY, **changes: Any) -> PluginStatus:
    given = {"name": "canary", "distribution": "d", "version": "1", "entry_point": "c:C", "reason": "", "since": NOON}
    return PluginStatus(**(given | {"life": life, "health": health} | changes))


def a_daemon(*plugins: PluginStatus, parts: tuple[PartStatus, ...] = ()) -> DaemonStatus:
    return DaemonStatus(
        version="1",
        commit="c",
        python_version="3",
        pid=1,
        host="h",
        started=NOON,
        uptime=5,
        ready=True,
        metrics_url=None,
        plugins=plugins,
        parts=parts,
    )


def test_a_plugins_status_survives_json():
    status = a_plugin(Life.FAILED, State.UNHEALTHY, reason="lost", restarts=3, details={"birds": [1, {"a": None}]})
    assert PluginStatus.from_dict(json.loads(json.dumps(status.to_dict()))) == status


def test_the_daemons_status_as_data():
    part = PartStatus(name="history", health=State.DEGRADED, reason="slow", vital=True)
    data = json.loads(json.dumps(a_daemon(a_plugin(), parts=(part,)).to_dict()))
    assert data["plugins"][0]["life"] == "running"
    assert data["parts"] == [{"name": "history", "health": "degraded", "reason": "slow", "vital": True}]
    assert {key: data[key] for key in data.keys() - {"plugins", "parts"}} == {
        "version": "1",
        "commit": "c",
        "python_version": "3",
        "pid": 1,
        "host": "h",
        "started": "2026-01-01T12:00:00+00:00",
        "uptime": 5,
        "ready": True,
        "metrics_url": None,
        "health": "degraded",
    }


GOOD, LOST = a_plugin(), a_plugin(Life.FAILED, State.UNHEALTHY)


@pytest.mark.parametrize(
    ("plugins", "part", "health"),
    [
        ([GOOD], None, State.HEALTHY),
        ([GOOD, a_plugin(Life.DISABLED)], None, State.HEALTHY),
        ([GOOD, LOST], None, State.DEGRADED),
        ([a_plugin(health=State.UNHEALTHY)], None, State.DEGRADED),
        ([LOST], None, State.UNHEALTHY),
        ([], None, State.UNHEALTHY),
        ([GOOD], PartStatus(name="sink:x", health=State.UNHEALTHY), State.DEGRADED),
        ([GOOD], PartStatus(name="history", health=State.DEGRADED, vital=True), State.DEGRADED),
        ([GOOD], PartStatus(name="history", health=State.UNHEALTHY, vital=True), State.UNHEALTHY),
    ],
)
def test_one_failed_plugin_is_degraded_and_only_the_daemon_itself_unhealthy(plugins, part, health):
    assert a_daemon(*plugins, parts=(part,) if part else ()).health is health


def test_lives_print_as_users_read_them():
    assert " ".join(map(str, Life)) == "created initialised starting running stopped disabled failed"
