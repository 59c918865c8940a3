from __future__ import annotations

import gzip
import os
import random
import shutil
from pathlib import Path

import pytest

from ironpost_logpipe import opened, tail
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
    assert reader.read() == [b"d", b"late"]  # an unended line waits for its end, the new file doesn't
    append(tmp_path / "auth.log.1", b" again\n")  # its writer has not let go of it yet
    append(log, b"e\n")
    assert reader.read() == [b" again", b"e"]


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
    pread = opened.pread

    def counting(descriptor: int, length: int, offset: int) -> bytes:
        found = pread(descriptor, length, offset)
        looked.append(len(found) if offset >= MAX_LINE else 0)
        return found

    monkeypatch.setattr(opened, "pread", counting)
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
    append(log, b"b\n")

    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("ironpost_logpipe.opened.pread", broken)
        assert reader.tail.read(100.0) is None
        assert "Input/output error" in reader.tail.trouble
        assert not reader.tail.is_open
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
    for now in range(100, 112):
        read = reader.tail.read(float(now))
        found += [(line, reader.tail.world_writable) for line in read.lines] if read else []
    assert found == [(b"unended", True)]
    append(log, b"c\n")
    assert reader.read() == [b"c"]
    assert not reader.tail.world_writable


def rotate(log: Path, copy: bool = False) -> None:
    """As logrotate does it."""
    for number in range(9, 0, -1):
        if (old := log.with_name(f"{log.name}.{number}")).exists():
            old.rename(log.with_name(f"{log.name}.{number + 1}"))
    if copy:
        shutil.copy(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)
    else:
        log.rename(log.with_name(f"{log.name}.1"))


def lines(first: int, count: int) -> list[bytes]:
    return [b"Nov  3 10:00:00 web1 app[1]: line %d" % number for number in range(first, first + count)]


def text(first: int, count: int) -> bytes:
    return b"".join(line + b"\n" for line in lines(first, count))


def made_at(path: Path, second: int) -> None:
    """Files that were written by a machine are never made in the same moment, as those of a test are."""
    os.utime(path, (1_000_000 + second, 1_000_000 + second))


@pytest.mark.parametrize("down", [True, False], ids=["stopped", "not looking"])
def test_several_rotations_at_once_lose_nothing(log: Path, down: bool) -> None:
    log.write_bytes(text(0, 2))
    made_at(log, 0)
    reader = Reader(log)
    reader.read()
    if down:
        reader.tail.close()
    append(log, text(2, 2))
    for turn in range(1, 4):
        made_at(log, turn)
        rotate(log)
        append(log, text(2 + 2 * turn, 2))
    after = reader if not down else Reader(log, stored=reader.after)
    assert after.read() == lines(2, 8)
    assert after.tail._others.gaps == 0
    assert after.after is not None
    assert [each.offset for each in after.after.before] == [len(text(0, 4)), *[len(text(4, 2))] * 2]


@pytest.mark.parametrize("name", ["auth-20260103.log", "old/auth.log.1", "something else"])
def test_a_renamed_file_is_found_whatever_it_is_called(log: Path, name: str) -> None:
    log.write_bytes(text(0, 2))
    first = Reader(log)
    first.read()
    append(log, text(2, 2))
    (log.parent / "old").mkdir()
    log.rename(log.parent / name)
    append(log, text(4, 2))
    assert Reader(log, stored=first.after).read() == lines(2, 4)


def test_dated_names_tell_those_between_as_well(log: Path) -> None:
    log.write_bytes(text(0, 2))
    made_at(log, 0)
    first = Reader(log)
    first.read()
    log.rename(log.with_name("auth-20260103.log"))
    append(log.with_name("auth-20260104.log"), text(2, 2))
    append(log.with_name("auth-special.log"), b"another log\n")
    append(log, text(4, 2))
    assert Reader(log, stored=first.after).read() == lines(2, 4)


