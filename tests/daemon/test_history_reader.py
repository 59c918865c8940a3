from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from ironpost_daemon.history_reader import Connections
from ironpost_daemon.history_store import open_store


@pytest.fixture
def connections(tmp_path: Path) -> Connections:
    open_store(tmp_path / "h").close()
    return Connections(tmp_path / "h")


def test_one_is_used_again_but_never_by_two_at_once(connections: Connections) -> None:
    with connections() as first, connections() as second:
        assert first is not second
    with connections() as third:
        assert third in (first, second)
    connections.close()


def test_one_that_failed_is_closed(connections: Connections) -> None:
    with pytest.raises(sqlite3.OperationalError), connections() as failed:
        failed.execute("SELECT nonsense")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        failed.execute("SELECT 1")
    with connections() as fresh:
        assert fresh is not failed
    connections.close()


def test_after_closing_none_is_kept(connections: Connections) -> None:
    with connections() as lent:
        connections.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        lent.execute("SELECT 1")


def test_it_goes_from_thread_to_thread(connections: Connections) -> None:
    found: list[int] = []

    def ask() -> None:
        with connections() as connection:
            found.append(connection.execute("SELECT count(*) FROM alerts").fetchone()[0])

    ask()
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert found == [0, 0]
    connections.close()
