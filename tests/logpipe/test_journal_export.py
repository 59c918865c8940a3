from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironpost_logpipe.chunks import MAX_LINE
from ironpost_logpipe.journal_export import MAX_ENTRY, EntryReader, cursor_of, field_reader, fields_of, key_of

CURSOR = b"s=1048b471;i=3;b=36ed13b0;m=129f3c5e2;t=6610d623b842f;x=87f221a8"
Field = tuple[bytes, bytes]


def text(name: bytes, value: bytes) -> bytes:
    return name + b"=" + value + b"\n"


def binary(name: bytes, value: bytes) -> bytes:
    return name + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"


def written(fields: list[Field]) -> bytes:
    """As journalctl writes them: plain when the value is printable and has no line end."""
    return b"".join(
        text(*each) if each[1].isascii() and each[1].decode().isprintable() else binary(*each) for each in fields
    )


def entry(*fields: Field, cursor: bytes = CURSOR) -> bytes:
    return written([(b"__CURSOR", cursor), *fields]) + b"\n"


names = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789", min_size=1, max_size=64).map(str.encode)
nasty = st.sampled_from(
    [b"", b"\n\n", b"\n\n__CURSOR=x\n", b"=", b"A\n=\n\n", b"x\r\n\0", b"\n" * 10, b"\xff", b"\0" * 9]
)
values = st.one_of(st.binary(max_size=40), nasty, st.text(max_size=20).map(str.encode))
entries = st.lists(st.tuples(names.filter(lambda name: name != b"__CURSOR"), values), max_size=6)


def read(data: bytes, *cuts: int) -> list[bytes]:
    reader, found, at = EntryReader(), [], 0
    for cut in (*sorted(cuts), len(data)):
        found += reader.feed(data[at:cut])
        at = cut
    assert reader.refused == 0
    return found


def first_of_each(fields: list[Field]) -> dict[bytes, bytes]:
    return dict(reversed(fields))


@given(st.lists(entries, max_size=4), st.data())
def test_fields_come_back_as_they_were_written_wherever_the_stream_is_split(
    many: list[list[Field]], data: st.DataObject
) -> None:
    stream = b"".join(entry(*fields, cursor=b"c%d" % number) for number, fields in enumerate(many))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    found = read(stream, *cuts)
    assert found == read(stream) == read(stream, *range(len(stream)))
    assert [cursor_of(each) for each in found] == [b"c%d" % number for number in range(len(many))]
    for number, (each, fields) in enumerate(zip(found, many, strict=True)):
        for name, value in fields_of(each).items():
            assert field_reader(each)(key_of(name)) == value
        assert field_reader(each)(key_of(b"absent")) is None
        # A line's end is taken off before it is parsed.
        assert fields_of(each.rstrip(b"\r\n\0")) == first_of_each([(b"__CURSOR", b"c%d" % number), *fields])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    stream = entry(*draw(entries))
    at = draw(st.integers(0, len(stream)))
    return stream[:at] + draw(st.binary(max_size=5)) + stream[draw(st.integers(at, len(stream))) :]


@given(st.binary(max_size=300) | damaged())
@settings(max_examples=300)
def test_any_bytes_are_read_refused_or_a_broken_stream(data: bytes) -> None:
    fields_of(data)
    cursor_of(data)
    reader = EntryReader()
    for each in reader.feed(data) + reader.feed(b""):
        assert b"__CURSOR" in fields_of(each)
        cursor_of(each)


def test_whoever_chooses_a_value_forges_no_field() -> None:
    """The length's own bytes look like an entry's end: an end that is searched for would be found within the value."""
    for length in (0x0A, 0x0A0A, 0x0A0A3D, 0x3D0A0A):
        forged = (b"\n\n\n__CURSOR=forged\n_UID=0\nMESSAGE=x\n\n" * (length // 39 + 1))[:length]
        found = read(entry((b"A", b"1"), (b"NOTE", forged), (b"_UID", b"1000")))
        assert [cursor_of(each) for each in found] == [CURSOR]
        assert fields_of(found[0])[b"_UID"] == b"1000"


def test_the_first_of_a_repeated_field_counts() -> None:
    (found,) = read(entry((b"R", b"1"), (b"R", b"\n2"), (b"R", b"3"), (b"E", b"")))
    assert fields_of(found) == {b"__CURSOR": CURSOR, b"R": b"1", b"E": b""}


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_fields_too_long_are_cut_in_bounded_memory(end: bytes) -> None:
    big = b"x" * (5 << 20) + end
    stream = entry((b"MESSAGE", big), (b"_UID", b"7")) + entry((b"MESSAGE", b"next"), cursor=b"n")
    reader, found = EntryReader(), []
    for at in range(0, len(stream), 50_000):
        found += reader.feed(stream[at : at + 50_000])
        assert len(reader._rest) <= MAX_LINE + 100
    fields = fields_of(found[0])
    assert MAX_LINE - 8 <= len(fields[b"MESSAGE"]) <= MAX_LINE
    assert fields[b"_UID"] == b"7"
    assert fields_of(found[1])[b"MESSAGE"] == b"next"
    assert reader.cut == 1


def test_an_entry_takes_no_more_than_its_share() -> None:
    many = [(b"F%d" % number, b"x" * 60_000) for number in range(9)]
    reader = EntryReader()
    (found,) = reader.feed(entry(*many))
    assert len(found) <= MAX_ENTRY
    assert reader.cut == 5
    reader = EntryReader()
    (found,) = reader.feed(entry(*[(b"F%d" % number, b"y" * 100) for number in range(2000)]))
    assert len(fields_of(found)) == 1024
    assert reader.cut == 977


def test_an_entry_without_a_cursor_is_refused_and_counted() -> None:
    reader = EntryReader()
    assert reader.feed(text(b"A", b"1") + b"\n" + binary(b"B", b"\n") + b"\n\n" + entry((b"A", b"2")))
    assert reader.refused == 2


@pytest.mark.parametrize(
    "data",
    [
        b"__CURSOR=a\nNAME\n" + (2 << 30).to_bytes(8, "little"),
        b"__CURSOR=a\nNAME\n" + (3).to_bytes(8, "little") + b"abcd\n",
        b"__CURSOR=a\n" + b"N" * 65 + b"\n",
        b"x" * (MAX_LINE + 1),
        b"__CURSOR=a\nNAME\n" + (MAX_LINE + 1).to_bytes(8, "little") + b"a" * (MAX_LINE + 9),
    ],
)
def test_a_stream_that_can_not_be_right_is_given_up(data: bytes) -> None:
    good = entry((b"A", b"1"))
    reader = EntryReader()
    assert reader.feed(good + data) == [good[:-2]]
    assert reader.broken
    assert reader.begun in (b"a", b"")
    assert reader.feed(good) == []
