from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from history_tools import until
from ironpost_core import PluginError
from ironpost_core.testing import FakeClock
from ironpost_daemon.threads import FIRST_PAUSE, LONGEST_PAUSE, RECOVERED_AFTER, Spawner

PATIENCE = 10.0
LOG = logging.getLogger("ironpost.canary")


class QuickClock(FakeClock):
    """A clock on which every wait is over at once; it remembers how long each was."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.advance(seconds)
        return event.is_set()


class Kit:
    def __init__(self) -> None:
        self.clock, self.stopping = QuickClock(), threading.Event()
        self.restarts: list[tuple[str, str]] = []
        self.spawn = Spawner(
            "canary",
            stopping=self.stopping,
            clock=self.clock,
            log=LOG,
            on_restart=lambda thread, reason: self.restarts.append((thread, reason)),
        )

    def run(self, name: str, target: Callable[[], None]) -> None:
        """Spawn and wait until it has ended."""
        self.spawn(name, target)
        assert self.spawn.join(self.clock.monotonic() + PATIENCE) == []


@pytest.fixture
def kit() -> Iterator[Kit]:
    kit = Kit()
    yield kit
    kit.stopping.set()


def failing(times: int, error: Callable[[], BaseException] = lambda: ValueError("fell"), then: Any = None) -> Any:
    """A target that raises so many times before it returns; `then` is called before each raise."""
    left = iter(range(times))

    def target() -> None:
        for _ in left:
            if then is not None:
                then()
            raise error()

    return target


def test_a_thread_that_returns_has_finished(kit):
    seen = []
    kit.run("sing", lambda: seen.append(threading.current_thread()))
    assert [(thread.name, thread.daemon) for thread in seen] == [("ironpost-canary-sing", True)]
    assert (kit.restarts, kit.spawn.failing()) == ([], "")


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_one_that_raises_is_restarted_logged_and_counted(kit, caplog, error):
    kit.run("sing", failing(2, lambda: error("fell")))
    assert [(thread, reason.partition(",")[0]) for thread, reason in kit.restarts] == [
        ("sing", f"{error.__name__}: fell")
    ] * 2
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "thread sing raised and is restarted in 0.1 s" in caplog.text


def test_the_pause_grows_to_a_bound(kit, caplog):
    kit.run("sing", failing(12))
    assert kit.clock.waits[:4] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
    assert kit.clock.waits[-2:] == [LONGEST_PAUSE, LONGEST_PAUSE]
    assert kit.clock.waits == sorted(kit.clock.waits)


def test_one_that_ran_for_long_starts_again_with_the_first_pause(kit, caplog):
    kit.run("sing", failing(4))
    kit.clock.waits.clear()
    kit.run("sing", failing(3, then=lambda: kit.clock.advance(RECOVERED_AFTER + 1)))
    assert kit.clock.waits == [FIRST_PAUSE] * 3


def test_who_failed_within_the_last_minute_is_told(kit, caplog):
    told = []

    def sing() -> None:
        told.append(kit.spawn.failing())
        if len(told) < 3:
            raise ValueError("fell")

    kit.run("sing", sing)
    assert [text.partition(",")[0] for text in told] == ["", *["thread sing raised ValueError: fell"] * 2]
    assert kit.spawn.failing() == ""


def test_a_failure_is_forgotten_after_a_minute(kit, caplog):
    def sing() -> None:
        if not kit.restarts:
            raise ValueError("fell")
        kit.stopping.wait(PATIENCE)

    kit.spawn("sing", sing)
    until(lambda: kit.restarts)
    kit.clock.advance(RECOVERED_AFTER + 1)
    assert kit.spawn.failing() == ""
    kit.stopping.set()
    assert kit.spawn.join(kit.clock.monotonic() + PATIENCE) == []


def test_nothing_is_started_or_restarted_once_it_is_stopping(kit, caplog):
    def sing() -> None:
        kit.stopping.set()
        raise ValueError("interrupted")

    kit.run("sing", sing)
    assert kit.restarts == []
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == [
        "thread sing raised while it was being stopped: ValueError: interrupted"
    ]
    with pytest.raises(PluginError, match="no thread 'late' is started: the plugin is being stopped"):
        kit.spawn("late", lambda: None)


def test_who_still_runs_at_the_deadline_is_named_with_its_line(kit):
    def deaf() -> None:
        opened.wait(PATIENCE)

    opened = threading.Event()
    kit.spawn("deaf", deaf)
    (left,) = kit.spawn.join(kit.clock.monotonic())
    assert left.startswith("ironpost-canary-deaf")
    opened.set()
    assert kit.spawn.join(kit.clock.monotonic() + PATIENCE) == []


def test_without_a_thread_to_give_the_others_can_still_be_joined(kit, monkeypatch):
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            kit.spawn("sing", lambda: None)
    assert kit.spawn.join(kit.clock.monotonic() + PATIENCE) == []
