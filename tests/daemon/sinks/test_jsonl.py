from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from history_tools import an_alert
from ironpost_core import Alert, Size
from ironpost_core.testing import FakeClock
from ironpost_daemon.sinks.jsonl import JsonlSink, JsonlWriter
from ironpost_daemon.subscription import RetryError


def writer(path: Path, **options: object) -> JsonlWriter:
    return JsonlWriter(JsonlSink(path=path, **options), "jsonl", FakeClock())  # type: ignore[arg-type]


def ids(path: Path) -> list[str]:
    return [Alert.from_json(line).id for line in path.read_text().splitlines()]


def test_a_line_for_each_alert_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "alerts.jsonl"
    sink = writer(path)
    alerts = [an_alert(n, message='"}\n{"injected": 1\u2028') for n in range(3)]
    for alert in alerts:
        sink.deliver(alert)
    sink.close()
    assert [Alert.from_json(line) for line in path.read_bytes().split(b"\n")[:-1]] == alerts
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_appends_after_a_restart_and_ends_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text('{"torn": ')
    for number in (1, 2):
        sink = writer(path)
        sink.deliver(an_alert(number))
        sink.close()
    assert path.read_text().splitlines()[0] == '{"torn": '
    assert [Alert.from_json(line).id for line in path.read_text().splitlines()[1:]] == ["alert-1", "alert-2"]


def test_rotation_keeps_so_many_files_and_no_file_grows_too_large(tmp_path: Path) -> None:
    path = tmp_path / "a"
    line = len(an_alert(10).to_json()) + 1
    sink = writer(path, max_size=Size(2 * line), keep=2)
    for number in range(10, 19):
        sink.deliver(an_alert(number))
    sink.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "a.1", "a.2"]
    assert ids(path) == ["alert-18"]
    assert ids(tmp_path / "a.1") == ["alert-16", "alert-17"]
    assert ids(tmp_path / "a.2") == ["alert-14", "alert-15"]


def test_without_keeping_the_full_file_is_deleted(tmp_path: Path) -> None:
    path = tmp_path / "a"
    sink = writer(path, max_size=Size(1), keep=0)
    for number in range(3):
        sink.deliver(an_alert(number))
    sink.close()
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    assert ids(path) == ["alert-2"]


def test_it_follows_its_name_when_somebody_else_rotates(tmp_path: Path) -> None:
    path, moved = tmp_path / "a", tmp_path / "moved"
    sink = writer(path)
    sink.deliver(an_alert(1))
    path.rename(moved)
    sink.deliver(an_alert(2))
    path.unlink()
    sink.deliver(an_alert(3))
    sink.close()
    assert ids(moved) == ["alert-1"]
    assert ids(path) == ["alert-3"]


def test_what_can_not_be_written_comes_again_and_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    sink = writer(path)
    sink.deliver(an_alert(1))
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:10]))
    with pytest.raises(RetryError, match="No space left"):
        sink.deliver(an_alert(2))
    monkeypatch.undo()
    assert sink.failures == 1
    sink.deliver(an_alert(2))
    sink.close()
    assert ids(path) == ["alert-1", "alert-2"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_full_device(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RetryError, match="can't be written"):
        writer(tmp_path / "file" / "a").deliver(an_alert())


def test_it_is_flushed_now_and_then_and_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    clock = FakeClock()
    sink = JsonlWriter(JsonlSink(path=tmp_path / "a"), "jsonl", clock)
    sink.deliver(an_alert(1))
    assert len(synced) == 0
    clock.advance(1)
    sink.deliver(an_alert(2))
    assert len(synced) == 1
    sink.close()
    assert len(synced) == 2
    sink.close()
    sink.flush()
    assert len(synced) == 2


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(ValueError, match="an absolute path"):
        JsonlSink(path=Path("alerts"))
