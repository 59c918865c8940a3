"""The one place where the daemon calls into a plugin. Whatever a plugin raises or however long it hangs stays here.

Each (plugin, hook) is single-flight on a thread of its own with a deadline: a hung hook costs one thread, not one
per call, because a hung thread can't be killed.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ironpost_core import PluginError
from ironpost_core.alerts import readable

T = TypeVar("T")


class HookHangsError(PluginError):
    """A hook did not return in time, or its earlier call still runs."""


class Flight(Generic[T]):
    """One call under way or done."""

    def __init__(self, function: Callable[[], T], name: str) -> None:
        self._function = function
        self._done = threading.Event()
        self._result: T | None = None
        self._error: BaseException | None = None
        self.overdue = False
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 - the stated boundary: a plugin may raise anything, SystemExit too
            self._error = error
        self._done.set()

    def start(self) -> None:
        """Let it begin; RuntimeError when the system has no thread to give."""
        self.thread.start()

    @property
    def failure(self) -> str:
        """What it raised, as one line; empty when it raised nothing, so far."""
        return "" if self._error is None else describe(self._error)

    def wait(self, timeout: float | None) -> bool:
        """Whether it has ended, waiting `timeout` seconds for that."""
        return self._done.wait(timeout)

    def outcome(self) -> T:
        """What the call returned; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # set by _run, which ended without an error


class Calls:
    """Calls into one plugin."""

    def __init__(self, plugin: str) -> None:
        self._plugin = plugin
        self._lock = threading.Lock()
        self._flights: dict[str, Flight[Any]] = {}

    def begin(self, hook: str, function: Callable[[], T], *, share: bool = False) -> Flight[T]:
        """Start a call without waiting; with `share`, give the one under way if there is one.

        Raises:
            HookHangsError: the hook's earlier call still runs and is not to be shared.
            PluginError: the system has no thread to give.
        """
        flight = Flight(function, f"ironpost-{self._plugin}-{hook}")
        with self._lock:
            earlier = self._flights.get(hook)
            if earlier is not None and not earlier.wait(0):
                if share:
                    return earlier
                raise HookHangsError(self._plugin, f"{hook} still hangs{standing(earlier.thread)}")
            try:
                flight.thread.start()
            except RuntimeError as error:
                raise PluginError(self._plugin, f"{hook} was not called: {error}") from error
            self._flights[hook] = flight
        return flight

    def finish(self, hook: str, flight: Flight[T], deadline: float) -> T:
        """Wait for a call at most `deadline` seconds, and not at all for one that was late before.

        Raises:
            HookHangsError: it did not return in time.
            PluginError: it raised; the cause is attached.
        """
        if not flight.wait(0 if flight.overdue else deadline):
            flight.overdue = True
            raise HookHangsError(self._plugin, f"{hook} did not return within {deadline:g} s{standing(flight.thread)}")
        try:
            return flight.outcome()
        except BaseException as error:
            # A subclass may come from the plugin and lack what a PluginError has.
            if type(error) is PluginError and isinstance(error.what, str):
                raise
            raise PluginError(self._plugin, f"{hook} raised {describe(error)}") from error

    def call(self, hook: str, function: Callable[[], T], deadline: float) -> T:
        """`begin` and `finish`; raises as both."""
        return self.finish(hook, self.begin(hook, function), deadline)

    def standing(self, hook: str) -> str:
        """Where a call under way stands, as `` at FILE:LINE in FUNCTION``; empty when none is under way."""
        with self._lock:
            flight = self._flights.get(hook)
        return "" if flight is None or flight.wait(0) else standing(flight.thread)


def standing(thread: threading.Thread) -> str:
    """The line at which a thread stands, as `` at FILE:LINE in FUNCTION``, or empty when it has ended."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None:
        return ""
    stack = [entry for entry in traceback.extract_stack(frame) if not _is_plumbing(entry.filename)]
    return f", at {stack[-1].filename}:{stack[-1].lineno} in {stack[-1].name}" if stack else ""


def _is_plumbing(filename: str) -> bool:
    return filename == threading.__file__ or filename.endswith("/pluggy/_callers.py")


def describe(error: BaseException) -> str:
    """An exception as one printable line with the place where it was raised: ``ValueError: text, at FILE:LINE``.

    Never raises, whatever the exception does when it is asked for its text.
    """
    try:
        text = readable(" ".join(str(error)[:2000].split()), 500)
    except BaseException:  # noqa: BLE001 - the stated boundary: __str__ of a plugin's exception may raise anything
        text = "(asked for its text, it raised)"
    frames = traceback.extract_tb(error.__traceback__)
    place = f", at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"
