from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ironpost_logpipe.event import Event
from ironpost_logpipe.parsers import parse_auto
from ironpost_logpipe.syslog import parse_syslog


def parsed(line: bytes) -> Event:
    event = parse_syslog(line)
    assert event is not None
    return event


def parts(event: Event) -> tuple[bytes, ...]:
    return event.host, event.app, event.pid, event.message


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"Nov  3 10:00:00 web1 sshd[12]: hi there", (b"web1", b"sshd", b"12", b"hi there")),
        (b"Nov 03 10:00:00 web1 sshd[12]: hi", (b"web1", b"sshd", b"12", b"hi")),
        (b"Nov 3 10:00:00 web1 sshd[12]: hi", (b"web1", b"sshd", b"12", b"hi")),
        (b"<38>Nov  3 10:00:00 web1 sshd[12]: hi", (b"web1", b"sshd", b"12", b"hi")),
        (b"Nov  3 10:00:00 web1 sshd-session[12]: hi", (b"web1", b"sshd-session", b"12", b"hi")),
        (b"Nov  3 10:00:00 web1 sshd(pam_unix)[12]: hi", (b"web1", b"sshd", b"12", b"hi")),
        (b"Nov  3 10:00:00 web1 postfix/smtpd[12]: hi", (b"web1", b"postfix/smtpd", b"12", b"hi")),
        (b"Nov  3 10:00:00 web1 sudo:      bob : x", (b"web1", b"sudo", b"", b"     bob : x")),
        (b"Nov  3 10:00:00 web1 kernel: [ 1.0] x", (b"web1", b"kernel", b"", b"[ 1.0] x")),
        (b"Nov  3 10:00:00 web1 sshd[12]:hi there", (b"web1", b"sshd", b"12", b"hi there")),
        (b"Nov  3 10:00:00 sshd[12]: hi", (b"", b"sshd", b"12", b"hi")),
        (b"Nov  3 10:00:00 web1 last message repeated 3 times", (b"web1", b"", b"", b"last message repeated 3 times")),
        (b"Nov  3 10:00:00 2001:db8::1 sshd[12]: hi", (b"2001:db8::1", b"sshd", b"12", b"hi")),
        (b"Nov  3 10:00:00 web1 sshd[12]:", (b"web1", b"sshd", b"12", b"")),
        (b"Nov  3 10:00:00 web1", (b"", b"", b"", b"web1")),
        (b"Nov  3 10:00:00", (b"", b"", b"", b"")),
        (b"2024-11-03T10:00:00.123456+01:00 web1 sshd[12]: hi", (b"web1", b"sshd", b"12", b"hi")),
        (b"<38>2024-11-03T10:00:00Z web1 sshd[12]: hi", (b"web1", b"sshd", b"12", b"hi")),
        (b"<13>myapp: hello", (b"", b"myapp", b"", b"hello")),
        (b"<13>hello world", (b"", b"", b"", b"hello world")),
        (b"<13>", (b"", b"", b"", b"")),
    ],
)
def test_rfc_3164_as_it_is_written(line: bytes, expected: tuple[bytes, ...]) -> None:
    assert parts(parsed(line)) == expected


def test_the_component_is_kept() -> None:
    assert parsed(b"Nov  3 10:00:00 web1 sshd(pam_unix)[12]: hi").field("component") == b"pam_unix"


@pytest.mark.parametrize(
    "line", [b"", b"hello", b"<>x", b"<192>x", b"<1234>x", b"<ab>x", b"Nov 3", b"Nov  3 10:00:0x web1 a: b", b"\0\0"]
)
def test_other_lines_are_not_syslog(line: bytes) -> None:
    assert parse_syslog(line) is None


def test_priority_gives_facility_and_severity() -> None:
    event = parsed(b"<165>1 2003-10-11T22:14:15.003Z host app - ID47 - hi")
    assert (event.facility, event.severity) == (b"local4", b"notice")
    assert (parsed(b"Nov  3 10:00:00 web1 a: b").facility, parsed(b"Nov  3 10:00:00 web1 a: b").severity) == (b"", b"")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - 'su root' failed", b"'su root' failed"),
        (b"<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - \xef\xbb\xbfhello", b"hello"),
        (b"<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 -", b""),
        (b'<34>1 - mymachine su - - [a b="c"]', b""),
        (b'<34>1 - mymachine su - - [a b="c"][d e="f"] hi', b"hi"),
    ],
)
def test_rfc_5424_messages(line: bytes, expected: bytes) -> None:
    event = parsed(line)
    assert event.message == expected
    assert (event.app, event.host) == (b"su", b"mymachine")


def test_rfc_5424_structured_data_undoes_escapes() -> None:
    event = parsed(rb'<34>1 - - - - - [x@1 a="q\"b" c="back\\" d="br\]" e="\n"][y f=""] m')
    assert dict(event.extra) == {
        "sd.x@1.a": b'q"b',
        "sd.x@1.c": b"back\\",
        "sd.x@1.d": b"br]",
        "sd.x@1.e": b"\\n",
        "sd.y.f": b"",
    }
    assert event.message == b"m"
    assert parts(event)[:3] == (b"", b"", b"")


