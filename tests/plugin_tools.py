"""What tests of plugin hosts and the supervisor share: entry points of classes made in the test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from history_tools import LOG, PATIENCE, a_history
from ironpost_core import Plugin
from ironpost_core.clock import SystemClock
from ironpost_daemon.bus import Bus
from ironpost_daemon.discovery import Candidate
from ironpost_daemon.host import Services
from ironpost_daemon.status import Life


@attrs.define
class Entry:
    """An entry point that gives what the test wants it to."""

    loaded: Any

    def load(self) -> Any:
        return self.loaded() if getattr(self.loaded, "at_import", False) else self.loaded


def at_import(function: Any) -> Any:
    """Have `function` called by the entry point's `load`."""
    function.at_import = True
    return function


def a_candidate(loaded: Any, name: str = "canary", problem: str = "") -> Candidate:
    """What discovery gives for a class."""
    return Candidate(
        name=name,
        entry_point=None if problem else Entry(loaded),  # type: ignore[arg-type]
        target=f"{name}:Plugin",
        distribution=f"ironpost-plugin-{name}",
        version="1.0",
        problem=problem,
    )


def a_plugin(**hooks: Any) -> type:
    """A plugin class with these hooks, given without the prefix ``ironpost_``."""
    return type("Canary", (Plugin,), {f"ironpost_{name}": hook for name, hook in hooks.items()})


class Ledger:
    """What hosts tell the daemon's metrics."""

    def __init__(self) -> None:
        self.lives: list[tuple[str, Life]] = []
        self.restarts: list[str] = []
        self.refused: dict[str, Any] = {}
        self.subscriptions: list[str] = []

    def restarted(self, plugin: str) -> None:
        self.restarts.append(plugin)

    def life_changed(self, plugin: str, life: Life) -> None:
        self.lives.append((plugin, life))

    def watch_publisher(self, plugin: str, refused: Any) -> None:
        self.refused[plugin] = refused

    def watch_subscription(self, subscription: Any) -> None:
        self.subscriptions.append(subscription.name)


@contextlib.contextmanager
def the_services(folder: Path, clock: Any = None) -> Iterator[Services]:
    """A real history and bus in `folder`."""
    buses: list[Bus] = []
    clock = clock or SystemClock()
    with a_history(
        folder / "history.sqlite", clock=clock, on_stored=lambda _: [bus.wake() for bus in buses]
    ) as history:
        bus = Bus(history, clock=clock, log=LOG, replay_max_age=300.0)
        buses.append(bus)
        yield Services(history=history, bus=bus, clock=clock, state_root=folder / "plugins")
        bus.stop(PATIENCE)
