from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ironpost_logpipe.parsers import PARSERS, PINNED, parse


def test_auto_takes_what_is_not_syslog_as_text() -> None:
    event = parse(b"hello\r\n")
    assert event is not None
    assert (event.message, event.app, event.raw) == (b"hello", b"", b"hello")


def test_syslog_refuses_what_is_not_syslog() -> None:
    assert parse(b"hello", "syslog") is None
    assert set(PARSERS) >= PINNED == {"syslog"}


def test_a_leading_time_of_a_plain_line_is_its_time() -> None:
    event = parse(b"2024-11-03 10:00:00,123 ERROR x", "plain")
    assert event is not None
    assert (event.stamp, event.message) == (b"2024-11-03 10:00:00", b"2024-11-03 10:00:00,123 ERROR x")


def test_plain_never_reads_syslog() -> None:
    event = parse(b"Nov  3 10:00:00 web1 sshd[1]: x", "plain")
    assert event is not None
    assert event.app == b""


@given(st.sampled_from(sorted(PARSERS)), st.binary())
def test_any_bytes_are_survived(format_: str, line: bytes) -> None:
    event = parse(line, format_)
    assert event is not None or format_ in PINNED
