"""Reading the history, on any number of threads, never by the writer's connection.

Neighbours: `history` offers these methods as its own.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import attrs

from ironpost_core import Alert, Severity
from ironpost_daemon.history_store import Stored, connect, micros, moment_of, rank

_IDLE: Final = 8
_COLUMNS: Final = "SELECT number, recorded, body FROM alerts"


@attrs.frozen(kw_only=True)
class Wanted:
    """Which alerts a subscriber gets: not those of `not_from`, none deeper than `max_depth`; None allows all."""

    not_from: str | None = None
    max_depth: int | None = None


ALL: Final = Wanted()


class Connections:
    """Read-only connections, each used by one thread at a time; at most a few stay open between uses."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._keep = _IDLE

    @contextlib.contextmanager
    def __call__(self) -> Iterator[sqlite3.Connection]:
        """Lend one; one that failed is not lent again.

        Raises:
            sqlite3.Error: the file can't be opened or read.
        """
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = connect(self._path, read_only=True)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            kept = len(self._idle) < self._keep
            if kept:
                self._idle.append(connection)
        if not kept:
            connection.close()

    def close(self) -> None:
        """Close the idle ones, and each that comes back from now on."""
        with self._lock:
            self._keep = 0
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


class Reader:
    """Questions about the history. Every method may raise sqlite3.Error when the file can't be read."""

    def __init__(self, connections: Connections, log: logging.Logger) -> None:
        self._connections = connections
        self._log = log

    def after(
        self, number: int, limit: int, *, newer_than: datetime | None = None, wanted: Wanted = ALL
    ) -> list[Stored]:
        """At most `limit` alerts with higher numbers, in order; fewer than `limit` means that there are no more."""
        where, values = _where(wanted, newer_than)
        found: list[Stored] = []
        statement = f"{_COLUMNS} WHERE number > ?{where} ORDER BY number LIMIT ?"
        with self._connections() as connection:
            while len(found) < limit:
                asked = limit - len(found)
                rows = connection.execute(statement, (number, *values, asked)).fetchall()
                found += self._decoded(rows)
                if len(rows) < asked:
                    break
                number = rows[-1][0]
        return found

    def recent(
        self,
        *,
        limit: int,
        before: int | None,
        severity: Severity | None,
        plugin: str | None,
        rule: str | None,
        since: datetime | None,
    ) -> list[Stored]:
        """The newest first; each filter that is not None must hold. `rule` is a glob, `severity` the lowest."""
        conditions: dict[str, Any] = {
            "number < ?": before,
            "severity >= ?": None if severity is None else rank(severity),
            "plugin = ?": plugin,
            "rule GLOB ?": rule,
            "recorded >= ?": None if since is None else micros(since),
        }
        given = {text: value for text, value in conditions.items() if value is not None}
        where = f" WHERE {' AND '.join(given)}" if given else ""
        with self._connections() as connection:
            rows = connection.execute(
                f"{_COLUMNS}{where} ORDER BY number DESC LIMIT ?", (*given.values(), limit)
            ).fetchall()
        return self._decoded(rows)

    def first_since(self, number: int, moment: datetime) -> int | None:
        """The lowest number after `number` that was recorded at `moment` or later; None when there is none."""
        statement = "SELECT min(number) FROM alerts WHERE recorded >= ? AND number > ?"
        with self._connections() as connection:
            row = connection.execute(statement, (micros(moment), number)).fetchone()
        return None if row[0] is None else int(row[0])

    def count(self, after: int, upto: int, wanted: Wanted = ALL) -> int:
        """How many alerts have a number above `after` and not above `upto`."""
        where, values = _where(wanted, None)
        statement = f"SELECT count(*) FROM alerts WHERE number > ? AND number <= ?{where}"  # noqa: S608 - constants
        with self._connections() as connection:
            return int(connection.execute(statement, (after, upto, *values)).fetchone()[0])

    def number_before_newest(self, keep: int, after: int, wanted: Wanted = ALL) -> int:
        """The highest number that must be skipped so that only `keep` alerts above `after` remain; `after` if none."""
        where, values = _where(wanted, None)
        statement = f"SELECT number FROM alerts WHERE number > ?{where} ORDER BY number DESC LIMIT 1 OFFSET ?"  # noqa: S608 - constants
        with self._connections() as connection:
            row = connection.execute(statement, (after, *values, keep)).fetchone()
        return after if row is None else int(row[0])

    def checkpoint(self, plugin: str, key: str) -> bytes | None:
        """The stored checkpoint."""
        with self._connections() as connection:
            row = connection.execute(
                "SELECT value FROM checkpoints WHERE plugin = ? AND key = ?", (plugin, key)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def _decoded(self, rows: list[tuple[int, int, str]]) -> list[Stored]:
        found = []
        for number, recorded, body in rows:
            try:
                found.append(Stored(number, moment_of(recorded), Alert.from_json(body)))
            except ValueError as error:
                self._log.warning("alert %d of the history can't be read and is left out: %s", number, error)
        return found


def _where(wanted: Wanted, newer_than: datetime | None) -> tuple[str, list[Any]]:
    conditions: dict[str, Any] = {
        " AND recorded >= ?": None if newer_than is None else micros(newer_than),
        " AND plugin != ?": wanted.not_from,
        " AND depth <= ?": wanted.max_depth,
    }
    given = {text: value for text, value in conditions.items() if value is not None}
    return "".join(given), list(given.values())
