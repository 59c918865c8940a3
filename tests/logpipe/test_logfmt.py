from __future__ import annotations

import pytest

from ironpost_logpipe.logfmt import MAX_FIELDS, parse_logfmt


def test_keys_and_values() -> None:
    line = rb'time="2026-11-24T10:00:00Z" level=info msg="a \"b\" \u00e9\n" retry dur=12ms empty= q="" a=b=c'
    event = parse_logfmt(line)
    assert event is not None
    assert (event.stamp, event.severity, event.message) == (b"2026-11-24T10:00:00Z", b"info", b'a "b" \xc3\xa9\n')
    fields = {"dur": b"12ms", "empty": b"", "q": b"", "a": b"b=c", "level": b"info"}
    assert {name: event.extra[f"logfmt.{name}"] for name in fields} == fields
    assert "logfmt.retry" not in event.extra


def test_what_follows_in_a_value_cannot_take_the_place_of_an_earlier_key() -> None:
    event = parse_logfmt(rb'level=info msg="x\" level=error" level=debug')
    assert event is not None
    assert (event.severity, event.message) == (b"info", b'x" level=error')


@pytest.mark.parametrize("line", [b"", b"no pairs here", b"=x", b" = "])
def test_what_has_no_pair_is_refused(line: bytes) -> None:
    assert parse_logfmt(line) is None


def test_a_quote_that_does_not_end_ends_at_a_blank() -> None:
    event = parse_logfmt(b'a="b c=d')
    assert event is not None
    assert dict(event.extra) == {"logfmt.a": b'"b', "logfmt.c": b"d"}


def test_the_number_of_fields_is_bounded() -> None:
    event = parse_logfmt(b" ".join(b"k%d=v" % number for number in range(5000)))
    assert event is not None
    assert len(event.extra) == MAX_FIELDS
