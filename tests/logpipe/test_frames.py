from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ironpost_logpipe.frames import Deframer

LIMIT = 64


def counted(*messages: bytes) -> bytes:
    return b"".join(b"%d %s" % (len(message), message) for message in messages)


def fed(pieces: list[bytes], limit: int = LIMIT) -> tuple[list[bytes], Deframer]:
    """The messages and how the deframer is afterwards; its memory is looked at after each piece."""
    deframer = Deframer(limit)
    found = []
    for piece in pieces:
        found += deframer.feed(piece)
        assert len(deframer._rest) <= max(limit + 1, 8)
    return found, deframer


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in pairwise(places)]


def outcome(pieces: list[bytes]) -> object:
    found, deframer = fed(pieces)
    before = (deframer.framing, deframer.broken, deframer.cut, deframer.pending)
    return found, before, deframer.end(), deframer.pending, deframer.cut


def slow_lines(data: bytes, limit: int) -> list[bytes]:
    """What newline framing means, in as few words as can be."""
    lines = data.replace(b"\0", b"\n").split(b"\n")
    return [line[:limit].rstrip(b"\r") for line in lines if line[:limit].rstrip(b"\r")]


def test_counted_messages_may_hold_newlines() -> None:
    messages = [b"<34>1 - - - - - - two\nlines", b"<13>x", "<13>größe".encode(), b"\xff\xfe"]
    found, deframer = fed([counted(*messages)])
    assert found == messages
    assert (deframer.framing, deframer.broken, deframer.pending) == ("counted", False, False)


def test_the_count_is_without_the_blank_behind_it() -> None:
    assert fed([b"3 abc4 defg"])[0] == [b"abc", b"defg"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0", b"\n\0", b"\r\n\r\n"])
def test_lines_end_with_lf_crlf_or_nul(end: bytes) -> None:
    found, deframer = fed([b"<13>one" + end + b"<13>two" + end + b"<13>thr"])
    assert found == [b"<13>one", b"<13>two"]
    assert deframer.pending
    assert deframer.end() == [b"<13>thr"]
    assert not deframer.pending


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_counted_line_ends_are_no_part_of_the_message(end: bytes) -> None:
    assert fed([counted(b"<13>one" + end, b"<13>two" + end)])[0] == [b"<13>one", b"<13>two"]


def test_an_uncounted_newline_behind_a_counted_message_is_skipped() -> None:
    assert fed([b"3 abc\n3 def\n\n3 ghi"])[0] == [b"abc", b"def", b"ghi"]


@pytest.mark.parametrize(
    "data", [b"<13>x\n", b"2024-11-03T10:00:00Z web1 x\n", b"0 x\n", b"123456789 x\n", b" 3 abc\n", b"12\n", b"\xff\n"]
)
def test_what_begins_with_no_count_are_lines(data: bytes) -> None:
    assert outcome([data])[0] == [data[:-1]]  # type: ignore[index]


def test_only_the_first_bytes_decide() -> None:
    assert fed([b"<13>x\n", b"5 <13>y<13>z\n"])[0] == [b"<13>x", b"5 <13>y<13>z"]


@pytest.mark.parametrize("broken", [b"<13>x\n", b"0 x", b"-1 x", b"03 abc", b"123456789 x", b"1x", b"\x00", b"  "])
def test_after_a_broken_count_nothing_is_taken_for_a_message(broken: bytes) -> None:
    found, deframer = fed([b"3 abc" + broken, b"3 def"])
    assert found == [b"abc"]
    assert deframer.broken


def test_a_digit_alone_may_still_become_a_count() -> None:
    deframer = Deframer()
    assert deframer.feed(b"1") == []
    assert deframer.framing == "unknown"
    assert deframer.feed(b"2 hello world!3 abc") == [b"hello world!", b"abc"]


def test_a_number_alone_is_a_line_when_the_sender_ends() -> None:
    deframer = Deframer()
    deframer.feed(b"42")
    assert deframer.end() == [b"42"]


def test_a_counted_message_that_breaks_off_stays_pending() -> None:
    found, deframer = fed([b"3 abc10 half"])
    assert (found, deframer.end(), deframer.pending) == ([b"abc"], [], True)


@pytest.mark.parametrize("framed", [counted(b"x" * 1000, b"after"), b"x" * 1000 + b"\nafter\n"])
@pytest.mark.parametrize("size", [1, 7, 64, 65, 5000])
def test_what_is_too_long_is_cut_and_its_rest_skipped(framed: bytes, size: int) -> None:
    framed = b"5 first" + framed if framed[:1].isdigit() else b"first\n" + framed
    found, deframer = fed([framed[at : at + size] for at in range(0, len(framed), size)])
    assert found == [b"first", b"x" * LIMIT, b"after"]
    assert deframer.cut == 1


def test_the_longest_allowed_is_not_cut() -> None:
    for framed in (counted(b"x" * LIMIT), b"x" * LIMIT + b"\n"):
        found, deframer = fed([framed])
        assert (found, deframer.cut) == ([b"x" * LIMIT], 0)


MESSAGES = st.lists(st.binary(max_size=2 * LIMIT), max_size=8)
#: Bytes that mean something here, so that the interesting cases are met.
NOISE = st.lists(
    st.sampled_from([b"1", b"0", b"9", b"12 ", b" ", b"\n", b"\r\n", b"\0", b"<13>", b"x" * 40]) | st.binary()
)
CUTS = st.lists(st.integers(0, 10_000), max_size=12)


@given(MESSAGES, CUTS)
def test_counted_messages_come_out_wherever_they_are_split(messages: list[bytes], cuts: list[int]) -> None:
    messages = [b"<13>", *(b"<" + message for message in messages)]
    found, deframer = fed(pieces_of(counted(*messages), cuts))
    assert found == [message[:LIMIT].rstrip(b"\r\n\0") for message in messages]
    assert deframer.cut == sum(len(message) > LIMIT for message in messages)
    assert not deframer.pending
    assert not deframer.broken


@given(st.binary(max_size=600), CUTS)
@example(b"x" * LIMIT + b"\r\n", [LIMIT + 1])
def test_lines_come_out_wherever_they_are_split(data: bytes, cuts: list[int]) -> None:
    data = b"<13>" + data
    found, deframer = fed(pieces_of(data, cuts))
    assert found + deframer.end() == slow_lines(data, LIMIT)


@given(NOISE.map(b"".join), CUTS)
def test_any_bytes_give_the_same_whole_in_pieces_and_one_by_one(data: bytes, cuts: list[int]) -> None:
    whole = outcome([data])
    assert outcome(pieces_of(data, cuts)) == whole
    assert outcome([data[at : at + 1] for at in range(len(data))]) == whole
