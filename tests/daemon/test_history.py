from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from history_tools import LOG, PATIENCE, a_history, an_alert, ids, until
from ironpost_core import Alert, Severity, State
from ironpost_core.testing import START, FakeClock
from ironpost_daemon import history as history_module
from ironpost_daemon.history import History, Wanted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "history.sqlite"


class TestStoring:
    def test_alerts_come_back_in_order_after_a_restart(self, path: Path) -> None:
        with a_history(path) as history:
            alerts = history.publisher("p", host="web1")
            assert all(alerts.publish(an_alert(n)) for n in range(1500))
            assert alerts.settle(PATIENCE)
            assert history.last_number() == 1500
        with a_history(path) as history:
            found = history.read_after(0, 2000)
            assert ids(found) == [f"alert-{n}" for n in range(1500)]
            assert [stored.number for stored in found] == list(range(1, 1501))
            assert found[0].alert == an_alert(0, plugin="p", host="web1")

    def test_a_repetition_is_stored_once_and_told_once_and_leaves_no_hole(self, path: Path) -> None:
        told: list[str] = []

        def tell(alerts: Sequence[Alert]) -> None:
            told.extend(alert.id for alert in alerts)

        with a_history(path, on_stored=tell) as history:
            alerts = history.publisher("p")
            for n in (1, 2, 1, 2, 3, 3, 2, 4):
                assert alerts.publish(an_alert(n))
            assert history.settle(PATIENCE)
            assert alerts.publish(an_alert(4))
            assert alerts.publish(an_alert(5))
            assert history.settle(PATIENCE)
            assert [stored.number for stored in history.read_after(0, 10)] == [1, 2, 3, 4, 5]
        assert told == [f"alert-{n}" for n in (1, 2, 3, 4, 5)]

    def test_checkpoints_outlive_a_restart_and_belong_to_their_plugin(self, path: Path) -> None:
        with a_history(path) as history:
            history.publisher("p").checkpoint("k", b"\x00\xff")
            assert history.settle(PATIENCE)
            history.publisher("p").checkpoint("k", b"newer")
        with a_history(path) as history:
            assert history.publisher("p").last_checkpoint("k") == b"newer"
            assert history.publisher("q").last_checkpoint("k") is None

    def test_positions_outlive_a_restart(self, path: Path) -> None:
        with a_history(path) as history:
            assert history.position("s") is None
            history.save_position("s", 7, wait=True)
            history.save_position("t", 8)
            assert history.position("t") == 8
        with a_history(path) as history:
            assert (history.position("s"), history.position("t")) == (7, 8)

    def test_a_position_is_durable_when_waiting_returned_also_before_the_start(self, path: Path) -> None:
        with a_history(path, started=False) as history:
            history.save_position("s", 7, wait=True)
            reader = sqlite3.connect(path)
            assert reader.execute("SELECT * FROM positions").fetchall() == [("s", 7)]
            reader.close()

    def test_stop_refuses_then_stores_the_rest(self, path: Path) -> None:
        with a_history(path) as history:
            alerts = history.publisher("p")
            for n in range(5000):
                alerts.publish(an_alert(n))
            assert history.stop(PATIENCE)
            assert not alerts.publish(an_alert(9999))
            assert len(history.recent(limit=6000)) == 5000, "reading still works"

    def test_a_raising_listener_costs_nothing(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        def tell(alerts: Sequence[Alert]) -> None:
            raise RuntimeError("boom")

        with a_history(path, on_stored=tell) as history:
            for n in range(3):
                history.publisher("p").publish(an_alert(n))
                assert history.settle(PATIENCE)
            until(lambda: caplog.text.count("boom") >= 3)
            assert history.last_number() == 3
            assert history.health().health is State.HEALTHY

    def test_many_threads_publish_and_read(self, path: Path) -> None:
        with a_history(path) as history:

            def work(plugin: str) -> None:
                alerts = history.publisher(plugin)
                for n in range(300):
                    assert alerts.publish(an_alert(0, id=f"{plugin}-{n}"))
                    history.recent(limit=3)
                assert alerts.settle(PATIENCE)

            threads = [threading.Thread(target=work, args=(f"p{n}",)) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
            for n in range(4):
                mine = [i for i in ids(history.read_after(0, 2000)) if i.startswith(f"p{n}-")]
                assert mine == [f"p{n}-{i}" for i in range(300)]


class TestReading:
    @pytest.fixture
    def history(self, path: Path) -> History:
        with a_history(path) as history:
            quiet, loud = history.publisher("quiet"), history.publisher("loud")
            quiet.publish(an_alert(1, rule="ssh-guessing", severity=Severity.LOW))
            loud.publish(an_alert(2, rule="scan-port", severity=Severity.CRITICAL, depth=1))
            quiet.publish(an_alert(3, rule="ssh-root", severity=Severity.MEDIUM))
            assert history.settle(PATIENCE)
            history.stop(PATIENCE)
            return history

    def test_newest_first_with_filters(self, history: History) -> None:
        assert ids(history.recent()) == ["alert-3", "alert-2", "alert-1"]
        assert ids(history.recent(limit=1)) == ["alert-3"]
        assert ids(history.recent(before=3)) == ["alert-2", "alert-1"]
        assert ids(history.recent(severity=Severity.MEDIUM)) == ["alert-3", "alert-2"]
        assert ids(history.recent(plugin="quiet", rule="ssh-*")) == ["alert-3", "alert-1"]
        recorded = history.recent(limit=1)[0].recorded
        assert len(history.recent(since=recorded)) >= 1
        assert history.recent(since=recorded + timedelta(days=1)) == []

    def test_a_subscribers_filter(self, history: History) -> None:
        assert ids(history.read_after(0, 9, wanted=Wanted(not_from="quiet"))) == ["alert-2"]
        assert ids(history.read_after(0, 9, wanted=Wanted(max_depth=0))) == ["alert-1", "alert-3"]
        assert history.count(0, 3, Wanted(not_from="loud")) == 2
        assert history.number_before_newest(1, 0) == 2
        assert history.number_before_newest(3, 0) == 0

    def test_an_unreadable_alert_is_left_out_and_the_rest_found(
        self, history: History, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        writer = sqlite3.connect(path)
        writer.execute("UPDATE alerts SET body = '{\"schema\": 99}' WHERE number <= 2")
        writer.commit()
        writer.close()
        assert ids(history.read_after(0, 2)) == ["alert-3"]
        assert "alert 1 of the history can't be read" in caplog.text


class TestTimes:
    def test_reading_by_time_and_pruning_keep_numbers_rising(self, path: Path) -> None:
        clock = FakeClock()
        with a_history(path, clock=clock) as history:
            alerts = history.publisher("p")
            for n in range(3):
                alerts.publish(an_alert(n))
                assert history.settle(PATIENCE)
                clock.advance(60)
            assert history.first_since(0, START + timedelta(seconds=30)) == 2
            assert history.first_since(0, START + timedelta(days=1)) is None
            assert ids(history.read_after(0, 9, newer_than=START + timedelta(seconds=61))) == ["alert-2"]
            assert history.prune(START + timedelta(days=1)) == 3
            assert history.last_number() == 3
        with a_history(path, clock=clock) as history:
            assert history.last_number() == 3
            history.publisher("p").publish(an_alert(9))
            assert history.settle(PATIENCE)
            assert [stored.number for stored in history.recent()] == [4]

    def test_the_writer_prunes_by_itself_in_steps(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ironpost_daemon.history.PRUNED_AT_ONCE", 2)
        monkeypatch.setattr("ironpost_daemon.history_store.PRUNED_AT_ONCE", 2)
        monkeypatch.setattr(history_module, "IDLE", 0.01)
        clock = FakeClock()
        with a_history(path, clock=clock, retention=timedelta(days=1)) as history:
            for n in range(5):
                history.publisher("p").publish(an_alert(n))
            assert history.settle(PATIENCE)
            assert len(history.recent()) == 5
            clock.advance(2 * 86_400)
            until(lambda: history.recent() == [])

    def test_pruning_that_fails_is_said_and_tried_again(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("ironpost_daemon.history_store.BUSY_TIMEOUT", 0.01)
        monkeypatch.setattr(history_module, "IDLE", 0.01)
        clock = FakeClock()
        with a_history(path, clock=clock, retention=timedelta(days=1)) as history:
            history.publisher("p").publish(an_alert())
            assert history.settle(PATIENCE)
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            clock.advance(2 * 86_400)
            until(lambda: "old alerts can't be removed" in caplog.text)
            other.close()
            clock.advance(3_600)
            until(lambda: history.recent() == [])


class TestFailing:
    def test_a_full_disk_is_said_and_nothing_is_lost(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        clock = FakeClock()
        with a_history(path, clock=clock) as history:
            _limit_pages(history, 30)
            alerts = history.publisher("p")
            for n in range(400):
                assert alerts.publish(an_alert(n, message="x" * 1000))
            alerts.checkpoint("k", b"400")
            until(lambda: history.failures >= 3, lambda: clock.advance(5))
            status = history.health()
            assert (status.health, status.vital) == (State.UNHEALTHY, True)
            assert "full" in status.reason
            assert "free space" in status.reason
            stored = history.last_number()  # a first small batch may have fitted
            assert stored < 400
            assert alerts.last_checkpoint("k") == b"400"
            assert alerts.pending == 400 - stored
            assert caplog.text.count("free space") == 1, "said once, not with each attempt"
            _limit_pages(history, 1 << 30)
            until(lambda: alerts.settle(0.01), lambda: clock.advance(5))
            assert ids(history.read_after(0, 500)) == [f"alert-{n}" for n in range(400)]
            assert history.health().health is State.HEALTHY
            assert "can be written again" in caplog.text

    def test_a_locked_file_is_tried_again(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ironpost_daemon.history_store.BUSY_TIMEOUT", 0.01)
        with a_history(path) as history:
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            history.publisher("p").publish(an_alert())
            until(lambda: history.failures)
            assert "another program holds the file" in history.health().reason
            other.execute("ROLLBACK")
            other.close()
            assert history.settle(PATIENCE)
            assert history.health().health is State.HEALTHY

    def test_a_stop_that_can_not_store_says_what_is_lost(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with a_history(path) as history:
            _limit_pages(history, 8)
            for n in range(100):
                history.publisher("p").publish(an_alert(n, message="x" * 1000))
            until(lambda: history.failures)
            assert not history.stop(0.05)
            assert "100 alerts" in caplog.text

    def test_a_writer_that_hangs_is_left_behind(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with a_history(path) as history:
            with history._writing:
                history.publisher("p").publish(an_alert())
                assert not history.stop(0.01)
            assert "1 alerts and checkpoints" in caplog.text
            until(lambda: history.stop(0.01))

    def test_a_position_that_can_not_be_stored_does_not_block_for_ever(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(history_module, "POSITION_TIMEOUT", 0.01)
        with a_history(path) as history:
            with history._writing:
                history.save_position("s", 1, wait=True)
            assert "position of s can't be stored yet" in caplog.text

    def test_a_file_removed_under_the_daemon_is_seen(self, path: Path) -> None:
        with a_history(path) as history:
            assert history.health().health is State.HEALTHY
            path.unlink()
            assert "removed or replaced" in history.health().reason

    def test_damage_found_while_running_is_mended_by_a_restart(
        self, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with a_history(path) as history:
            store = history._store
            assert store is not None
            history._failed(_damage(path.parent))
            assert "restart the daemon" in history.health().reason
        assert path.with_name("history.sqlite.suspect").exists()
        with a_history(path):
            assert not path.with_name("history.sqlite.suspect").exists(), "it was checked whole and found good"


def _limit_pages(history: History, pages: int) -> None:
    with history._writing:
        assert history._store is not None
        history._store.connection.execute(f"PRAGMA max_page_count = {pages}")


def _damage(folder: Path) -> sqlite3.DatabaseError:
    broken = folder / "broken"
    broken.write_bytes(b"no database" * 100)
    connection = sqlite3.connect(broken)
    try:
        connection.execute("SELECT * FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        return error
    finally:
        connection.close()
    raise AssertionError("the file was readable")


def test_the_log_names_a_damaged_file_and_a_new_one_is_begun(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(b"garbage" * 1000)
    clock = FakeClock()
    with a_history(path, clock=clock) as history:
        assert history.last_number() == 0
        history.publisher("p").publish(an_alert())
        assert history.settle(PATIENCE)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    (aside,) = path.parent.glob("*.corrupt-*")
    assert aside.name == f"history.sqlite.corrupt-{START:%Y%m%dT%H%M%SZ}"
    assert aside.read_bytes() == b"garbage" * 1000
    assert str(aside) in caplog.text


def test_stopping_what_never_started(path: Path) -> None:
    history = History(path, clock=FakeClock(), log=LOG)
    history.open()
    history.publisher("p").publish(an_alert())
    assert not history.stop(0)
    history.save_position("s", 1, wait=True)
