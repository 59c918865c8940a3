from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironpost_logpipe.event import Event
from ironpost_logpipe.weblogs import parse_access, parse_apache_error, parse_nginx_error

TIME = b"24/Nov/2026:22:38:51 +0000"


def access(line: bytes) -> Event:
    event = parse_access(line)
    assert event is not None, line
    return event


def combined(request: bytes, referrer: bytes = b"-", agent: bytes = b"-", head: bytes = b"192.0.2.1 - -") -> Event:
    return access(head + b" [" + TIME + b'] "' + request + b'" 404 153 "' + referrer + b'" "' + agent + b'"')


def test_a_combined_line() -> None:
    event = combined(
        b"GET /a/b%20c?x=1&y=?2 HTTP/1.1", b"https://example.com/", b"Mozilla/5.0 (X11)", b"2001:db8::1 - bob"
    )
    assert event.stamp == TIME
    assert event.message == event.raw
    assert dict(event.extra) == {
        "source_ip": b"2001:db8::1",
        "client": b"2001:db8::1",
        "user": b"bob",
        "status": b"404",
        "size": b"153",
        "request": b"GET /a/b%20c?x=1&y=?2 HTTP/1.1",
        "method": b"GET",
        "path": b"/a/b%20c",
        "query": b"x=1&y=?2",
        "protocol": b"HTTP/1.1",
        "referrer": b"https://example.com/",
        "user_agent": b"Mozilla/5.0 (X11)",
    }


def test_a_common_line_has_neither_referrer_nor_user_agent() -> None:
    event = access(b"192.0.2.1 - - [" + TIME + b'] "GET / HTTP/1.0" 200 -')
    assert event.field("status") == b"200"
    assert not {"size", "referrer", "user_agent", "user"} & set(event.extra)


def test_a_line_with_the_virtual_host_in_front() -> None:
    event = combined(b"GET / HTTP/1.1", head=b"www.example.com:443 192.0.2.1 - -")
    assert (event.field("vhost"), event.field("source_ip")) == (b"www.example.com", b"192.0.2.1")


def test_what_comes_behind_the_user_agent_is_passed_over() -> None:
    event = access(b"192.0.2.1 - - [" + TIME + b'] "GET / HTTP/1.0" 200 5 "-" "curl" "198.51.100.9" rt=0.1')
    assert (event.field("user_agent"), event.field("source_ip")) == (b"curl", b"192.0.2.1")


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (b"", {}),
        (b"-", {}),
        (rb"\x16\x03\x01", {}),
        (b"GET /x", {"method": b"GET", "path": b"/x"}),
        (b"GET /a b HTTP/1.1", {"method": b"GET", "path": b"/a b", "protocol": b"HTTP/1.1"}),
        (rb"GET /\x22 HTTP/1.1", {"method": b"GET", "path": b'/"', "protocol": b"HTTP/1.1"}),
        (rb"GET /\" \"x HTTP/1.1", {"method": b"GET", "path": b'/" "x', "protocol": b"HTTP/1.1"}),
        (b"OPTIONS * HTTP/2.0", {"method": b"OPTIONS", "path": b"*", "protocol": b"HTTP/2.0"}),
    ],
)
def test_odd_requests(request_: bytes, fields: dict[str, bytes]) -> None:
    event = combined(request_)
    assert event.field("status") == b"404"
    names = ("method", "path", "query", "protocol")
    assert {name: event.extra[name] for name in names if name in event.extra} == fields


def test_what_is_no_request_is_kept_as_one() -> None:
    assert combined(rb"\x16\x03\x01").field("request") == b"\x16\x03\x01"
    assert "request" not in combined(b"").extra


@pytest.mark.parametrize(
    "head",
    [
        b"host.example.com - -",
        b"192.0.2.1.example.com - -",
        b"host.example.com 198.51.100.9 -",  # an identity that the client's own machine claims
        b"unix: - -",
    ],
)
def test_a_client_that_is_no_address_is_no_source(head: bytes) -> None:
    event = combined(b"GET / HTTP/1.1", head=head)
    assert event.field("source_ip") == b""
    assert event.field("client") == head.split()[0]


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"x", b'] "', b'192.0.2.1 - - [] "GET / HTTP/1.1" 200 1'),
        b"192.0.2.1 - - [" + TIME + b'] "GET /',
        b"192.0.2.1 - - [" + TIME + b'] "GET /" 20 1',
        b"192.0.2.1 - - [" + TIME + b'] "GET /" abc 1',
        b"192.0.2.1 - - [" + TIME + b'] "GET /" 200',
        b"192.0.2.1 - [" + TIME + b'] "GET /" 200 1',
        b'192.0.2.1 - - [24.Nov.2026:22:38:51 +0000] "GET /" 200 1',
        b"www:80 192.0.2.1 - [" + TIME + b'] "GET /" 200 1',
    ],
)
def test_what_is_no_access_log_is_refused(line: bytes) -> None:
    assert parse_access(line) is None


def nginx(text: bytes) -> bytes:
    return b"".join(b"\\x%02X" % c if c < 32 or c > 126 or c in b'"\\' else bytes((c,)) for c in text)


