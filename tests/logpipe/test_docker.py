from __future__ import annotations

import json
import random
import threading
from pathlib import Path

import pytest

from ironpost_core.alerts import Key, Trust
from ironpost_core.testing import FakeClock
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.chunks import MAX_LINE, Chunk, Position, Source
from ironpost_logpipe.config import DockerSource
from ironpost_logpipe.docker import HOLD_TIME, MAX_HELD, DockerReader, Joining, container
from ironpost_logpipe.parsers import parse

ID = "0123456789abcdef" * 4
PIECE = 16 << 10


def record(text: str, stream: str = "stdout") -> bytes:
    written = {"log": text, "stream": stream, "time": "2026-11-24T22:38:51.1Z"}
    return json.dumps(written, separators=(",", ":")).encode() + b"\n"


class Running:
    """A reader of one container's log that a test writes."""

    def __init__(self, folder: Path, stored: dict[str, Position] | None = None, room: int = 100_000) -> None:
        self.log = folder / ID / f"{ID}-json.log"
        self.log.parent.mkdir(exist_ok=True)
        self.log.touch()
        self.clock = FakeClock()
        self.buffer = Buffer(room, 64 << 20)
        config = DockerSource(paths=(folder / "*" / "*-json.log",), start="beginning")
        self.stopping = threading.Event()
        self.reader = DockerReader(
            config, buffer=self.buffer, clock=self.clock, stopping=self.stopping, stored=stored or {}
        )

    def write(self, *records: bytes) -> None:
        with self.log.open("ab") as log:
            log.write(b"".join(records))

    def chunks(self) -> list[Chunk]:
        while self.reader.poll():
            pass
        return self.buffer.take(100_000, 0)

    def messages(self) -> list[bytes]:
        return [_message(line) for chunk in self.chunks() for line in chunk.lines]


def _message(line: bytes) -> bytes:
    event = parse(line, "docker/plain")
    assert event is not None
    return event.message


def test_lines_know_their_container(tmp_path: Path) -> None:
    run = Running(tmp_path)
    (run.log.parent / "config.v2.json").write_text(json.dumps({"Name": "/web", "Config": {"Image": "nginx:1"}}))
    run.write(record("a\n"), record("b\n", "stderr"))
    chunks = [chunk for chunk in run.chunks() if chunk.lines]
    assert [_message(line) for chunk in chunks for line in chunk.lines] == [b"a", b"b"]
    source = chunks[0].source
    assert (source.trust, source.format) == (Trust.CLAIMED, "docker/auto")
    assert {each.key: (each.value, each.trust) for each in source.observables} == {
        Key.CONTAINER_ID: (ID, Trust.LOCAL),
        Key.CONTAINER_NAME: ("web", Trust.LOCAL),
        Key.IMAGE: ("nginx:1", Trust.LOCAL),
    }
    assert run.reader.status.entries[0]["state"] == "reading"


@pytest.mark.parametrize(
    "config", [None, "", "[]", "{}", '{"Name": [], "Config": []}', '{"Name": "/", "Config": {"Image": null}}']
)
def test_without_a_readable_configuration_the_id_is_enough(tmp_path: Path, config: str | None) -> None:
    if config is not None:
        (tmp_path / "config.v2.json").write_text(config)
    assert [each.key for each in container(tmp_path / f"{ID}-json.log")] == [Key.CONTAINER_ID]


@pytest.mark.parametrize("name", ["x-json.log", f"{ID[:-1]}-json.log", f"{ID[:-1]}G-json.log", f"{ID}.log"])
def test_other_files_name_no_container(tmp_path: Path, name: str) -> None:
    assert container(tmp_path / name) == ()


def test_pieces_of_a_long_line_are_joined_across_reads_and_streams(tmp_path: Path) -> None:
    run = Running(tmp_path)
    run.write(record("before\n"), record("x" * PIECE), record("error\n", "stderr"))
    assert run.messages() == [b"before"]
    run.write(record("y" * PIECE))
    assert run.messages() == []
    run.write(record("z\n"), record("after\n"))
    assert run.messages() == [b"x" * PIECE + b"y" * PIECE + b"z", b"error", b"after"]


def test_the_position_stays_in_front_of_a_line_that_is_not_whole(tmp_path: Path) -> None:
    first, rest = record("before\n"), record("end\n")
    run = Running(tmp_path)
    run.write(first, record("x" * PIECE), record("error\n", "stderr"))
    after = run.chunks()[-1].after
    assert after is not None
    assert after.offset == len(first)
    again = Running(tmp_path, {after.path: after})
    again.write(rest)
    assert again.messages() == [b"x" * PIECE + b"end", b"error"]


def test_lines_know_where_they_begin(tmp_path: Path) -> None:
    written = [record("a\n"), record("x"), record("e\n", "stderr"), record("y\n"), record("b\n")]
    run = Running(tmp_path)
    run.write(*written)
    (chunk,) = [chunk for chunk in run.chunks() if chunk.lines]
    begins = [sum(map(len, written[:number])) for number in range(len(written))]
    assert chunk.offsets() == [begins[0], begins[1], begins[2], begins[4]]
    assert chunk.lines[1] == written[1] + written[3][:-1]
    assert chunk.after is not None
    assert chunk.after.offset == sum(map(len, written))


