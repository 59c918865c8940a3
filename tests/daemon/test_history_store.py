from __future__ import annotations

import os
import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from history_tools import an_alert
from ironpost_core import ConfigError
from ironpost_daemon import history_store
from ironpost_daemon.history_store import CorruptError, connect, move_aside, open_store, suspect_mark
from ironpost_daemon.write_queue import PluginPublisher, WriteQueue


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


def make(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_new_file_is_private_durable_and_marked(tmp_path: Path) -> None:
    path = tmp_path / "new" / "history.sqlite"
    old = os.umask(0)
    try:
        store = open_store(path)
    finally:
        os.umask(old)
    pragmas = ("journal_mode", "synchronous", "trusted_schema", "application_id", "user_version")
    values = [store.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
    for name in (path, *path.parent.glob("history.sqlite-*")):
        assert stat.S_IMODE(name.stat().st_mode) == 0o600
    store.close()
    assert values == ["wal", 2, 0, history_store.APPLICATION_ID, history_store.SCHEMA_VERSION]


def test_an_interrupted_making_is_finished(path: Path) -> None:
    path.touch()
    open_store(path).close()
    open_store(path).close()


def test_a_file_open_to_others_is_closed_to_them(path: Path) -> None:
    open_store(path).close()
    path.chmod(0o644)
    open_store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["CREATE TABLE bookmarks (url)"], "another program's database"),
        (["PRAGMA application_id = 5", "CREATE TABLE a (b)"], "another program's database"),
    ],
)
def test_a_foreign_database_is_left_alone(path: Path, statements: list[str], message: str) -> None:
    make(path, *statements)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=message):
        open_store(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused_with_the_cure(path: Path) -> None:
    open_store(path).close()
    make(path, "PRAGMA user_version = 2")
    with pytest.raises(ConfigError, match=r"newer ironpost.*install that version again"):
        open_store(path)


@pytest.mark.parametrize("garbage", [b"not a database " * 500, b"SQLite format 3\0" + b"\xff" * 8000])
def test_garbage_is_corrupt(path: Path, garbage: bytes) -> None:
    path.write_bytes(garbage)
    with pytest.raises(CorruptError):
        open_store(path)


def test_a_damaged_page_is_found_by_the_check_at_the_start(path: Path) -> None:
    store = open_store(path)
    store.connection.execute("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 5000)"
                             " INSERT INTO alerts SELECT x, 'id' || x, x, 'p', 'r', 1, 0, '{}' FROM n")  # fmt: skip
    store.close()
    raw = bytearray(path.read_bytes())
    raw[4096 * 10 : 4096 * 12] = b"\xa5" * 8192
    path.write_bytes(raw)
    with pytest.raises(CorruptError):
        open_store(path)


def test_a_large_file_is_checked_only_when_suspected(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_store, "CHECKED_SIZE", 0)
    open_store(path).close()
    suspect_mark(path).touch()
    open_store(path).close()
    assert not suspect_mark(path).exists()


def test_places_that_can_not_hold_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"is not a folder|can't be made"):
        open_store(tmp_path / "file" / "history.sqlite")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="can't be opened"):
        open_store(tmp_path / "folder")


def test_a_locked_one_is_a_config_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_store, "BUSY_TIMEOUT", 0.01)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(ConfigError, match="locked"):
            open_store(path)
    finally:
        other.close()


def test_moving_aside_takes_the_side_files_along(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", ".suspect"):
        path.with_name(path.name + suffix).write_text(suffix)
    aside = move_aside(path, "now")
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "history.sqlite.corrupt-now",
        "history.sqlite.corrupt-now-shm",
        "history.sqlite.corrupt-now-wal",
    ]
    assert aside.read_text() == ""


def test_readers_can_not_write(path: Path) -> None:
    open_store(path).close()
    connection = connect(path, read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM alerts")
    connection.close()


def test_an_sqlite_that_takes_few_values_stores_as_well(path: Path) -> None:
    store = open_store(path)
    store.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 200)
    queue = WriteQueue(1000)
    alerts = PluginPublisher("p", "web1", queue, lambda plugin, key: None)
    for number in range(300):
        alerts.publish(an_alert(number))
    batch = queue.take(0)
    assert batch is not None
    new, last = store.write(batch, datetime(2026, 1, 1, tzinfo=UTC))
    store.close()
    assert [alert.id for alert in new] == [f"alert-{number}" for number in range(300)]
    assert last == 300


def test_no_plugin_takes_another_ones_id_away(path: Path) -> None:
    store = open_store(path)
    queue = WriteQueue(1000)
    for plugin in ("a", "b", "a"):
        assert PluginPublisher(plugin, "web1", queue, lambda plugin, key: None).publish(an_alert(1))
    batch = queue.take(0)
    assert batch is not None
    new, last = store.write(batch, datetime(2026, 1, 1, tzinfo=UTC))
    store.close()
    assert [(alert.plugin, alert.id) for alert in new] == [("a", "alert-1"), ("b", "alert-1")]
    assert last == 2