@pytest.mark.parametrize(
    "line",
    [
        b"<34>1 - - - - -x",
        b"<34>1 - - - - - [",
        b"<34>1 - - - - - []",
        b'<34>1 - - - - - [a b="c',
        b'<34>1 - - - - - [a b="c" x',
        b"<34>1 - - - - - [a b]",
        b'<34>1 - - - - - [a b="c"]x',
        b"<34>1 yesterday a b c d - e",
        b"<34>1 - -",
    ],
)
def test_a_broken_rfc_5424_line_is_still_a_line_with_a_priority(line: bytes) -> None:
    event = parsed(line)
    assert event.pri == 34
    assert event.extra == {}


@given(
    st.dictionaries(
        st.from_regex(r"\A[a-z]{1,8}\Z"),
        st.binary(max_size=40).filter(lambda v: b"\n" not in v),
        min_size=1,
        max_size=5,
    ),
    st.binary(max_size=60).filter(lambda m: not m.startswith(b"\xef\xbb\xbf")),
)
def test_rfc_5424_parse_of_format_is_the_same(params: dict[str, bytes], message: bytes) -> None:
    def escaped(value: bytes) -> bytes:
        return value.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"]", b"\\]")

    data = b"".join(b' %s="%s"' % (name.encode(), escaped(value)) for name, value in params.items())
    event = parsed(b"<13>1 2024-11-03T10:00:00Z h a 1 id [x%s] %s" % (data, message))
    assert event.message == message
    assert {name.removeprefix("sd.x."): value for name, value in event.extra.items() if name != "msgid"} == params


@given(st.binary(max_size=400))
@example(b"<34>1 - - - - - [" + b"a" * 300)
def test_any_bytes_are_survived(line: bytes) -> None:
    event = parse_syslog(line)
    if event is not None:
        event.fields()
        assert event.message in line


@given(st.sampled_from([b"<34>1 - - - - - ", b"Nov  3 10:00:00 ", b"2024-11-03T10:00:00Z ", b"<1>"]), st.binary())
def test_any_bytes_behind_a_good_beginning_are_survived(begin: bytes, rest: bytes) -> None:
    parse_syslog(begin + rest)


@pytest.mark.parametrize("filler", [b'\\"', b"\\", b"[", b'[a b="c"]', b' b="c"', b"[a", b"a b=", b'"'])
def test_the_largest_hostile_line_takes_no_time(filler: bytes) -> None:
    line = (b'<34>1 - - - - - [a b="' + filler * 65_536)[:65_536]
    begin = time.perf_counter()
    parse_syslog(line)
    assert time.perf_counter() - begin < 0.5


@pytest.mark.parametrize(
    "head", ["Nov  3 10:00:00 web1 sshd[1]: ", "<38>1 2024-11-03T10:00:00Z web1 sshd 1 - - ", "<38>sshd: "]
)
def test_a_repeated_message_is_taken_for_what_it_repeats(head: str) -> None:
    line = f"{head}message repeated 5 times: [ Failed password for x] from [y]]".encode()
    event = parse_syslog(line)
    assert event is not None
    assert (event.message, event.repeated, event.raw) == (b"Failed password for x] from [y]", 5, line)


@pytest.mark.parametrize(
    ("message", "times"),
    [
        ("message repeated 1000 times: [ x]", 1000),
        ("message repeated 999999999 times: [ x]", 1000),
        ("message repeated 1 times: [ x]", 1),
        ("message repeated 2 times: [ message repeated 9 times: [ x]]", 2),
    ],
)
def test_how_often_a_message_was_repeated_is_bounded(message: str, times: int) -> None:
    event = parse_syslog(f"Nov  3 10:00:00 web1 a[1]: {message}".encode())
    assert event is not None
    assert event.repeated == times
    assert not event.message.startswith(b"message repeated 2")


@pytest.mark.parametrize(
    "message",
    [
        "message repeated 0 times: [ x]",
        "message repeated -1 times: [ x]",
        "message repeated 9999999999 times: [ x]",
        "message repeated times: [ x]",
        "message repeated 5 times: [ x",
        "message repeated 5 times: x",
        "message repeated 5 times: [ x] y",
        " message repeated 5 times: [ x]",
        "Failed password for message repeated 5 times: [ x]",
        "last message repeated 5 times",
    ],
)
def test_what_only_looks_like_a_repeated_message_is_left_alone(message: str) -> None:
    event = parse_syslog(f"Nov  3 10:00:00 web1 a[1]: {message}".encode())
    assert event is not None
    assert (event.message, event.repeated) == (message.encode(), 1)


def test_without_a_syslog_header_nothing_is_repeated() -> None:
    event = parse_auto(b"message repeated 5 times: [ x]")
    assert event is not None
    assert event.repeated == 1
