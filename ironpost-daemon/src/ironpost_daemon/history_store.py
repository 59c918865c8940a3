"""The history's SQLite file: its schema, opening and checking it, the statements that write, prune and read it.

Neighbours: `history` owns the one writing thread; nothing else writes.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NoReturn

import attrs

from ironpost_core import Alert, ConfigError, Problem, Severity
from ironpost_core.files import ensure_folder
from ironpost_daemon.write_queue import Batch, WaitingAlert

#: "IrPo": marks the file as ours.
APPLICATION_ID: Final = 0x4972506F
SCHEMA_VERSION: Final = 1
#: A file up to this size (bytes) is checked whole when it is opened; a larger one only when a write found it broken.
CHECKED_SIZE: Final = 64 << 20
#: How many alerts one transaction prunes at most, so that new ones don't wait.
PRUNED_AT_ONCE: Final = 5_000
BUSY_TIMEOUT: Final = 1.0

_SCHEMA: Final = (
    """CREATE TABLE alerts (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL,
        recorded INTEGER NOT NULL, -- microseconds since 1970, UTC
        plugin TEXT NOT NULL,
        rule TEXT NOT NULL,
        severity INTEGER NOT NULL, -- 0 is info
        depth INTEGER NOT NULL,
        body TEXT NOT NULL, -- the alert as JSON
        UNIQUE (plugin, id) -- no plugin can take another's id away
    )""",
    "CREATE INDEX alerts_recorded ON alerts (recorded)",
    "CREATE TABLE checkpoints (plugin TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, UNIQUE (plugin, key))",
    "CREATE TABLE positions (subscriber TEXT PRIMARY KEY, number INTEGER NOT NULL)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_INSERT: Final = "INSERT INTO alerts (id, recorded, plugin, rule, severity, depth, body) VALUES "
_ROW: Final = "(?, ?, ?, ?, ?, ?, ?)"
#: Rows → statement. SQLite runs without the GIL from a statement's start to its end, and getting it back while a plugin
#: is busy takes up to 5 ms: with a statement for each alert a flood is stored at half the speed.
_INSERTS: Final = {rows: _INSERT + ", ".join([_ROW] * rows) for rows in (4096, 256, 16, 1)}
_RANKS: Final = {severity: rank for rank, severity in enumerate(Severity)}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class CorruptError(Exception):
    """The file is damaged, or no SQLite database at all."""


@attrs.frozen
class Stored:
    """An alert of the history. `number` rises with each and is never used again; `recorded` is when it was stored."""

    number: int
    recorded: datetime
    alert: Alert


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment_of(microseconds: int) -> datetime:
    """What `micros` undoes (UTC)."""
    return _EPOCH + timedelta(microseconds=microseconds)


def rank(severity: Severity) -> int:
    """The number that stands for a severity in the file."""
    return _RANKS[severity]


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode that may be handed from thread to thread."""
    mode = "ro" if read_only else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def suspect_mark(path: Path) -> Path:
    """A file beside the history which says that a write found it damaged: check it whole at the next start."""
    return path.with_name(path.name + ".suspect")


