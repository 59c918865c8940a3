from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from ironpost_logpipe.buffer import Buffer, DropPolicy, Result
from ironpost_logpipe.chunks import Chunk
from logpipe.helpers import LIVE, NOW, file_chunk


def live(*lines: bytes) -> Chunk:
    return Chunk(LIVE, lines, NOW, senders=["192.0.2.1"] * len(lines))


def balanced(buffer: Buffer) -> bool:
    tally = buffer.tally()
    errors = sum(tally.parse_errors.values())
    return tally.collected == tally.processed + errors + tally.dropped + tally.buffered


def taken(buffer: Buffer) -> list[bytes]:
    return [line for chunk in buffer.take(100, 0) for line in chunk.lines]


def test_the_oldest_are_dropped_when_so_configured() -> None:
    buffer = Buffer(4, 1000, "oldest")
    for number in range(4):
        buffer.offer(live(b"%d" % number, b"%d'" % number))
    assert buffer.tally().dropped == 4
    assert taken(buffer) == [b"2", b"2'", b"3", b"3'"]
    assert balanced(buffer)


def test_the_newest_are_dropped_when_so_configured() -> None:
    buffer = Buffer(3, 1000, "newest")
    buffer.offer(live(b"0", b"1"))
    buffer.offer(live(b"2", b"3"))
    assert buffer.tally().dropped == 1
    assert taken(buffer) == [b"0", b"1", b"2"]


def test_bytes_are_bounded_too() -> None:
    for policy in ("oldest", "newest"):
        buffer = Buffer(100, 10, policy)  # type: ignore[arg-type]
        for _ in range(5):
            buffer.offer(live(b"x" * 4))
        assert buffer.tally().dropped == 3
        buffer.offer(live(b"x" * 11))
        assert balanced(buffer)


def test_files_wait_and_never_drop() -> None:
    buffer = Buffer(10, 1000)
    assert buffer.put(file_chunk([b"x"] * 50), 0)
    assert not buffer.put(file_chunk([b"x"]), 0)
    buffer.offer(live(b"y"))
    assert buffer.tally().dropped == 1  # the file's chunk was larger than all the room; datagrams don't wait
    buffer.take(1, 0)
    assert buffer.put(file_chunk([b"x"] * 5), 0)
    assert not buffer.put(file_chunk([b"x"]), 0)
    buffer.offer(live(*[b"y"] * 5))
    assert buffer.tally().dropped == 1
    assert balanced(buffer)


def test_long_lines_of_files_are_bounded_by_their_bytes() -> None:
    buffer = Buffer(100, 1000)
    assert buffer.put(file_chunk([b"x" * 600]), 0)  # more than the room there is, but alone
    assert not buffer.put(file_chunk([b"x"]), 0)
    buffer.take(1, 0)
    assert buffer.put(file_chunk([b"x" * 400]), 0)
    assert not buffer.put(file_chunk([b"x" * 101]), 0)
    assert buffer.put(file_chunk([b"x" * 100]), 0)
    buffer.take(2, 0)
    assert buffer.put(file_chunk([b"x" * 500]), 0)
    assert balanced(buffer)


def test_a_waiting_file_goes_on_when_there_is_room() -> None:
    buffer = Buffer(10, 1000)
    buffer.put(file_chunk([b"x"] * 5), 0)
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(buffer.put(file_chunk([b"y"] * 5), 10)))
    thread.start()
    assert len(buffer.take(5, 1)) == 1
    thread.join(10)
    assert done == [True]


def test_take_waits_and_lingers() -> None:
    buffer = Buffer(100, 1000)
    assert buffer.take(10, 0.01) == []
    timer = threading.Timer(0.02, lambda: buffer.offer(live(b"b")))
    buffer.offer(live(b"a"))
    timer.start()
    assert len(buffer.take(2, 1, linger=5)) == 2


def test_what_failed_in_the_matcher_is_counted_as_dropped() -> None:
    buffer = Buffer(100, 1000)
    buffer.offer(live(b"a", b"b"))
    buffer.take(10, 0)
    assert buffer.tally().buffered == 2
    assert buffer.abandon() == 2
    assert buffer.abandon() == 0
    assert balanced(buffer)


def test_new_bounds_hold_from_then_on() -> None:
    buffer = Buffer(100, 1000)
    buffer.resize(1, 1000, "newest")
    buffer.offer(live(b"a", b"b"))
    assert taken(buffer) == [b"a"]


@given(
    st.integers(10, 20),
    st.sampled_from(["oldest", "newest"]),
    st.lists(st.tuples(st.sampled_from(["put", "offer", "take", "done"]), st.integers(0, 12)), max_size=40),
)
def test_the_book_is_always_in_balance(capacity: int, policy: DropPolicy, steps: list[tuple[str, int]]) -> None:
    buffer = Buffer(capacity, 60, policy)
    out: list[Chunk] = []
    for step, number in steps:
        if step == "put":
            buffer.put(file_chunk([b"line"] * number), 0)
        elif step == "offer":
            buffer.offer(live(*[b"line"] * number))
        elif step == "take":
            out += buffer.take(number, 0)
        elif out:
            chunk = out.pop()
            result = Result(processed=len(chunk) // 2)
            result.add_errors("syslog", len(chunk) - len(chunk) // 2)
            buffer.done(result)
        assert balanced(buffer)
        assert buffer.tally().buffered - sum(map(len, out)) <= capacity + 12
