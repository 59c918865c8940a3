"""The alert history: one SQLite file, one writer thread, and the way of every alert and checkpoint into it.

Plugins hand alerts and checkpoints to a `PluginPublisher`; the writer takes what waits and stores it in order, many in
one transaction, then tells `on_stored`. The bus reads its subscribers' alerts back from here. Neighbours:
`write_queue` (what waits), `history_store` (the file), `history_reader` (questions).
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from ironpost_core import Alert, Clock, Severity, State
from ironpost_core.alerts import this_host
from ironpost_daemon.history_reader import ALL, Connections, Reader, Wanted
from ironpost_daemon.history_store import (
    PRUNED_AT_ONCE,
    CorruptError,
    Store,
    Stored,
    move_aside,
    open_store,
    suspect_mark,
)
from ironpost_daemon.status import PartStatus
from ironpost_daemon.write_queue import Batch, PluginPublisher, WriteQueue

__all__ = ["ALL", "History", "PluginPublisher", "Stored", "Wanted"]

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
#: Seconds between two looks for alerts that are too old.
PRUNE_EVERY: Final = 600.0
#: Seconds after which an idle writer looks for something to prune.
IDLE: Final = 30.0
#: For how long (s) `save_position` with `wait` waits.
POSITION_TIMEOUT: Final = 5.0


def _nothing(_: Sequence[Alert]) -> None:
    """The default of `on_stored`."""


class History:
    """See the module.

    Attributes:
        failures: how often writing failed so far.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        log: logging.Logger,
        on_stored: Callable[[Sequence[Alert]], None] = _nothing,
        queue_capacity: int = 10_000,
        retention: timedelta | None = None,
    ) -> None:
        self.path = path
        self.failures = 0
        self._clock = clock
        self._log = log
        self._on_stored = on_stored
        self._retention = retention
        self._queue = WriteQueue(queue_capacity)
        self._connections = Connections(path)
        self._reader = Reader(self._connections, log)
        self._writing = threading.Lock()
        self._hurry, self._abandon = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="ironpost-history", daemon=True)
        self._store: Store | None = None
        self._inode = 0
        self._failing = ""
        self._last = 0
        self._positions: dict[str, int] = {}
        self._next_prune = clock.monotonic()

    # -- life ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the file, made when it is missing; a damaged one is moved aside and a new one begun.

        Raises:
            ConfigError: it can't be made, read or written, is another program's or a newer ironpost's.
        """
        try:
            self._store = open_store(self.path)
        except CorruptError as error:
            aside = move_aside(self.path, f"{self._clock.now():%Y%m%dT%H%M%SZ}")
            self._log.error(
                "the alert history %s is damaged (%s); it was moved to %s and a new one is begun: alerts, positions and"
                " checkpoints in it are lost unless you restore it",
                *(self.path, error, aside),
            )
            self._store = open_store(self.path)
        self._inode = self.path.stat().st_ino
        self._last = self._store.last_number()
        self._positions = self._store.positions()

    def start(self) -> None:
        """Start the writer."""
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Refuse new alerts, store what waits, end and close the file; False when some could not be stored in time."""
        self._queue.close()
        self._hurry.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._abandon.set()
        if self._thread.is_alive():
            self._thread.join(1.0)
        self._connections.close()
        if self._thread.is_alive():
            return self._lost()
        with self._writing:
            if self._store is not None:
                self._store.close()
                self._store = None
        return self._lost() if len(self._queue) else True

    def _lost(self) -> bool:
        self._log.error("stopped with %d alerts and checkpoints that could not be stored in time", len(self._queue))
        return False

    def health(self) -> PartStatus:
        """Unhealthy while writing fails; says why and how to mend it."""
        reason = self._failing
        if not reason and self._store is not None and not self._in_place():
            reason = f"{self.path} was removed or replaced while the daemon runs; restart the daemon"
        state = State.UNHEALTHY if reason else State.HEALTHY
        return PartStatus(name="history", health=state, reason=reason, vital=True)

    def _in_place(self) -> bool:
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    # -- writing ------------------------------------------------------------------------------------------------

    def publisher(self, plugin: str, host: str | None = None) -> PluginPublisher:
        """A plugin's way in; `host` (this machine's name by default) is filled in where an alert names none."""
        return PluginPublisher(plugin, host or this_host(), self._queue, self._reader.checkpoint)

    def settle(self, timeout: float) -> bool:
        """Wait until all that was handed over by anyone is stored; False when `timeout` seconds were not enough."""
        return self._queue.settled(None, timeout)

    def position(self, subscriber: str) -> int | None:
        """The number that this subscriber handled last, or None when it is new."""
        return self._positions.get(subscriber)

    def save_position(self, subscriber: str, number: int, *, wait: bool = False) -> None:
        """Remember the number that a subscriber handled last; stored soon, together with others.

        With `wait` it is stored when this returns; a file that can't be written for 5 s is reported instead.
        """
        self._positions[subscriber] = number
        place = self._queue.put_position(subscriber, number, urgent=wait)
        if wait and self._thread.is_alive() and not self._queue.positions_settled(place, POSITION_TIMEOUT):
            self._log.error("the position of %s can't be stored yet; a crash now may cost it alerts", subscriber)
        elif wait and not self._thread.is_alive():
            self._write_now()

    def _write_now(self) -> None:
        if self._store is None:
            return
        batch = self._queue.take(0)
        if batch is not None:
            self._commit(batch)

    def prune(self, older_than: datetime) -> int:
        """Forget alerts that were recorded before; gives how many."""
        total = 0
        while True:
            with self._writing:
                pruned = 0 if self._store is None else self._store.prune(older_than)
            total += pruned
            if pruned < PRUNED_AT_ONCE:
                return total

    def _run(self) -> None:
        while not self._abandon.is_set():
            batch = self._queue.take(IDLE)
            if batch is not None:
                self._commit(batch)
            elif self._queue.closed:
                return
            self._prune_when_due()

    def _commit(self, batch: Batch) -> None:
        """Store a batch, again and again until it is; only a stop whose time is up gives up."""
        pause = FIRST_PAUSE
        stored = self._attempt(batch)
        while stored is None:
            self._rest(pause)
            if self._abandon.is_set():
                return
            pause = min(2 * pause, LONGEST_PAUSE)
            stored = self._attempt(batch)
        if self._failing:
            self._log.warning("the alert history can be written again; nothing was lost")
            self._failing = ""
        self._queue.done(batch)
        self._tell(stored)

    def _attempt(self, batch: Batch) -> list[Alert] | None:
        try:
            return self._write(batch)
        except Exception as error:  # noqa: BLE001 - the stated boundary: the only writer never ends over a failure
            self._failed(error)
            return None

    def _write(self, batch: Batch) -> list[Alert]:
        with self._writing:
            if self._store is None:
                raise sqlite3.ProgrammingError("the alert history is not open")
            stored, self._last = self._store.write(batch, self._clock.now())
        return stored

    def _rest(self, pause: float) -> None:
        """Wait, but begin the next attempt at once when a stop begins."""
        if self._hurry.is_set():
            self._clock.wait(self._abandon, FIRST_PAUSE)
        else:
            self._clock.wait(self._hurry, pause)

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        reason = f"alerts can't be stored in {self.path}: {error}; {_cure(error)}"
        if reason != self._failing:
            self._log.error("%s (they wait in memory and this is tried again)", reason)
        self._failing = reason
        if isinstance(error, sqlite3.DatabaseError) and _is_damage(error):
            with contextlib.suppress(OSError):
                suspect_mark(self.path).touch()

    def _tell(self, stored: list[Alert]) -> None:
        if not stored:
            return
        try:
            self._on_stored(stored)
        except Exception:  # noqa: BLE001 - the stated boundary: counting is not worth the writer
            self._log.exception("telling about stored alerts failed; they are stored")

    def _prune_when_due(self) -> None:
        """One bounded step, so that new alerts don't wait; the next one follows soon when there is more."""
        if self._retention is None or self._clock.monotonic() < self._next_prune:
            return
        self._next_prune = self._clock.monotonic() + PRUNE_EVERY
        try:
            with self._writing:
                pruned = 0 if self._store is None else self._store.prune(self._clock.now() - self._retention)
        except (sqlite3.Error, OverflowError) as error:
            self._log.warning("old alerts can't be removed from the history: %s", error)
            return
        if pruned == PRUNED_AT_ONCE:
            self._next_prune = self._clock.monotonic()

    # -- reading ------------------------------------------------------------------------------------------------

    def last_number(self) -> int:
        """The number of the newest alert, 0 before the first."""
        return self._last

    def read_after(
        self, number: int, limit: int, *, newer_than: datetime | None = None, wanted: Wanted = ALL
    ) -> list[Stored]:
        """At most `limit` alerts with higher numbers, in order; fewer than `limit` means that there are no more.

        Raises:
            sqlite3.Error: the file can't be read; so do all that read.
        """
        return self._reader.after(number, limit, newer_than=newer_than, wanted=wanted)

    def recent(
        self,
        *,
        limit: int = 100,
        before: int | None = None,
        severity: Severity | None = None,
        plugin: str | None = None,
        rule: str | None = None,
        since: datetime | None = None,
    ) -> list[Stored]:
        """The newest first; each filter given must hold: `severity` or worse, `rule` a glob, recorded `since`."""
        return self._reader.recent(limit=limit, before=before, severity=severity, plugin=plugin, rule=rule, since=since)

    def first_since(self, number: int, moment: datetime) -> int | None:
        """The lowest number after `number` that was recorded at `moment` or later; None when there is none."""
        return self._reader.first_since(number, moment)

    def count(self, after: int, upto: int, wanted: Wanted = ALL) -> int:
        """How many alerts have a number above `after` and not above `upto`."""
        return self._reader.count(after, upto, wanted)

    def number_before_newest(self, keep: int, after: int, wanted: Wanted = ALL) -> int:
        """The highest number that must be skipped so that only `keep` alerts above `after` remain; `after` if none."""
        return self._reader.number_before_newest(keep, after, wanted)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _cure(error: Exception) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return _CURES.get(code, "see the message, then restart the daemon")


_CURES: Final = {
    sqlite3.SQLITE_FULL: "free space on its disk",
    sqlite3.SQLITE_BUSY: "another program holds the file: end it",
    sqlite3.SQLITE_LOCKED: "another program holds the file: end it",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable for the daemon's user",
    sqlite3.SQLITE_CANTOPEN: "make the folder and the files in it accessible to the daemon's user",
    sqlite3.SQLITE_IOERR: "look for disk errors and free space (dmesg, df)",
    sqlite3.SQLITE_CORRUPT: "restart the daemon: it moves the damaged file aside and begins a new one",
    sqlite3.SQLITE_NOTADB: "restart the daemon: it moves the damaged file aside and begins a new one",
}