def open_store(path: Path) -> Store:
    """Open the file, made when it is missing.

    Raises:
        CorruptError: it is damaged.
        ConfigError: it can't be made, read or written, is another program's, or a newer ironpost's.
    """
    ensure_folder(path.parent)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except OSError as error:
        _refuse(path, f"can't be opened: {error.strerror}", "make it writable for the daemon's user, or move it away")
    try:
        connection = connect(path)
        try:
            _prepare(connection, path)
            return Store(connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.OperationalError as error:
        _refuse(path, f"can't be used: {error}", "free space on its disk, end other programs that hold it open")
    except sqlite3.DatabaseError as error:
        raise CorruptError(str(error)) from error


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    _check_identity(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {CHECKED_SIZE}")
    if _pragma(connection, "application_id") == 0:
        with transaction(connection):
            for statement in _SCHEMA:
                connection.execute(statement)
    if path.stat().st_size <= CHECKED_SIZE or suspect_mark(path).exists():
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise CorruptError(found)
    suspect_mark(path).unlink(missing_ok=True)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _check_identity(connection: sqlite3.Connection, path: Path) -> None:
    application, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if (application, version) == (0, 0) and not tables:
        return  # new, or its making was interrupted
    if application != APPLICATION_ID:
        _refuse(path, "is another program's database", "move it away, or set general.data_dir to another folder")
    if version > SCHEMA_VERSION:
        what = f"was written by a newer ironpost (schema {version}, this one knows {SCHEMA_VERSION})"
        _refuse(path, what, "install that version again, or move the file away to begin a new history")


def _refuse(path: Path, what: str, remedy: str) -> NoReturn:
    raise ConfigError([Problem(where=f"alert history {path}", what=what, remedy=remedy)])


def move_aside(path: Path, stamp: str) -> Path:
    """Rename a damaged file and its side files, so that a new one can be begun; gives the new name."""
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    suspect_mark(path).unlink(missing_ok=True)
    return aside


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class Store:
    """The writing connection. Not thread-safe; `history` holds a lock around it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def close(self) -> None:
        """Close the file; SQLite folds the WAL into it."""
        self.connection.close()

    def last_number(self) -> int:
        """The number given last, also when that alert was pruned since."""
        row = self.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'alerts'").fetchone()
        return row[0] if row else 0

    def positions(self) -> dict[str, int]:
        """All subscribers' positions."""
        return dict(self.connection.execute("SELECT subscriber, number FROM positions"))

    def write(self, batch: Batch, recorded: datetime) -> tuple[list[Alert], int]:
        """Store a batch in one transaction; gives the alerts that were new, and the last number."""
        with transaction(self.connection):
            new = self._insert(batch.alerts, micros(recorded))
            self.connection.executemany(
                "INSERT INTO checkpoints VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                [(plugin, key, value) for (plugin, key), value in batch.checkpoints.items()],
            )
            self.connection.executemany("REPLACE INTO positions VALUES (?, ?)", list(batch.positions.items()))
            last = self.last_number()
        return new, last

    def _insert(self, waiting: Sequence[WaitingAlert], recorded: int) -> list[Alert]:
        """Plain INSERT: one that ignores repetitions leaves holes in the numbers. Those are rare, so try without."""
        self.connection.execute("SAVEPOINT alerts")
        try:
            self._insert_all(waiting, recorded)
        except sqlite3.IntegrityError:
            self.connection.execute("ROLLBACK TO alerts")
            waiting = self._unknown(waiting)
            self._insert_all(waiting, recorded)
        self.connection.execute("RELEASE alerts")
        return [each.alert for each in waiting]

    def _insert_all(self, waiting: Sequence[WaitingAlert], recorded: int) -> None:
        begin = 0
        most = self.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // _ROW.count("?")
        for size, statement in _INSERTS.items():
            while size <= most and len(waiting) - begin >= size:
                group = waiting[begin : begin + size]
                values = [value for each in group for value in _row(each, recorded)]
                self.connection.execute(statement, values)
                begin += size

    def _unknown(self, waiting: Sequence[WaitingAlert]) -> list[WaitingAlert]:
        first_of = {(each.alert.plugin, each.alert.id): each for each in reversed(waiting)}
        find = "SELECT 1 FROM alerts WHERE plugin = ? AND id = ?"
        return [
            each
            for each in waiting
            if first_of[key := (each.alert.plugin, each.alert.id)] is each
            and self.connection.execute(find, key).fetchone() is None
        ]

    def prune(self, older_than: datetime) -> int:
        """Forget a bounded number of the oldest alerts recorded before; gives how many."""
        oldest = "SELECT number FROM alerts WHERE recorded < ? ORDER BY recorded LIMIT ?"
        statement = f"DELETE FROM alerts WHERE number IN ({oldest})"  # noqa: S608 - both parts are constants
        with transaction(self.connection):
            return self.connection.execute(statement, (micros(older_than), PRUNED_AT_ONCE)).rowcount


def _row(waiting: WaitingAlert, recorded: int) -> tuple[Any, ...]:
    alert = waiting.alert
    return alert.id, recorded, alert.plugin, alert.rule, _RANKS[alert.severity], alert.depth, waiting.body
