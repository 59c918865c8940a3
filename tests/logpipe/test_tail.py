from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from ironpost_logpipe import tail
from ironpost_logpipe.chunks import MAX_LINE, Position
from ironpost_logpipe.tail import FileTail, Start


class Reader:
    """A tail and what it gave."""

    def __init__(self, path: Path, start: Start = "beginning", stored: Position | None = None) -> None:
        self.tail = FileTail(path, start, stored)
        self.lines: list[bytes] = []
        self.after = stored
        self.now = 0.0

    def read(self) -> list[bytes]:
        """Everything that is there now."""
        new: list[bytes] = []
        for _ in range(50):
            self.now += 0.3
            found = self.tail.read(self.now)
            if found is not None:
                new += found.lines
                self.after = found.after
        self.lines += new
        return new


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "auth.log"


def test_lines_as_they_come_and_no_half_ones(log: Path) -> None:
    log.write_bytes(b"a\nb\nc")
    reader = Reader(log)
    assert reader.read() == [b"a", b"b"]
    append(log, b"c\n\n")
    assert reader.read() == [b"cc", b""]
    assert reader.after is not None
    assert reader.after.offset == log.stat().st_size
    assert reader.after.head == b"a\nb\ncc\n\n"


def test_the_end_is_behind_the_last_whole_line(log: Path) -> None:
    log.write_bytes(b"a\nb\nc")
    reader = Reader(log, "end")
    assert reader.read() == []
    assert reader.after is not None
    assert reader.after.offset == 4  # told at once, so that a crash before the next line does not lose it
    append(log, b"c\n")
    assert reader.read() == [b"cc"]


def test_a_file_that_appears_later_is_read_from_its_beginning(log: Path) -> None:
    reader = Reader(log, "end")
    assert reader.read() == []
    assert not reader.tail.is_open
    assert reader.tail.trouble == ""
    log.write_bytes(b"a\n")
    assert reader.read() == [b"a"]


def test_it_goes_on_where_it_was(log: Path) -> None:
    log.write_bytes(b"a\nb\n")
    first = Reader(log)
    first.read()
    append(log, b"c\n")
    assert Reader(log, stored=first.after).read() == [b"c"]


def test_another_file_of_the_same_name_is_read_from_its_beginning(log: Path, tmp_path: Path) -> None:
    log.write_bytes(b"old 1\nold 2\n")
    first = Reader(log)
    first.read()
    log.write_bytes(b"new 1\nnew 2 which is longer\n")  # the same inode, other content
    assert Reader(log, stored=first.after).read() == [b"new 1", b"new 2 which is longer"]
    assert first.read() == [b"new 1", b"new 2 which is longer"]


def test_truncation_starts_again(log: Path) -> None:
    log.write_bytes(b"a\nb\n")
    reader = Reader(log)
    reader.read()
    os.truncate(log, 0)
    reader.read()
    append(log, b"c\n")
    assert reader.read() == [b"c"]


def test_rotation_by_rename_loses_nothing(log: Path, tmp_path: Path) -> None:
    log.write_bytes(b"a\n")
    reader = Reader(log)
    reader.read()
    append(log, b"b\n")
    log.rename(tmp_path / "auth.log.1")
    append(tmp_path / "auth.log.1", b"c\n")
    assert reader.read() == [b"b", b"c"]
    log.write_bytes(b"d\n")
    append(tmp_path / "auth.log.1", b"late")
    assert reader.read() == [b"late", b"d"]


def test_rotation_while_nobody_looked(log: Path, tmp_path: Path) -> None:
    log.write_bytes(b"a\n")
    first = Reader(log)
    first.read()
    append(log, b"b\n")
    (tmp_path / "auth.log.other").write_bytes(b"x\n")
    log.rename(tmp_path / "auth.log.1")
    log.write_bytes(b"c\n")
    assert Reader(log, stored=first.after).read() == [b"b", b"c"]


def test_deletion_and_a_new_file(log: Path) -> None:
    log.write_bytes(b"a\n")
    reader = Reader(log)
    reader.read()
    log.unlink()
    assert reader.read() == []
    log.write_bytes(b"b\n")
    assert reader.read() == [b"b"]