def test_what_was_rotated_before_is_not_read(log: Path) -> None:
    append(log.with_name("auth.log.2"), text(90, 2))
    append(log.with_name("auth.log.1"), text(92, 2))
    for path in log.parent.iterdir():
        made_at(path, 0)
    log.write_bytes(text(0, 2))
    reader = Reader(log)
    assert reader.read() == lines(0, 2)
    rotate(log)
    append(log, text(2, 1))
    assert reader.read() == lines(2, 1)
    assert Reader(log, stored=reader.after).read() == []


def test_a_writer_that_holds_the_renamed_file_is_heard_across_a_restart(log: Path) -> None:
    log.write_bytes(text(0, 2))
    reader = Reader(log)
    reader.read()
    rotate(log)
    append(log, text(2, 2))
    assert reader.read() == lines(2, 2)
    append(log.with_name("auth.log.1"), text(4, 1))
    assert reader.read() == lines(4, 1)
    reader.tail.close()
    append(log.with_name("auth.log.1"), text(5, 1))
    append(log, text(6, 1))
    again = Reader(log, stored=reader.after)
    assert again.read() == lines(5, 2)
    assert again.tail._others.gaps == 0


@pytest.mark.parametrize("down", [True, False], ids=["stopped", "not looking"])
def test_what_was_copied_and_truncated_is_read_in_the_copy_and_counted(log: Path, down: bool) -> None:
    log.write_bytes(text(0, 2))
    reader = Reader(log)
    reader.read()
    if down:
        reader.tail.close()
    append(log, text(2, 2))
    rotate(log, copy=True)
    append(log, text(4, 2))
    rotate(log, copy=True)
    append(log, text(6, 1))
    after = reader if not down else Reader(log, stored=reader.after)
    assert after.read() == lines(2, 5)
    assert after.tail._others.gaps == 1
    assert Reader(log, stored=after.after).read() == []


def test_a_copy_beside_is_not_taken_for_a_rotated_file(log: Path) -> None:
    log.write_bytes(text(0, 20))
    reader = Reader(log)
    reader.read()
    shutil.copy(log, log.with_name("auth.log.old"))
    append(log, text(20, 2))
    shutil.copy(log, log.with_name("auth.log.2026"))
    rotate(log)
    append(log, text(22, 2))
    assert reader.read() == lines(20, 4)


def test_one_that_is_gone_at_the_start_is_counted(log: Path) -> None:
    log.write_bytes(text(0, 2))
    first = Reader(log)
    first.read()
    first.tail.close()
    log.unlink()
    second = Reader(log, stored=first.after)
    assert second.read() == []
    log.write_bytes(text(2, 2))  # often with the same inode
    assert second.read() == lines(2, 2)
    assert second.tail._others.gaps == 1


