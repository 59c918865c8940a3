from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironpost_logpipe.chunks import MAX_LINE
from ironpost_logpipe.event import Event
from ironpost_logpipe.jsonlines import MAX_DEPTH, MAX_FIELDS, parse_json


def read(line: bytes | str) -> Event:
    event = parse_json(line if isinstance(line, bytes) else line.encode())
    assert event is not None
    return event


def test_keys_that_loggers_name_alike_are_fields() -> None:
    event = read(
        '{"time": "2026-11-24T10:00:00Z", "level": "error", "service": "api", "hostname": "web1", "pid": 12,'
        ' "msg": "Failed login", "user": "root"}'
    )
    assert (event.stamp, event.severity, event.app, event.host, event.pid, event.message) == (
        *(b"2026-11-24T10:00:00Z", b"err", b"api", b"web1", b"12", b"Failed login"),
    )
    assert event.field("json.user") == b"root"
    assert event.field("user") == b""  # what an application says of users is for rules to take or leave
    assert event.field("source_ip") == b""


def test_values_have_dotted_paths_and_lists_numbers() -> None:
    event = read('{"a": {"b": [{"c": "x"}, "y"], "b.d": 1}, "t": true, "f": false, "n": null, "e": [], "o": {}}')
    assert dict(event.extra) == {
        "json.t": b"true",
        "json.f": b"false",
        "json.n": b"null",
        "json.a.b.d": b"1",
        "json.a.b.1": b"y",
        "json.a.b.0.c": b"x",
    }


@pytest.mark.parametrize("number", ["0", "-1.50", "1e5", "1E999", "9" * 5000, "NaN", "-Infinity", "0.1000"])
def test_numbers_are_what_stands_in_the_line(number: str) -> None:
    assert read(f'{{"a": {number}}}').field("json.a") == number.encode()


def test_escapes_are_undone() -> None:
    event = read(rb'{"msg": "\u0046ailed \"x\" \\ \u00e9 \ud83d\ude00 \ud800"}')
    assert event.message == 'Failed "x" \\ é 😀 '.encode() + b"\xed\xa0\x80"


def test_bytes_that_are_not_utf8_stay() -> None:
    assert read(b'{"msg": "a\xff\xc3\xa9"}').message == b"a\xff\xc3\xa9"
    assert read(b'{"\xff": "x", "msg": "\xff \\ud800"}').field("json.msg").endswith(b" \xed\xa0\x80")


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    event = read('{"msg": "a", "msg": "b"}')
    assert (event.message, event.field("json.msg")) == (b"b", b"b")


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"[]", b"1", b'"x"', b"{", b"{}x", b'{"a": 1} {"b": 2}', b"{'a': 1}", b'{"a": 01}', b'{"a": "x}'),
        *(b"null", b'{"a": }', b'\xef\xbb\xbf{"a": 1}', b"{" * MAX_LINE, b'{"a":' * (MAX_LINE // 5), b"[" * MAX_LINE),
    ],
)
def test_what_is_not_one_object_is_refused(line: bytes) -> None:
    assert parse_json(line) is None


def test_blanks_around_and_tabs_within_are_taken() -> None:
    assert read(b' \t{"msg": "a\tb"} \r').message == b"a\tb"


def test_depth_is_bounded() -> None:
    def nested(depth: int) -> str:
        return '{"a":' * depth + '"x"' + "}" * depth

    assert list(read(nested(MAX_DEPTH)).extra.values()) == [b"x"]
    assert list(read(nested(MAX_DEPTH + 1)).extra) == []


def test_the_number_of_fields_is_bounded_from_outside_in() -> None:
    many = json.dumps({"inner": {str(number): number for number in range(5000)}, "outer": "x"})
    event = read(many)
    assert len(event.extra) == MAX_FIELDS
    assert event.field("json.outer") == b"x"


def test_long_keys_do_not_multiply() -> None:
    event = read(json.dumps({"k" * 30_000: {str(number): number for number in range(2000)}, "a": "x"}))
    assert dict(event.extra) == {"json.a": b"x"}


_JSON = st.recursive(
    st.one_of(st.text(), st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "msg"]), _JSON), st.booleans())
def test_top_level_texts_come_back_however_they_are_escaped(document: dict[str, Any], ascii_: bool) -> None:
    event = read(json.dumps(document, ensure_ascii=ascii_).encode("utf-8", "surrogatepass"))
    for key, value in document.items():
        if isinstance(value, str):
            assert event.field(f"json.{key}") == value.encode("utf-8", "surrogatepass")
        elif isinstance(value, int) and not isinstance(value, bool):
            assert event.field(f"json.{key}") == str(value).encode()
