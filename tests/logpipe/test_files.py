from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from ironpost_core.alerts import Trust
from ironpost_core.testing import FakeClock
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.config import FileSource
from ironpost_logpipe.files import FileReader


def reader(clock: FakeClock, *paths: Path, **changes: Any) -> tuple[FileReader, Buffer]:
    buffer = Buffer(1000, 1 << 20)
    config = FileSource(**{"paths": paths, "start": "beginning"} | changes)
    return FileReader(config, buffer=buffer, clock=clock, stopping=threading.Event(), stored={}), buffer


def lines(buffer: Buffer) -> list[bytes]:
    return [line for chunk in buffer.take(1000, 0) for line in chunk.lines]


def test_several_files_and_patterns(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"a\n")
    (tmp_path / "b.log").write_bytes(b"b\n")
    clock = FakeClock()
    made, buffer = reader(clock, tmp_path / "*.log", tmp_path / "other")
    assert made.poll()
    assert lines(buffer) == [b"a", b"b"]
    (tmp_path / "c.log").write_bytes(b"c\n")
    (tmp_path / "other").write_bytes(b"d\n")
    made.poll()
    assert lines(buffer) == [b"d"]
    clock.advance(6)
    made.poll()
    assert lines(buffer) == [b"c"]
    assert [entry["state"] for entry in made.status.entries] == ["reading"] * 4
    assert made.status.trouble == ""


def test_files_that_a_pattern_finds_later_are_read_from_their_beginning(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"a\n")
    clock = FakeClock()
    made, buffer = reader(clock, tmp_path / "*.log", start="end")
    made.poll()
    (tmp_path / "b.log").write_bytes(b"b\n")
    clock.advance(6)
    made.poll()
    assert lines(buffer) == [b"b"]


def test_no_log_at_all_is_said(tmp_path: Path) -> None:
    made, _ = reader(FakeClock(), tmp_path / "a.log", tmp_path / "b.log")
    made.poll()
    assert made.status.trouble.startswith(f"no readable log among {tmp_path}/a.log, {tmp_path}/b.log")
    assert made.status.entries[0]["state"] == "not there yet"


def test_one_that_is_no_file_is_said_beside_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"a\n")
    (tmp_path / "b.log").mkdir()
    made, _ = reader(FakeClock(), tmp_path / "a.log", tmp_path / "b.log")
    made.poll()
    assert f"{tmp_path}/b.log can't be opened" in made.status.trouble


def test_a_file_that_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")  # root, as whom tests may run, may read everything

    monkeypatch.setattr(os, "open", refuse)
    made, _ = reader(FakeClock(), tmp_path / "a.log")
    made.poll()
    assert "group adm" in made.status.trouble


@pytest.mark.parametrize(
    ("mode", "configured", "trust"),
    [(0o640, None, Trust.LOCAL), (0o666, None, Trust.CLAIMED), (0o640, "claimed", Trust.CLAIMED)],
)
def test_what_lines_are_worth(tmp_path: Path, mode: int, configured: str | None, trust: Trust) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"a\n")
    log.chmod(mode)
    made, buffer = reader(FakeClock(), log, trust=configured)
    made.poll()
    (chunk,) = buffer.take(10, 0)
    assert chunk.source.trust is trust