def apache(text: bytes) -> bytes:
    short = {8: b"\\b", 9: b"\\t", 10: b"\\n", 11: b"\\v", 12: b"\\f", 13: b"\\r", 34: b'\\"', 92: b"\\\\"}
    return b"".join(short.get(c) or (b"\\x%02x" % c if c < 32 or c > 126 else bytes((c,))) for c in text)


_HOSTILE = st.lists(
    st.sampled_from(
        [
            *(b'"', b"\\", b" ", b"] ", b'] "', b'" 200 1 "-" "-"', b"\n", b"\0", b"\xff", "é".encode(), b"- - ", b"x"),
            *(b"198.51.100.9", b"198.51.100.9 - - [" + TIME + b'] "GET / HTTP/1.1" 200 1 "-" "-"', b"\\x22", b'\\"'),
        ]
    ),
    min_size=1,
    max_size=6,
).map(b"".join)


@given(st.sampled_from([nginx, apache]), _HOSTILE, _HOSTILE, _HOSTILE, _HOSTILE)
def test_no_text_of_an_attacker_shifts_a_field(
    escape: object, path: bytes, user: bytes, referrer: bytes, agent: bytes
) -> None:
    assert callable(escape)
    event = combined(
        escape(b"GET /" + path + b" HTTP/1.1"), escape(referrer), escape(agent), b"192.0.2.1 - " + escape(user)
    )
    assert event.field("source_ip") == b"192.0.2.1"
    assert event.field("user") == (b"" if user == b"-" else user)
    assert event.field("request") == b"GET /" + path + b" HTTP/1.1"
    assert event.field("path") == b"/" + path.partition(b"?")[0]
    assert event.field("status") == b"404"
    assert (event.field("referrer"), event.field("user_agent")) == (referrer, agent)


def error(line: bytes) -> Event:
    event = parse_apache_error(line) or parse_nginx_error(line)
    assert not (parse_apache_error(line) and parse_nginx_error(line))
    assert event is not None, line
    return event


def test_an_error_of_nginx() -> None:
    event = error(
        b'2026/11/24 22:38:51 [error] 12#34: *3 open() "/srv/x" failed (2: No such file or directory),'
        b' client: 192.0.2.1, server: _, request: "GET /x HTTP/1.1", host: "x"'
    )
    assert (event.stamp, event.severity, event.pid) == (b"2026/11/24 22:38:51", b"err", b"12")
    assert event.message.startswith(b'open() "/srv/x" failed')
    assert event.field("client") == b"192.0.2.1"
    assert event.field("source_ip") == b""
    assert event.forgeable


def test_a_second_client_in_an_error_of_nginx_leaves_none() -> None:
    event = error(
        b'2026/11/24 22:38:51 [error] 1#1: *3 open() "/srv/x, client: 198.51.100.9, server: y" failed,'
        b" client: 192.0.2.1, server: _"
    )
    assert event.field("client") == b""


def test_a_notice_of_nginx_is_about_no_connection() -> None:
    event = error(b'2026/11/24 22:38:50 [notice] 12#12: using the "epoll" event method')
    assert (event.message, event.severity) == (b'using the "epoll" event method', b"notice")


def test_an_error_of_apache() -> None:
    event = error(
        b"[Tue Nov 24 22:28:12.123456 2026] [core:error] [pid 12:tid 34] [client 192.0.2.1:5050] AH00126: Invalid URI"
        rb" \"x\", referer: [client 198.51.100.9:1] y"
    )
    assert (event.stamp, event.severity, event.pid) == (b"Tue Nov 24 22:28:12.123456 2026", b"err", b"12")
    assert event.message == b'AH00126: Invalid URI "x", referer: [client 198.51.100.9:1] y'
    assert dict(event.extra) == {"component": b"core", "client": b"192.0.2.1", "source_ip": b"192.0.2.1"}
    assert not event.forgeable


@pytest.mark.parametrize(
    ("text", "source", "message"),
    [
        (b"[client 2001:db8::1:443] x", b"2001:db8::1", b"x"),
        (b"(13)Permission denied: [client 192.0.2.1:5] AH1: x", b"192.0.2.1", b"AH1: x"),
        (b"(13)Permission denied: AH1: x: [client 192.0.2.1:5] y", b"", None),
        (b"AH1: x [client 192.0.2.1:5] y", b"", None),
        (b"[client host.example.com:5] x", b"", b"x"),
        (b"[client 192.0.2.1:5", b"", None),
    ],
)
def test_only_what_apache_itself_wrote_in_front_is_the_client(
    text: bytes, source: bytes, message: bytes | None
) -> None:
    event = error(b"[Tue Nov 24 22:28:12.123456 2026] [core:trace1] [pid 12] " + text)
    assert event.field("source_ip") == source
    assert event.message == (text if message is None else message)


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"[", b"[error] x", b"[Tue Nov 24 22:28:12 2026] x", b"[Tue Nov 24 22:28:12 2026] [loud] x"),
        *(b"2026/11/24 22:38:51 [error] x", b"2026/11/24 22:38:51 [loud] 1#1: x", b"2026/11/24 22:38:51 [error] 1: x"),
    ],
)
def test_what_is_no_error_log_is_refused(line: bytes) -> None:
    assert parse_apache_error(line) is None
    assert parse_nginx_error(line) is None
