from __future__ import annotations

import errno
import os
import random
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ironpost_core.alerts import Trust
from ironpost_core.testing import FakeClock
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.chunks import Position
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
    assert f"{tmp_path}/b.log can't be read" in made.status.trouble
    alone, _ = reader(FakeClock(), tmp_path / "b.log")
    alone.poll()
    assert "is not a regular file" in alone.status.trouble


def test_a_file_that_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")  # root, as whom tests may run, may read everything

    (tmp_path / "a.log").touch()
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


class Rotated:
    """A log that is written and rotated, followed by a pattern that finds the rotated files, too."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "a.log"
        self.clock = FakeClock()
        self.stored: dict[str, Position] = {}
        self.written: list[bytes] = []
        self.got: list[bytes] = []
        self.start()

    def start(self) -> None:
        self.buffer = Buffer(100_000, 1 << 20)
        config = FileSource(paths=(self.folder / "a.log*", self.log), start="beginning")
        stopping = threading.Event()
        self.reader = FileReader(config, buffer=self.buffer, clock=self.clock, stopping=stopping, stored=self.stored)

    def write(self, count: int) -> None:
        with self.log.open("ab") as opened:
            for _ in range(count):
                self.written.append(b"line %d" % len(self.written))
                opened.write(self.written[-1] + b"\n")

    def rotate(self) -> None:
        for number in range(9, 0, -1):
            if (old := self.folder / f"a.log.{number}").exists():
                old.rename(self.folder / f"a.log.{number + 1}")
        self.log.rename(self.folder / "a.log.1")

    def read(self, times: int) -> None:
        for _ in range(times):
            self.reader.poll()
            self.clock.advance(0.5)
            for chunk in self.buffer.take(100_000, 0):
                self.got.extend(chunk.lines)
                assert chunk.after is not None
                self.stored[chunk.after.path] = chunk.after

    def stop(self) -> None:
        self.reader._stopping.set()
        self.reader.run()


@pytest.mark.parametrize("seed", range(20))
def test_a_pattern_that_finds_rotated_files_reads_each_line_once(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    rotated = Rotated(tmp_path)
    for turn in range(12):
        rotated.write(dice.randrange(1, 4))
        if dice.random() < 0.3:
            rotated.read(40)
            rotated.stop()
            rotated.start()
        else:
            rotated.read(dice.randrange(30))
        if turn % 2:
            rotated.rotate()
    rotated.read(60)
    rotated.stop()
    assert sorted(rotated.got) == sorted(rotated.written)


def test_deleted_files_that_a_pattern_found_are_let_go(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.log").write_bytes(b"x\n")
    clock = FakeClock()
    made, buffer = reader(clock, tmp_path / "*.log")
    made.poll()
    for file in tmp_path.iterdir():
        file.unlink()
    for _ in range(20):
        made.poll()
        clock.advance(6)
    assert made.status.entries == []
    (tmp_path / "1.log").write_bytes(b"y\n")
    made.poll()
    assert lines(buffer) == [b"x"] * 5 + [b"y"]


@pytest.mark.parametrize("path", ["/var/log/**.log", "/var/log/a\0b"])
def test_paths_that_can_not_be_followed_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        FileSource(paths=(Path(path),))


def test_compressed_and_own_files_are_left_out_and_said(tmp_path: Path) -> None:
    for name in ("a.log", "a.log.1", "a.log.2.gz", "own.log"):
        (tmp_path / name).write_bytes(name.encode() + b"\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "b.log").write_bytes(b"b\n")
    clock = FakeClock()
    config = FileSource(paths=(tmp_path / "*.log*", tmp_path / "data" / "b.log"), start="beginning")
    buffer = Buffer(1000, 1 << 20)
    with (tmp_path / "own.log").open("ab", buffering=0) as own:
        made = FileReader(
            config, buffer=buffer, clock=clock, stopping=threading.Event(), stored={}, data_dir=tmp_path / "data"
        )
        made.poll()
        assert lines(buffer) == [b"a.log", b"a.log.1"]
        assert {Path(each["source"]).name: each["state"] for each in made.status.entries} == {
            "a.log": "reading",
            "a.log.1": "reading",
            "a.log.2.gz": "not read: it is compressed",
            "own.log": "not read: this daemon writes it",
            "b.log": "not read: it is below general.data_dir",
        }
        assert made.status.trouble == ""
        with (tmp_path / "a.log.1").open("ab", buffering=0) as later:  # now it is written by this daemon
            clock.advance(6)
            made.poll()
            later.write(b"fed on itself\n")
            own.write(b"fed on itself\n")
            made.poll()
    assert lines(buffer) == []


def test_a_copy_that_a_pattern_finds_doubles_nothing(tmp_path: Path) -> None:
    log, copy = tmp_path / "a.log", tmp_path / "a.log.1"
    clock = FakeClock()
    made, buffer = reader(clock, tmp_path / "a.log*")
    for turn in range(5):
        text = [b"%d: line %d, which is long enough to be told from others" % (turn, number) for number in range(9)]
        with log.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in text[:6]))
        clock.advance(6)
        made.poll()
        with log.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in text[6:]))
        if copy.exists():
            copy.rename(tmp_path / f"a.log.{turn + 1}")
        copy.write_bytes(log.read_bytes())
        clock.advance(6)
        made.poll()  # the copy is found before the truncation is seen
        os.truncate(log, 0)
        for _ in range(30):
            clock.advance(6)
            made.poll()
        assert lines(buffer) == text
    assert made.gaps == 5


def test_a_file_met_for_the_first_time_begins_with_the_window(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    clock = FakeClock()
    now = clock.now()
    log.write_bytes(
        b"".join(
            b"%s web1 app[1]: %d\n" % ((now - timedelta(seconds=ago)).isoformat().encode(), ago)
            for ago in (90, 61, 59, 1)
        )
    )
    config = FileSource(paths=(log,))
    buffer = Buffer(1000, 1 << 20)
    made = FileReader(config, buffer=buffer, clock=clock, stopping=threading.Event(), stored={}, window=lambda: 60.0)
    os.utime(log, (now.timestamp(), now.timestamp()))
    made.poll()
    assert [line.rpartition(b" ")[2] for line in lines(buffer)] == [b"59", b"1"]
