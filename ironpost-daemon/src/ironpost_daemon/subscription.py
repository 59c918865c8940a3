"""One subscriber of the bus: where it stands in the history, and the worker that brings it what it has not seen.

Neighbours: `bus` makes them.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from ironpost_core import Alert, Clock
from ironpost_daemon.calls import describe
from ironpost_daemon.history import History, Stored, Wanted

BATCH: Final = 256
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0

_jitter = random.SystemRandom()


class RetryError(Exception):
    """The alert could not be handled now: hand it over again, not before `after` seconds when that is given."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Subscription:
    """See the module; made by `Bus.subscribe`.

    Attributes:
        name: as given to `Bus.subscribe`.
        dropped: how many alerts it missed, because it lagged too far, the daemon was down for too long, or it raised.
        failures: how often handling an alert raised.
        last_error: what handling raised; empty since it last went well.
        busy_since: when (monotonic, s) the call under way began, or None.
    """

    def __init__(
        self,
        name: str,
        handle: Callable[[Alert], None],
        *,
        wanted: Wanted,
        history: History,
        clock: Clock,
        log: logging.Logger,
        replay_max_age: timedelta | None,
        backlog: int,
    ) -> None:
        self.name = name
        self.dropped = 0
        self.failures = 0
        self.last_error = ""
        self.busy_since: float | None = None
        self._handle = handle
        self._wanted = wanted
        self._history = history
        self._clock = clock
        self._log = log
        self._replay_max_age = replay_max_age
        self._backlog = backlog
        self._pause = FIRST_PAUSE
        self._until: int | None = None
        self._lock = threading.Lock()
        self._signal, self._stopping = threading.Event(), threading.Event()
        self._revoked = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"ironpost-alerts-{name}", daemon=True)
        self._position, self._is_new = self._first_position()

    def _first_position(self) -> tuple[int, bool]:
        saved, last = self._history.position(self.name), self._history.last_number()
        if saved is not None and saved <= last:
            return saved, False
        if saved is not None:
            self._log.warning("%s had handled alert %d, but the history ends at %d", self.name, saved, last)
        self._history.save_position(self.name, last, wait=True)
        return last, True

    # -- what others see ------------------------------------------------------------------------------------------

    @property
    def lag(self) -> int:
        """How many alerts of the history it has not looked at yet, its own among them."""
        return 0 if self.ended else max(0, self._history.last_number() - self._position)

    @property
    def ended(self) -> bool:
        """Whether no further call will begin."""
        return self._revoked.is_set() or (self._thread.ident is not None and not self._thread.is_alive())

    @property
    def is_plugin(self) -> bool:
        """Whether it is a plugin's, not a sink's."""
        return self._wanted.not_from is not None

    def start(self) -> None:
        """Begin to deliver; nothing happens when it was stopped or revoked before."""
        with self._lock:
            if not self._revoked.is_set():
                self._thread.start()

    def wake(self) -> None:
        """Look for new alerts."""
        self._signal.set()

    def ask_to_stop(self) -> None:
        """Have it handle what is stored by now, then end; does not wait."""
        if self._until is None:
            self._until = self._history.last_number()
        self._stopping.set()
        self._signal.set()

    def stop(self, timeout: float) -> bool:
        """Handle what is stored by now, then end; False when `timeout` seconds were not enough.

        No call begins after it returned, and what was not handled comes at the next start.
        """
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self.revoke()
        return not self._thread.is_alive()

    def revoke(self) -> None:
        """Abandon it, at once: no call begins after this returned; one under way can't be ended and counts no more."""
        with self._lock:
            self._revoked.set()
        self._stopping.set()
        self._signal.set()

    # -- the worker -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        ready = self._is_new
        while not self._revoked.is_set():
            try:
                if not ready:
                    self._skip_stale()
                    ready = True
                self._signal.clear()
                if not self._step():
                    return
            except sqlite3.Error as error:
                self._log.error("%s can't read the history, this is tried again: %s", self.name, error)
                if self._stopping.is_set():
                    return
                self._rest(None)

    def _step(self) -> bool:
        """Deliver one batch, or wait for one; whether to go on."""
        self._skip_backlog()
        end = self._history.last_number()
        batch = self._history.read_after(self._position, BATCH, wanted=self._wanted)
        retry = self._deliver(batch)
        if retry is not None:
            if self._stopping.is_set():
                return False
            self._rest(retry.after)
            return True
        if self._revoked.is_set():
            return False
        if len(batch) == BATCH:
            return True
        self._move(max(end, self._position))
        if self._stopping.is_set():
            return self._position < (self._until or 0)
        self._signal.wait()
        return True

    def _deliver(self, batch: list[Stored]) -> RetryError | None:
        """Hand over one after the other; ends early when revoked, with what asks for a pause, or past the stop."""
        for stored in batch:
            with self._lock:
                if self._revoked.is_set():
                    return None
                self.busy_since = self._clock.monotonic()
            retry = self._call(stored)
            with self._lock:
                self.busy_since = None
                if self._revoked.is_set():
                    return None
            if retry is not None:
                return retry
            self._move(stored.number)
        return None

    def _call(self, stored: Stored) -> RetryError | None:
        try:
            self._handle(stored.alert)
        except RetryError as error:
            self._failed(stored, error)
            return error
        except BaseException as error:  # noqa: BLE001 - the stated boundary: a handler may raise anything
            self._failed(stored, error)
        else:
            self.last_error = ""
            self._pause = FIRST_PAUSE
        return None

    def _failed(self, stored: Stored, error: BaseException) -> None:
        self.failures += 1
        again = isinstance(error, RetryError)
        self.dropped += not again
        text = str(error) if again else describe(error)
        if not again or not self.last_error:
            what = "is handed over again" if again else "the next one follows"
            self._log.error("%s failed with alert %s (%s): %s", self.name, stored.alert.id, what, text)
        self.last_error = text

    def _move(self, number: int) -> None:
        with self._lock:
            if not self._revoked.is_set() and number > self._position:
                self._position = number
                self._history.save_position(self.name, number)

    def _rest(self, after: float | None) -> None:
        pause = min(after, 10 * LONGEST_PAUSE) if after is not None else self._pause
        self._clock.wait(self._stopping, pause * _jitter.uniform(1.0, 1.25))
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    # -- what is skipped ------------------------------------------------------------------------------------------

    def _skip_stale(self) -> None:
        """At the first look after a restart: what was recorded too long ago is past reacting to."""
        if self._replay_max_age is None:
            return
        last = self._history.last_number()
        fresh = self._history.first_since(self._position, self._clock.now() - self._replay_max_age)
        self._skip_to(last if fresh is None else fresh - 1, "is older than alerts.replay_max_age")

    def _skip_backlog(self) -> None:
        if self.lag > self._backlog:
            oldest = self._history.number_before_newest(self._backlog, self._position, self._wanted)
            self._skip_to(oldest, "did not fit into alerts.backlog")

    def _skip_to(self, number: int, why: str) -> None:
        if number <= self._position:
            return
        missed = self._history.count(self._position, number, self._wanted)
        if missed:
            self.dropped += missed
            self._log.warning("%s misses %d alerts, which %s", self.name, missed, why)
        self._move(number)
