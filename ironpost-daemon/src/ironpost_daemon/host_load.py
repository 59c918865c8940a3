"""The load of one plugin: import, instance, declarations, as one guarded call that may be waited for in two steps.

Neighbours: `host` turns the outcome into a state; `supervisor` lets the next plugin begin while one hangs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ironpost_core import Clock, PluginError
from ironpost_core.registration import Hooks, register
from ironpost_daemon.calls import Calls, Flight, HookHangsError, describe
from ironpost_daemon.discovery import Candidate

T = TypeVar("T")

LOAD_DEADLINE = 5.0


class PluginLoad:
    """One attempt to load a candidate."""

    def __init__(self, candidate: Candidate, calls: Calls, clock: Clock) -> None:
        self._candidate = candidate
        self._calls = calls
        self._clock = clock
        self._flight: Flight[Hooks] | None = None
        self._deadline = 0.0
        self._stage = "load"

    def begin(self, patience: float) -> None:
        """Begin, and wait at most `patience` seconds."""
        self._deadline = self._clock.monotonic() + LOAD_DEADLINE
        if self._candidate.entry_point is not None:
            self._flight = self._calls.begin("load", self._load)
            self._flight.wait(patience)

    def finish(self) -> Hooks:
        """The registered plugin, waited for until `LOAD_DEADLINE` seconds after the beginning.

        Raises:
            PluginError: it can't be loaded; says at which stage and why.
        """
        if self._flight is None:
            raise PluginError(self._candidate.name, self._candidate.problem)
        if not self._flight.wait(max(0.0, self._deadline - self._clock.monotonic())):
            where = self._calls.standing("load")
            raise HookHangsError(
                self._candidate.name, f"{self._stage} did not return within {LOAD_DEADLINE:g} s{where}"
            )
        return self._calls.finish("load", self._flight, 0)

    def _load(self) -> Hooks:
        candidate = self._candidate
        assert candidate.entry_point is not None  # noqa: S101 - begin() looked
        loaded = self._in_stage("import", candidate.entry_point.load)
        if not isinstance(loaded, type):
            raise PluginError(candidate.name, f"{candidate.target} is no class", "name the plugin's class")
        instance = self._in_stage("constructor", loaded)
        self._stage = "load"
        return register(candidate.name, instance)

    def _in_stage(self, stage: str, step: Callable[[], T]) -> T:
        """Run one step, so that its failure names it."""
        self._stage = stage
        try:
            return step()
        except BaseException as error:
            raise PluginError(self._candidate.name, f"{stage} raised {describe(error)}") from error


def load_failure(error: PluginError, candidate: Candidate) -> str:
    """Why a plugin can't be loaded, and what to do."""
    text = error.what + (f" ({error.remedy})" if error.remedy else "")
    if isinstance(error.__cause__, ModuleNotFoundError):
        return f"{text}; its package is gone or incomplete: reinstall or uninstall {candidate.distribution}"
    return text
