from __future__ import annotations

import time
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironpost_core.metrics import PARSER_FORMATS
from ironpost_logpipe.chunks import MAX_LINE
from ironpost_logpipe.config import Format, InnerFormat
from ironpost_logpipe.event import DERIVED
from ironpost_logpipe.formats import FORMATS
from ironpost_logpipe.parsers import DECODED, LABELS, PARSERS, PINNED, parse


def test_auto_takes_what_is_not_syslog_as_text() -> None:
    event = parse(b"hello\r\n")
    assert event is not None
    assert (event.message, event.app, event.raw) == (b"hello", b"", b"hello")


def test_syslog_refuses_what_is_not_syslog() -> None:
    assert parse(b"hello", "syslog") is None


def test_formats_are_known_by_the_same_names_everywhere() -> None:
    assert get_args(Format) == FORMATS
    assert set(PARSERS) == {*FORMATS, "journal", *(f"docker/{name}" for name in get_args(InnerFormat))}
    assert set(get_args(InnerFormat)) == set(FORMATS) - {"docker"}
    assert set(PARSERS) - PINNED == {"auto", "plain", "journal"}
    assert DECODED < PINNED


def test_each_pinned_format_counts_its_errors_under_a_label_of_the_closed_set() -> None:
    assert set(LABELS) == PINNED
    assert set(LABELS.values()) == set(PARSER_FORMATS)
    assert {name for name, label in LABELS.items() if label == "json"} == {"json"} | DECODED
    assert LABELS["syslog"] == "syslog"


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        (b'{"msg": "a b", "level": "warn"}', "severity", b"warning"),
        (b'{"msg": "broken', "message", b'{"msg": "broken'),
        (b'192.0.2.1 - - [24/Nov/2026:22:38:51 +0000] "GET / HTTP/1.1" 200 1 "-" "-"', "source_ip", b"192.0.2.1"),
        (b"[Tue Nov 24 22:28:12.123456 2026] [core:error] [pid 12] [client 192.0.2.1:5] x", "source_ip", b"192.0.2.1"),
        (b"2026/11/24 22:38:51 [error] 12#12: *3 x, client: 192.0.2.1, server: y", "client", b"192.0.2.1"),
        (b'time="2026-11-24T10:00:00Z" level=info msg="a b"', "message", b"a b"),
        (b"a=b c=d", "message", b"a=b c=d"),
        (b"<34>1 - h a 1 - - {}", "message", b"{}"),
    ],
)
def test_auto_looks_at_how_a_line_begins(line: bytes, field: str, value: bytes) -> None:
    event = parse(line)
    assert event is not None
    assert event.field(field) == value


def test_a_leading_time_of_a_plain_line_is_its_time() -> None:
    event = parse(b"2024-11-03 10:00:00,123 ERROR x", "plain")
    assert event is not None
    assert (event.stamp, event.message) == (b"2024-11-03 10:00:00", b"2024-11-03 10:00:00,123 ERROR x")


def test_plain_never_reads_syslog() -> None:
    event = parse(b"Nov  3 10:00:00 web1 sshd[1]: x", "plain")
    assert event is not None
    assert event.app == b""


_PIECES = st.sampled_from(
    [
        *(
            b'"',
            b"\\",
            b" ",
            b"=",
            b"{",
            b"}",
            b"[",
            b"]",
            b":",
            b",",
            b"\\u00",
            b"\\x2",
            b"\xff",
            b"\0",
            b"\n",
            b"-",
            b"1",
        ),
        *(b'] "', b'" ', b"192.0.2.1 - - [24/Nov/2026:22:38:51 +0000] ", b'{"log":"', b'","stream":"stdout","time":"'),
        *(b"[Tue Nov 24 22:28:12.1 2026] [a:error] ", b"[pid 1] ", b"[client ", b"2026/11/24 22:38:51 [error] 1#1: "),
        *(b", client: ", b"<34>1 - h a 1 - [x y=", b"Nov  3 10:00:00 ", b"time=", b"NaN", b"1e999", b"null"),
    ]
)


@given(st.sampled_from(sorted(PARSERS)), st.one_of(st.binary(), st.lists(_PIECES, max_size=20).map(b"".join)))
def test_any_bytes_are_survived(format_: str, line: bytes) -> None:
    event = parse(line, format_)
    assert event is not None or format_ in PINNED
    if event is not None:
        fields = event.fields()
        assert all(type(value) is bytes for value in fields.values())
        searched = event.searchable()
        assert all(value in searched for name, value in fields.items() if name not in DERIVED)


@given(st.sampled_from(sorted(set(PARSERS) - DECODED)), st.lists(_PIECES, max_size=20).map(b"".join))
def test_without_a_backslash_all_text_stands_in_the_line(format_: str, line: bytes) -> None:
    text = line.replace(b"\\", b"")
    event = parse(text, format_)
    if event is not None:
        assert all(value in text for name, value in event.fields().items() if name not in DERIVED)


@pytest.mark.parametrize("format_", sorted(PARSERS))
@pytest.mark.parametrize(
    "unit",
    [b"[", b"{", b'{"a":', b"1", b"\\", b'"', b'\\"', b'a="', b" ", b"=", b"x ", b'] "', b", client: ", b'{"log":"'],
)
def test_the_longest_hostile_lines_cost_linear_time(format_: str, unit: bytes) -> None:
    def seconds(size: int) -> float:
        line = (b'{"a":' if unit == b"1" else b"") + unit * (size // len(unit))

        def once() -> float:
            begin = time.perf_counter()
            parse(line, format_)
            return time.perf_counter() - begin

        return min(once() for _ in range(3))

    assert seconds(MAX_LINE) < 24 * seconds(MAX_LINE // 8) + 0.02  # linear is 8 times, quadratic 64


def test_a_docker_line_is_not_guessed() -> None:
    event = parse(b'{"log":"x\\n","stream":"stdout","time":"2026-11-24T22:38:51Z"}')
    assert event is not None
    assert event.message == b"x\n"
    assert event.field("stream") == b""