def test_a_line_that_nobody_ends_is_released_after_a_while(tmp_path: Path) -> None:
    run = Running(tmp_path)
    run.write(record("x" * PIECE), record("error\n", "stderr"))
    assert run.messages() == []
    run.clock.advance(HOLD_TIME - 1)
    assert run.messages() == []
    run.clock.advance(2)
    (chunk,) = [chunk for chunk in run.chunks() if chunk.lines]
    assert [_message(line) for line in chunk.lines] == [b"x" * PIECE, b"error"]
    assert chunk.after is not None
    assert chunk.after.offset == run.log.stat().st_size
    run.write(record("late\n"), record("next\n"))
    assert run.messages() == [b"next"]  # the rest belongs to what was handed over


def test_an_endless_line_is_cut_and_the_rest_of_it_passed_over(tmp_path: Path) -> None:
    run = Running(tmp_path)
    run.write(*[record("x" * PIECE)] * 40)
    (line,) = [line for chunk in run.chunks() for line in chunk.lines]
    assert PIECE < len(line) <= MAX_LINE
    run.write(record("still\n"), record("next\n"))
    assert run.messages() == [b"next"]


def test_what_is_held_is_bounded_by_what_other_streams_write(tmp_path: Path) -> None:
    run = Running(tmp_path)
    run.write(record("open"), *[record("e" * 1000 + "\n", "stderr")] * (MAX_HELD // 1000))
    assert len(run.messages()) > 200


def test_a_rotated_file_takes_what_was_held_with_it(tmp_path: Path) -> None:
    run = Running(tmp_path)
    run.write(record("old"))
    assert run.messages() == []
    run.log.rename(run.log.with_name(f"{ID}-json.log.1"))
    run.write(record("new\n"))
    seen = run.messages()
    run.clock.advance(2)
    seen += run.messages()
    run.clock.advance(2)
    seen += run.messages()
    assert seen == [b"old", b"new"]


def test_an_emptied_file_is_read_from_its_first_line(tmp_path: Path) -> None:
    run = Running(tmp_path)
    run.write(*[record("x" * PIECE)] * 40)
    assert len(run.messages()) == 1
    run.log.write_bytes(b"")
    run.write(record("new\n"))
    assert run.messages() == [b"new"]


def test_a_full_buffer_makes_it_wait_and_loses_nothing(tmp_path: Path) -> None:
    run = Running(tmp_path, room=10)
    run.write(*[record(f"{number}\n") for number in range(2000)])
    seen: list[bytes] = []
    thread = threading.Thread(target=run.reader.run)
    thread.start()
    while len(seen) < 2000:
        seen += [_message(line) for chunk in run.buffer.take(5, 1) for line in chunk.lines]
    run.stopping.set()
    thread.join()
    assert seen == [b"%d" % number for number in range(2000)]


def test_what_is_no_record_goes_on_to_be_counted_as_an_error(tmp_path: Path) -> None:
    run = Running(tmp_path)
    run.write(b"garbage\n", record("a\n"))
    (chunk,) = [chunk for chunk in run.chunks() if chunk.lines]
    assert chunk.lines[0] == b"garbage"
    assert parse(chunk.lines[0], chunk.source.format) is None


@pytest.mark.parametrize("seed", range(10))
def test_however_it_is_written_and_read_the_same_lines_come_out(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    wanted: dict[str, list[str]] = {"stdout": [], "stderr": []}
    written: list[bytes] = []
    left: dict[str, list[str]] = {"stdout": [], "stderr": []}
    for number in range(60):
        stream = rng.choice(["stdout", "stderr"])
        pieces = [f"{number}-{part} " for part in range(rng.choice([1, 1, 1, 2, 4]))]
        wanted[stream].append("".join(pieces))
        left[stream] += [*pieces[:-1], pieces[-1] + "\n"]
    while left["stdout"] or left["stderr"]:
        stream = rng.choice([name for name in left if left[name]])
        written.append(record(left[stream].pop(0), stream))
    run = Running(tmp_path)
    found: dict[str, list[str]] = {"stdout": [], "stderr": []}
    stored: dict[str, Position] = {}
    begins: list[int] = []

    def take() -> None:
        for chunk in run.chunks():
            begins.extend(chunk.offsets()[: len(chunk.lines)])
            for line in chunk.lines:
                event = parse(line, "docker/plain")
                assert event is not None
                found[event.field("stream").decode()].append(event.message.decode())
            if chunk.after is not None:
                stored[chunk.after.path] = chunk.after

    data = b"".join(written)
    while data:
        cut = rng.randrange(1, 400)
        run.write(data[:cut])
        data = data[cut:]
        take()
        if rng.random() < 0.3:  # a crash behind a checkpoint
            run = Running(tmp_path, dict(stored))
    take()
    assert found == wanted
    assert len(begins) == len(set(begins))


def test_containers_that_are_gone_leave_nothing_behind() -> None:
    buffer = Buffer(100_000, 64 << 20)
    joining = Joining(buffer, FakeClock(), "auto")
    for number in range(3000):
        source = Source(name=f"/{number:064x}-json.log", trust=Trust.CLAIMED)
        assert joining.put(Chunk(source, [record("a\n")[:-1]], 0.0), 1)
        buffer.take(10, 0)
    assert len(joining._sources) <= 1024
    assert not joining._held


def test_it_ends_when_it_shall(tmp_path: Path) -> None:
    run = Running(tmp_path)
    thread = threading.Thread(target=run.reader.run)
    thread.start()
    run.stopping.set()
    thread.join(10)
    assert not thread.is_alive()
