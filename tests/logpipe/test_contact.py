from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ironpost_logpipe import contact, opened
from ironpost_logpipe.contact import UNTIMED, FirstContact
from logpipe.helpers import NOW


def dated(time: float, text: str = "x") -> bytes:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%S.%f}Z web1 app[1]: {text}\n".encode()


def begin(path: Path, window: float, mtime: float = NOW) -> int:
    os.utime(path, (mtime, mtime))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return FirstContact(lambda: NOW, lambda: window, "auto")(descriptor)
    finally:
        os.close(descriptor)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many bytes were read so far."""
    sizes: list[int] = []

    def counting(descriptor: int, length: int, offset: int) -> bytes:
        data = os.pread(descriptor, length, offset)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(contact, "pread", counting)
    monkeypatch.setattr(opened, "pread", counting)
    return lambda: sum(sizes)


def test_it_begins_with_the_first_line_of_the_window(tmp_path: Path, read: Callable[[], int]) -> None:
    log = tmp_path / "a.log"
    lines = [dated(NOW - seconds, "x" * 500) for seconds in range(40_000, 0, -1)]
    log.write_bytes(b"".join(lines))
    for window in (0.5, 1, 60, 3600, 39_999, 40_000, 90_000):
        offset = begin(log, window)
        assert offset == sum(map(len, lines[: max(0, 40_000 - int(window))])), window
    assert read() < 7 << 20  # of seven times 22 MB


def test_lines_without_times_between_them_and_a_cut_last_one_do_no_harm(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    dice = random.Random(4)
    parts = []
    for seconds in range(20_000, 0, -1):
        parts.append(dated(NOW - seconds))
        parts += [b"\tat line %d\n" % number for number in range(dice.randrange(20))]
    expected = parts.index(dated(NOW - 300))
    log.write_bytes(b"".join(parts) + dated(NOW)[:10])
    assert begin(log, 300) == len(b"".join(parts[:expected]))


def test_one_that_is_older_than_the_window_is_not_read_at_all(tmp_path: Path, read: Callable[[], int]) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"no time\n" * 100_000)
    assert begin(log, 60, mtime=NOW - 61) == log.stat().st_size
    assert read() <= opened.MAX_LINE
    log.write_bytes(b"".join(dated(NOW - 86_400 - seconds) for seconds in range(1000, 0, -1)))
    assert begin(log, 600) == log.stat().st_size  # as its lines say, though it was touched just now


@pytest.mark.parametrize("kind", ["none", "unordered", "a line that is long", "backwards"])
def test_without_order_it_is_the_last_of_it(tmp_path: Path, kind: str) -> None:
    dice = random.Random(5)

    def made() -> Iterator[bytes]:
        for number in range(200_000):
            if kind == "none":
                yield b"line %d is without a time, as those of many programs are\n" % number
            elif kind == "unordered":
                yield dated(NOW - dice.randrange(1, 90_000), "x" * 50)
            elif kind == "backwards":
                yield dated(NOW - 1 - number, "x" * 50)
        if kind == "a line that is long":
            yield b"x" * (20 << 20) + b"\n" + b"line\n" * (2 << 20)

    log = tmp_path / "a.log"
    with log.open("wb") as file:
        file.writelines(made())
    size = log.stat().st_size
    offset = begin(log, 3600)
    assert size - UNTIMED <= offset
    if kind == "backwards":
        assert offset == size  # in the last of it all is old
    else:
        assert offset < size - UNTIMED + 10_000
        with log.open("rb") as file:
            file.seek(offset - 1)
            assert file.read(1) == b"\n"


@pytest.mark.parametrize("content", [b"", b"\n", b"no end", b"\0" * 100_000, b"x\n", b"\xff\n\n\n"])
def test_odd_files_have_a_place_too(tmp_path: Path, content: bytes) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(content)
    assert 0 <= begin(log, 3600) <= len(content)
