from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironpost_logpipe.dockerjson import piece
from ironpost_logpipe.event import Event
from ironpost_logpipe.parsers import parse

TIME = "2026-11-24T22:38:51.123456789Z"


def record(text: str, stream: str = "stdout", **more: object) -> bytes:
    return json.dumps({"log": text, "stream": stream, **more, "time": TIME}, separators=(",", ":")).encode()


def read(line: bytes, format_: str = "docker") -> Event:
    event = parse(line, format_)
    assert event is not None
    return event


def test_what_a_container_wrote_is_read_as_any_line() -> None:
    line = record("Nov  3 10:00:00 web1 sshd[1]: Failed <b>\r\n", "stderr", attrs={"tag": "x"})
    event = read(line)
    assert (event.app, event.message, event.raw) == (b"sshd", b"Failed <b>", line)
    assert event.stamp == TIME.encode()  # Docker's own, not what the container says
    assert event.field("stream") == b"stderr"


def test_json_inside() -> None:
    event = read(record('{"msg": "\\u0046ailed", "stream": "x"}\n'))
    assert event.message == b"Failed"
    assert (event.field("stream"), event.field("json.stream")) == (b"stdout", b"x")
    assert event.fields()["json.msg"] == b"Failed"


def test_pieces_are_one_line() -> None:
    event = read(b"\n".join([record("ab"), record("c "), record("d\n")]))
    assert event.message == b"abc d"


def test_a_pinned_inner_format_refuses_other_lines() -> None:
    assert parse(record("text\n"), "docker/json") is None
    assert read(record('{"a": 1}\n'), "docker/json").field("json.a") == b"1"
    assert read(record('{"a": 1}\n'), "docker/plain").message == b'{"a": 1}'


@pytest.mark.parametrize(
    "line", [b"text", b"{}", b'{"log":"x","stream":"stdout"}', b'{"log":null,"stream":"","time":""}']
)
def test_what_is_no_record_is_refused(line: bytes) -> None:
    assert parse(line, "docker") is None
    assert parse(record("a") + b"\n" + line, "docker") is None


@pytest.mark.parametrize(
    ("text", "goes_on"),
    [
        *(("a\n", False), ("a", True), ("", True), ("\n", False), ("a\\n", True), ("a\\\n", False), ("a\\\\n", True)),
        *(('","stream":"x', True), ('"\n', False), ("n", True)),
    ],
)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_whether_a_line_goes_on(text: str, goes_on: bool, stream: str) -> None:
    assert piece(record(text, stream)) == (stream.encode(), goes_on)
    assert piece(json.dumps({"time": TIME, "stream": stream, "log": text}, indent=1).encode()) == (
        stream.encode(),
        goes_on,
    )


def test_what_is_no_record_does_not_go_on() -> None:
    assert piece(b"text") == (b"", False)


@given(st.text(max_size=30))
def test_whether_a_line_goes_on_is_seen_without_decoding(text: str) -> None:
    assert piece(record(text)) == (b"stdout", not text.endswith("\n"))
