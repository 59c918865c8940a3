from __future__ import annotations

import os
import threading
import types

import pytest

from ironpost_core.clock import SystemClock
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.chunks import MAX_LINE
from ironpost_logpipe.config import StdinSource
from ironpost_logpipe.stdin import StdinReader


def read(*writes: bytes) -> list[bytes]:
    reading, writing = os.pipe()
    buffer = Buffer(1_000_000, 1 << 30)
    stopping = threading.Event()
    reader = StdinReader(StdinSource(), buffer=buffer, clock=SystemClock(), stopping=stopping, descriptor=reading)
    thread = threading.Thread(target=reader.run)
    thread.start()
    for data in writes:
        os.write(writing, data)
    os.close(writing)
    thread.join(10)
    os.close(reading)
    assert not thread.is_alive()
    assert reader.status.entries[0]["state"] == "at its end"
    return [line for chunk in buffer.take(10**6, 0) for line in chunk.lines]


def test_lines_up_to_the_end_and_the_last_without_its_own() -> None:
    assert read(b"a\nb", b"c\n\n", b"d") == [b"a", b"bc", b"", b"d"]
    assert read() == []


def test_lines_that_are_too_long_are_cut() -> None:
    lines = read(b"a\n" + b"x" * 100_000, b"x" * 100_000, b"y\nb\n")
    assert [line[:1] for line in lines] == [b"a", b"x", b"b"]
    assert MAX_LINE <= len(lines[1]) <= MAX_LINE


def test_it_ends_when_told() -> None:
    reading, writing = os.pipe()
    stopping = threading.Event()
    reader = StdinReader(
        StdinSource(), buffer=Buffer(10, 1 << 20), clock=SystemClock(), stopping=stopping, descriptor=reading
    )
    thread = threading.Thread(target=reader.run)
    thread.start()
    stopping.set()
    thread.join(5)
    assert not thread.is_alive()
    os.close(reading)
    os.close(writing)


def test_one_that_was_closed_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironpost_logpipe.stdin.sys", types.SimpleNamespace(stdin=None, platform="linux"))
    buffer = Buffer(10, 1 << 20)
    reader = StdinReader(StdinSource(), buffer=buffer, clock=SystemClock(), stopping=threading.Event())
    reader.run()
    assert "standard input is closed" in reader.status.trouble
    assert buffer.tally().collected == 0
