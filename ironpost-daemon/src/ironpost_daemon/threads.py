"""Supervised threads: what `Context.spawn` gives a plugin."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ironpost_core import Clock, PluginError
from ironpost_daemon.calls import describe, standing

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
#: A thread that ran this long before it raised starts again with the first pause.
RECOVERED_AFTER = 60.0


class Spawner:
    """The threads of one run of one plugin. Return means finished, raise means restarted after a growing pause."""

    def __init__(
        self,
        plugin: str,
        *,
        stopping: threading.Event,
        clock: Clock,
        log: logging.Logger,
        on_restart: Callable[[str, str], None],
    ) -> None:
        self._plugin = plugin
        self._stopping = stopping
        self._clock = clock
        self._log = log
        self._on_restart = on_restart
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._raised: dict[str, tuple[float, str]] = {}

    def __call__(self, name: str, target: Callable[[], None]) -> None:
        """Start `target` on a thread of its own.

        Raises:
            PluginError: the plugin is being stopped.
        """
        thread = threading.Thread(
            target=self._supervise, args=(name, target), name=f"ironpost-{self._plugin}-{name}", daemon=True
        )
        with self._lock:
            if self._stopping.is_set():
                raise PluginError(self._plugin, f"no thread {name!r} is started: the plugin is being stopped")
            thread.start()
            self._threads = [running for running in self._threads if running.is_alive()] + [thread]

    def _supervise(self, name: str, target: Callable[[], None]) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            began = self._clock.monotonic()
            try:
                target()
            except BaseException as error:  # noqa: BLE001 - the stated boundary: a thread of a plugin may raise anything
                if self._clock.monotonic() - began > RECOVERED_AFTER:
                    pause = FIRST_PAUSE
                self._report(name, error, pause)
                self._clock.wait(self._stopping, pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._raised.pop(name, None)
                return

    def _report(self, name: str, error: BaseException, pause: float) -> None:
        text = describe(error)
        self._raised[name] = (self._clock.monotonic(), text)
        if self._stopping.is_set():
            self._log.warning("thread %s raised while it was being stopped: %s", name, text)
            return
        self._log.error("thread %s raised and is restarted in %.1f s: %s", name, pause, text, exc_info=error)
        self._on_restart(name, text)

    def failing(self) -> str:
        """Which threads raised within the last minute and have not finished since, and what; or empty."""
        recent = self._clock.monotonic() - RECOVERED_AFTER
        raised = list(self._raised.items())
        return "; ".join(f"thread {name} raised {text}" for name, (when, text) in raised if when > recent)

    def join(self, deadline: float) -> list[str]:
        """Wait for all threads until the clock's monotonic `deadline`; names (and lines) of those still running."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        return [f"{thread.name}{standing(thread)}" for thread in threads if thread.is_alive()]
