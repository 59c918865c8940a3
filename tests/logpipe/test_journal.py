from __future__ import annotations

import contextlib
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon_process import eventually
from ironpost_core.clock import SystemClock
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.chunks import Cursor
from ironpost_logpipe.config import JournalSource
from ironpost_logpipe.journal import JournalReader
from ironpost_logpipe.journal_entry import parse_journal
from journald import journald, journald_folder
from logpipe.test_journal_export import entry

OTHER_BOOT = "11111111-2222-3333-4444-555555555555"


class Reading:
    """A reader on its thread, and what came of it."""

    def __init__(self, config: JournalSource, *, stored: Cursor | None = None, **options: Any) -> None:
        self.buffer = options.pop("buffer", None) or Buffer(1_000_000, 1 << 30)
        self.stopping = threading.Event()
        self.reader = JournalReader(
            config,
            buffer=self.buffer,
            clock=SystemClock(),
            stopping=self.stopping,
            stored={} if stored is None else {stored.path: stored},
            log=logging.getLogger("test"),
            **options,
        )
        self._thread = threading.Thread(target=self.reader.run)
        self._thread.start()
        self.messages: list[str] = []
        self.after: Cursor | None = None

    def take(self) -> list[str]:
        for chunk in self.buffer.take(10**6, 0):
            self.messages += [parse_journal(line).message.decode("utf-8", "replace") for line in chunk.lines]
            assert isinstance(chunk.after, Cursor)
            self.after = chunk.after
        return self.messages

    def until(self, check: Callable[[], object]) -> None:
        def look() -> object:
            self.take()
            return check()

        eventually(look, f"status {self.reader.status}", 20)

    def stop(self) -> None:
        self.stopping.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def entry(self) -> dict[str, Any]:
        return self.reader.status.entries[0]


@contextlib.contextmanager
def reading(config: JournalSource, **options: Any) -> Iterator[Reading]:
    started = Reading(config, **options)
    try:
        yield started
    finally:
        started.stop()


def fake(folder: Path, script: str) -> str:
    """A journalctl that does what the test is about; `$*` are its arguments."""
    path = folder / "journalctl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def two_entries(folder: Path) -> Path:
    path = folder / "entries"
    path.write_bytes(entry((b"MESSAGE", b"one"), cursor=b"c1") + entry((b"MESSAGE", b"two"), cursor=b"c2"))
    return path


def test_a_program_that_is_not_there_is_trouble_with_a_cure() -> None:
    with reading(JournalSource(), program="/nonexistent/journalctl") as run:
        run.until(lambda: "journalctl is not installed: install it" in run.reader.status.trouble)


def test_one_that_may_not_read_is_trouble_with_a_cure(tmp_path: Path) -> None:
    said = "No journal files were opened due to insufficient permissions."
    with reading(JournalSource(), program=fake(tmp_path, f"echo '{said}' >&2; exit 1")) as run:
        run.until(lambda: "run as root or in the group systemd-journal" in run.reader.status.trouble)


def test_no_journal_at_all_is_trouble_with_a_cure(tmp_path: Path) -> None:
    with reading(JournalSource(directory=tmp_path), program=fake(tmp_path, "exit 0")) as run:
        run.until(lambda: f"no entry in {tmp_path}; is systemd-journald running?" in run.reader.status.trouble)
        assert run.after == Cursor(f"journal {tmp_path}", b"")  # whatever comes is new


def test_a_child_that_ends_is_started_again_from_the_last_cursor_and_counted(tmp_path: Path) -> None:
    script = f"""
echo "$*" >> {tmp_path}/calls
case "$*" in
*--follow*) exit 3;;
*--lines=1*) head -n 3 {two_entries(tmp_path)};;
*--cursor=c2*) tail -n 3 {tmp_path}/entries;;
*) cat {tmp_path}/entries;;
esac"""
    with reading(JournalSource(start="beginning"), program=fake(tmp_path, script)) as run:
        run.until(lambda: run.entry["restarts"] >= 2)
        assert run.messages == ["one", "two"]
        assert "journalctl ended with status 3; it is started again" in run.reader.status.trouble
        assert "gaps" in run.entry
    assert "--follow --no-tail --cursor=c2" in (tmp_path / "calls").read_text()


def test_what_it_says_last_is_reported_in_a_bounded_length(tmp_path: Path) -> None:
    script = "yes 'a very long complaint' | head -n 50000 >&2; echo 'the last word' >&2; exit 7"
    with reading(JournalSource(), program=fake(tmp_path, script)) as run:
        run.until(lambda: "journalctl ended with status 7 (the last word)" in run.reader.status.trouble)


def test_an_entry_that_breaks_the_stream_is_passed_over_and_counted(tmp_path: Path) -> None:
    broken = b"__CURSOR=c3\n" + b"N" * 70 + b"\n"
    last = entry((b"MESSAGE", b"four"), cursor=b"c4")
    (tmp_path / "broken").write_bytes(two_entries(tmp_path).read_bytes() + broken + last)
    (tmp_path / "last").write_bytes(last)
    script = f"""
case "$*" in
*--follow*) exec sleep 60;;
*--lines=1*) printf '__CURSOR=c3\\n\\n';;
*--after-cursor=c3*) cat {tmp_path}/last;;
*) cat {tmp_path}/broken;;
esac"""
    with reading(JournalSource(start="beginning"), program=fake(tmp_path, script)) as run:
        run.until(lambda: run.entry["state"] == "reading")
        assert run.take() == ["one", "two", "four"]
        assert run.entry["broken"] == 1
        assert run.reader.status.trouble == ""


