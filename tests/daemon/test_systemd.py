from __future__ import annotations

import logging
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest

from ironpost_daemon.systemd import Notifier, Watchdog

PATIENCE = 30.0


class FakeSystemd:
    """A socket like the one that NOTIFY_SOCKET names."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        self._socket.settimeout(PATIENCE)

    def told(self) -> list[str]:
        return self._socket.recv(4096).decode().split("\n")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeSystemd]:
    fake = FakeSystemd(
        str(tmp_path / "notify") if request.param == "path" else f"@ironpost-test-{secrets.token_hex(8)}"
    )
    yield fake
    fake.close()


def test_each_state_arrives(systemd: FakeSystemd) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": systemd.name})
    notifier.ready("serving\nEXTRA=1 metrics")
    assert systemd.told() == ["READY=1", "STATUS=serving EXTRA=1 metrics"]
    notifier.status("working")
    assert systemd.told() == ["STATUS=working"]
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    state, moment = systemd.told()
    assert state == "RELOADING=1"
    assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    notifier.ready()
    assert systemd.told() == ["READY=1"]
    notifier.stopping()
    assert systemd.told() == ["STOPPING=1"]
    notifier.feed_watchdog()
    assert systemd.told() == ["WATCHDOG=1"]


def test_children_do_not_inherit_the_variables(systemd: FakeSystemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.name)
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    notifier = Notifier(os.environ)
    child = "import os; print([name for name in os.environ if name.startswith(('NOTIFY_', 'WATCHDOG_'))])"
    assert subprocess.check_output([sys.executable, "-c", child], text=True).strip() == "[]"
    assert notifier.watchdog_interval() == 0.5
    notifier.ready()
    assert systemd.told() == ["READY=1"]


def test_without_systemd_nothing_happens(caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier(MappingProxyType({"WATCHDOG_USEC": "1000000"}))
    notifier.ready("x")
    notifier.reloading()
    notifier.stopping()
    assert notifier.watchdog_interval() is None
    watchdog = Watchdog(notifier, lambda: pytest.fail("never asked"))
    watchdog.start()
    watchdog.stop()
    assert not caplog.records


@pytest.mark.parametrize("name", ["relative/path", "vsock:2:1234"])
def test_a_strange_address_is_logged_and_not_used(name: str, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({"NOTIFY_SOCKET": name}).ready()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert name in caplog.text


def test_a_socket_that_is_gone_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("x")
    assert "systemd was not told READY=1" in caplog.text


@pytest.mark.parametrize(
    ("usec", "pid", "interval"),
    [
        ("3000000", "", 1.5),
        ("3000000", str(os.getpid()), 1.5),
        ("3000000", "1", None),
        ("0", "", None),
        ("", "", None),
        ("soon", "", None),
        ("-1", "", None),
    ],
)
def test_the_interval_is_half_of_what_is_allowed(usec: str, pid: str, interval: float | None) -> None:
    environ = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}
    assert Notifier(environ).watchdog_interval() == interval


def watched(systemd: FakeSystemd) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": systemd.name, "WATCHDOG_USEC": "20000"})


def test_the_watchdog_is_fed_after_each_good_check(systemd: FakeSystemd) -> None:
    checks = []

    def check() -> bool:
        checks.append(1)
        return True

    watchdog = Watchdog(watched(systemd), check)
    watchdog.start()
    for _ in range(3):
        assert systemd.told() == ["WATCHDOG=1"]
    assert len(checks) >= 3
    watchdog.stop(PATIENCE)
    assert not [thread for thread in threading.enumerate() if thread.name == "ironpost-watchdog"]


def test_a_check_that_fails_or_raises_does_not_feed_it(systemd: FakeSystemd, caplog: pytest.LogCaptureFixture) -> None:
    results = iter(["false", "raise", "good"])
    fed_at = []

    def check() -> bool:
        result = next(results, "good")
        if result == "raise":
            raise RuntimeError("scrape")
        if result == "good":
            fed_at.append(len(caplog.records))
        return result == "good"

    watchdog = Watchdog(watched(systemd), check)
    watchdog.start()
    assert systemd.told() == ["WATCHDOG=1"]
    watchdog.stop(PATIENCE)
    assert fed_at[0] == 2
    assert "RuntimeError: scrape" in caplog.text


def test_a_check_that_hangs_feeds_nothing_and_does_not_hold_up_the_stop(systemd: FakeSystemd) -> None:
    entered, release = threading.Event(), threading.Event()

    def check() -> bool:
        entered.set()
        release.wait(PATIENCE)
        return False

    watchdog = Watchdog(watched(systemd), check)
    watchdog.start()
    assert entered.wait(PATIENCE)
    watchdog.stop(0.01)
    release.set()
    watchdog.stop(PATIENCE)
    Notifier({"NOTIFY_SOCKET": systemd.name}).status("last")
    assert systemd.told() == ["STATUS=last"]