def test_a_line_that_is_too_long_is_cut_and_counted_once(log: Path) -> None:
    log.write_bytes(b"a\n" + b"x" * (5 * MAX_LINE))
    reader = Reader(log)
    assert reader.read() == [b"a"]
    append(log, b"y" * (20 * MAX_LINE) + b"\nb\n")
    assert reader.read() == [b"x" * MAX_LINE, b"b"]


def test_what_is_no_file_is_named(log: Path) -> None:
    log.mkdir()
    reader = Reader(log)
    assert reader.read() == []
    assert "not a regular file" in reader.tail.trouble
    log.rmdir()
    os.mkfifo(log)
    assert reader.read() == []
    assert "not a regular file" in reader.tail.trouble


def test_a_world_writable_file_is_known_as_such(log: Path) -> None:
    log.write_bytes(b"a\n")
    log.chmod(0o666)
    reader = Reader(log)
    reader.read()
    assert reader.tail.world_writable


def test_random_writes_and_rotations_lose_and_double_nothing(log: Path, tmp_path: Path) -> None:
    dice = random.Random(7)
    log.touch()
    reader = Reader(log)
    written: list[bytes] = []
    rotated = 0
    for step in range(300):
        lines = [b"%d-%d %s" % (step, number, b"x" * dice.randrange(200)) for number in range(dice.randrange(5))]
        data = b"".join(line + b"\n" for line in lines)
        cut = dice.randrange(len(data) + 1)
        append(log, data[:cut])
        if dice.random() < 0.5:
            reader.read()
        append(log, data[cut:])
        written += lines
        if dice.random() < 0.05:
            reader.read()
            rotated += 1
            log.rename(tmp_path / f"auth.log.{rotated}")
            log.touch()
        if dice.random() < 0.1:
            reader.tail.close()
            fresh = Reader(log, stored=reader.after)
            fresh.lines, fresh.now = reader.lines, reader.now
            reader = fresh
    reader.read()
    assert reader.lines == written
    assert rotated > 5


def test_a_line_without_an_end_is_searched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"x" * (5 * MAX_LINE))
    reader = Reader(log)
    assert reader.read() == []
    looked: list[int] = []
    pread = tail._pread

    def counting(descriptor: int, length: int, offset: int) -> bytes:
        found = pread(descriptor, length, offset)
        looked.append(len(found) if offset >= MAX_LINE else 0)
        return found

    monkeypatch.setattr(tail, "_pread", counting)
    assert reader.read() == []
    assert sum(looked) == 0
    log.write_bytes(b"short\n")  # emptied and written anew
    assert reader.read() == [b"short"]
    append(log, b"y" * (2 * MAX_LINE))
    assert reader.read() == []
    append(log, b"y\nend\n")
    assert reader.read() == [b"y" * MAX_LINE, b"end"]


def test_a_file_that_can_no_longer_be_read_is_named_and_opened_again(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write_bytes(b"a\n")
    reader = Reader(log)
    reader.read()

    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("ironpost_logpipe.tail._pread", broken)
        assert reader.tail.read(100.0) is None
        assert "Input/output error" in reader.tail.trouble
        assert not reader.tail.is_open
    append(log, b"b\n")
    assert reader.read() == [b"b"]
    assert reader.tail.trouble == ""


def test_reading_works_without_pread(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pread")
    log.write_bytes(b"a\nb\n")
    assert Reader(log).read() == [b"a", b"b"]


def test_what_everybody_could_write_stays_known_as_such(log: Path, tmp_path: Path) -> None:
    log.write_bytes(b"a\n")
    log.chmod(0o644)
    reader = Reader(log)
    reader.read()
    assert not reader.tail.world_writable
    log.chmod(0o666)
    append(log, b"b\n")
    assert reader.read() == [b"b"]
    assert reader.tail.world_writable
    log.chmod(0o644)
    append(log, b"unended")
    log.rename(tmp_path / "auth.log.1")
    log.touch(0o644)
    found: list[tuple[bytes, bool]] = []
    for now in range(100, 106):
        read = reader.tail.read(float(now))
        found += [(line, reader.tail.world_writable) for line in read.lines] if read else []
    assert found == [(b"unended", True)]
    append(log, b"c\n")
    assert reader.read() == [b"c"]
    assert not reader.tail.world_writable