def test_a_full_buffer_makes_the_journal_wait_and_nothing_is_lost(tmp_path: Path) -> None:
    data = b"".join(entry((b"MESSAGE", b"%d" % number), cursor=b"c%d" % number) for number in range(20_000))
    (tmp_path / "many").write_bytes(data)
    script = f'case "$*" in *--follow*) exec sleep 60;; *) cat {tmp_path}/many; echo done > {tmp_path}/done;; esac'
    buffer = Buffer(10, 1 << 20)
    with reading(JournalSource(start="beginning"), program=fake(tmp_path, script), buffer=buffer) as run:
        eventually(lambda: buffer.tally().buffered, "something waits")
        collected = buffer.tally().collected
        assert collected < 10_000
        run.until(lambda: len(run.messages) == 20_000)
        assert run.messages == [str(number) for number in range(20_000)]
        assert buffer.tally().dropped == 0


def test_the_child_is_ended_even_when_it_does_not_want_to(tmp_path: Path) -> None:
    script = f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.1; done"
    with reading(JournalSource(start="beginning"), program=fake(tmp_path, script)):
        eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "it runs")
        pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_filters_become_fields() -> None:
    config = JournalSource(units=("ssh", "a.socket", "b@1.2"), identifiers=("sshd",), matches=("_UID=0",), name="mine")
    assert config.filters == (
        *("_SYSTEMD_UNIT=ssh.service", "_SYSTEMD_UNIT=a.socket", "_SYSTEMD_UNIT=b@1.2.service"),
        *("SYSLOG_IDENTIFIER=sshd", "_UID=0"),
    )
    assert config.key == "journal mine"


@pytest.mark.real
def test_a_real_journal_is_read_once_over_restarts_boots_and_filters() -> None:
    with journald_folder() as folder:
        with journald(folder) as journal:
            config = JournalSource(directory=journal.directory, identifiers=("mine",))

            def log(text: str, identifier: bytes = b"mine") -> None:
                journal.send(MESSAGE=text.encode(), SYSLOG_IDENTIFIER=identifier)
                eventually(lambda: text in journal.entries(), "it is stored")

            log("before")
            with reading(config) as run:
                run.until(lambda: run.entry["state"] == "reading")
                assert run.after is not None
                anchor = run.after  # where it begins is known before anything came
                log("of somebody else", b"other")
                log("first")
                run.until(lambda: run.messages)
            log("while away")
            with reading(config, stored=run.after) as again:
                again.until(lambda: again.messages == ["while away"])
            log("last of this boot")
        with journald(folder, boot=OTHER_BOOT) as journal:
            log("first of the next boot")
            with reading(config, stored=again.after) as later:
                later.until(lambda: later.messages == ["last of this boot", "first of the next boot"])
                log("now")
                later.until(lambda: later.messages[2:] == ["now"])
                assert later.entry == {"source": config.key, "state": "reading"} | dict.fromkeys(
                    ("restarts", "gaps", "broken", "cut_fields"), 0
                )
            with reading(config, stored=anchor) as all_:
                all_.until(lambda: len(all_.messages) == 5)
                assert all_.messages[0] == "first"
            with reading(config, lookback=3600.0) as looking_back:
                looking_back.until(lambda: len(looking_back.messages) == 6)


@pytest.mark.real
def test_a_cursor_that_is_gone_leads_to_the_oldest_entry_that_is_left() -> None:
    with journald_folder() as folder, journald(folder) as journal:
        journal.send(MESSAGE=b"left", SYSLOG_IDENTIFIER=b"mine")
        eventually(lambda: "left" in journal.entries(), "it is stored")
        config = JournalSource(directory=journal.directory, identifiers=("mine",))
        place = "s={0};i=1;b={0};m=1;t={1};x=1"
        past, future = place.format("0" * 31 + "1", "5fffffffffff"), place.format("0" * 31 + "2", "7fffffffffffff")
        for cursor in (past, future, "no cursor at all"):
            with reading(config, stored=Cursor(config.key, cursor.encode())) as run:
                run.until(lambda run=run: run.messages == ["left"])
                assert run.entry["gaps"] == 1


@pytest.mark.real
def test_what_journald_stores_comes_as_it_was_sent() -> None:
    with journald_folder() as folder, journald(folder) as journal:
        config = JournalSource(directory=journal.directory, matches=("SYSLOG_IDENTIFIER=mine",))
        hostile = b"a\n\n__CURSOR=x\n_UID=0\n\n\xff\0b\r\n"
        with reading(config) as run:
            run.until(lambda: run.entry["state"] == "reading")
            journal.send(MESSAGE=hostile, SYSLOG_IDENTIFIER=b"mine", LONG=b"x" * 100_000, OTHER=b"\n\n")
            run.until(lambda: run.messages)
            assert run.messages == [hostile.decode("utf-8", "replace")]
            run.until(lambda: run.entry["cut_fields"] == 1)