def test_a_folder_that_comes_later_has_the_file_read_on(log: Path, tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    mount.mkdir()
    log = mount / "auth.log"
    log.write_bytes(text(0, 2))
    first = Reader(log)
    first.read()
    mount.rename(tmp_path / "away")
    second = Reader(log, stored=first.after)
    assert second.read() == []
    (tmp_path / "away").rename(mount)
    append(log, text(2, 1))
    assert second.read() == lines(2, 1)


def test_compressed_files_are_no_text(log: Path) -> None:
    log.write_bytes(text(0, 2))
    first = Reader(log)
    first.read()
    log.with_name("auth.log.2.gz").write_bytes(gzip.compress(text(2, 2)))
    log.with_name("auth.log.1").write_bytes(gzip.compress(text(2, 2)))
    log.unlink()
    log.write_bytes(text(4, 1))
    assert Reader(log, stored=first.after).read() == lines(4, 1)
    named = Reader(log.with_name("auth.log.1"))
    assert named.read() == []
    assert named.tail.trouble == "can't be read: is compressed"


def test_a_hole_is_no_text(log: Path) -> None:
    """A writer that does not append goes on at its own place after a truncation."""
    with log.open("wb", buffering=0) as writer:
        writer.write(text(0, 10_000))
        reader = Reader(log)
        assert reader.read() == lines(0, 10_000)
        os.truncate(log, 0)
        writer.write(text(10_000, 2))
        assert reader.read() == lines(10_000, 2)
        writer.write(text(10_002, 2))
        assert reader.read() == lines(10_002, 2)


def test_a_large_file_that_appears_later_begins_where_one_that_was_there_would(log: Path) -> None:
    asked: list[int] = []
    tail = FileTail(log, "window", contact=lambda descriptor: asked.append(descriptor) or 100)
    assert tail.read(0.0) is None
    with log.open("wb") as file:
        file.truncate(9 << 20)
        file.seek(99)
        file.write(b"\nend\n")
    read = tail.read(1.0)
    assert read is not None
    assert read.start == 100
    assert len(asked) == 1


def test_many_files_in_a_chain_are_not_all_held(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "_MOST", 5)
    append(log, text(0, 1))
    reader = Reader(log)
    for turn in range(1, 20):
        reader.read()
        rotate(log)
        append(log, text(turn, 1))
        assert len(reader.tail._chain) <= 6
    reader.read()
    assert reader.lines == lines(0, 20)


def test_nothing_is_opened_or_read_while_nothing_changes(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write_bytes(text(0, 2))
    reader = Reader(log)
    reader.read()
    for name in ("open", "pread", "fstat", "read", "scandir"):
        monkeypatch.delattr(os, name)
    assert reader.read() == []
    monkeypatch.undo()
    append(log, text(2, 1))
    assert reader.read() == lines(2, 1)


def test_an_inode_that_is_used_again_is_another_file(log: Path) -> None:
    """As ext4 does with the next file after a deletion; here by writing one anew under its name."""
    log.write_bytes(text(0, 2))
    made_at(log, 0)
    reader = Reader(log)
    reader.read()
    rotate(log)
    log.write_bytes(text(2, 2))
    made_at(log, 1)
    assert reader.read() == lines(2, 2)
    assert reader.after is not None
    assert reader.after.before
    reader.tail.close()
    rotate(log)
    log.with_name("auth.log.2").write_bytes(text(4, 2))  # is among those read before, by its inode
    made_at(log.with_name("auth.log.2"), 2)
    log.write_bytes(text(6, 1))
    assert Reader(log, stored=reader.after).read() == lines(4, 3)


@pytest.mark.parametrize("down", [True, False], ids=["stopped", "not looking"])
def test_a_file_that_was_empty_when_it_was_seen_last_is_read_in_its_copy(log: Path, down: bool) -> None:
    log.touch()
    made_at(log, 0)
    reader = Reader(log)
    reader.read()
    if down:
        reader.tail.close()
    append(log, text(0, 2))
    rotate(log, copy=True)
    append(log, text(2, 2))
    after = reader if not down else Reader(log, stored=reader.after)
    assert after.read() == lines(0, 4)
    assert after.tail._others.gaps == 1
    rotate(log, copy=True)
    assert after.read() == []
    append(log, text(4, 2))
    rotate(log, copy=True)  # it is empty again, as it was
    assert after.read() == lines(4, 2)
    assert after.tail._others.gaps == 3


def test_a_file_that_is_filled_copied_and_truncated_within_one_look_is_read_in_its_copy(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write_bytes(text(0, 2))
    reader = Reader(log)
    reader.read()
    rotate(log, copy=True)
    made_at(log, 0)
    reader.read()
    stat = os.stat

    def meanwhile(path: str) -> os.stat_result:
        found = stat(path)
        monkeypatch.undo()
        append(log, text(2, 2))
        rotate(log, copy=True)
        return found

    monkeypatch.setattr(os, "stat", meanwhile)
    assert reader.read() == lines(2, 2)
    append(log, text(4, 1))
    assert reader.read() == lines(4, 1)
    assert reader.tail._others.gaps == 2
