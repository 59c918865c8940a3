from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from ironpost_core import Secret
from ironpost_daemon import logs
from ironpost_daemon.logs import BURST, REMEMBERED, WINDOW, JsonFormatter, RepeatHandler, TextFormatter

log = logging.getLogger("ironpost.test")
HOSTILE = "user \x1b[31mroot\x00\r\n2026-01-01 INFO ironpost: all is well \u2028 \u202e \x85 \x7f"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("ironpost")
    before = (list(root.handlers), root.level, ours.level)
    yield
    for handler in list(root.handlers):
        if isinstance(handler, RepeatHandler):
            root.removeHandler(handler)
            handler.close()
    root.setLevel(before[1])
    ours.setLevel(before[2])


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_as_json_is_one_object_on_one_line(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream)
    log.warning("ban %s", "203.0.113.7", extra={"fields": {"ttl": 60, "by": ["a", Secret("x")], "level": "mine"}})
    (record,) = lines(stream)
    assert record.pop("time").endswith("Z")
    assert record == {
        "level": "warning",
        "logger": "ironpost.test",
        "message": "ban 203.0.113.7",
        "ttl": 60,
        "by": ["a", "***"],
    }


def test_a_record_as_text_is_one_line_with_its_fields(stream: io.StringIO) -> None:
    logs.configure("info", "text", stream)
    log.info("ready", extra={"fields": {"url": "http://x", "note": "two words", "none": ""}})
    assert stream.getvalue().endswith(' INFO    ironpost.test: ready url=http://x note="two words" none=""\n')


def test_auto_means_text_on_a_terminal_and_json_otherwise(stream: io.StringIO) -> None:
    terminal = Terminal()
    logs.configure("info", "auto", terminal)
    log.info("one")
    logs.configure("info", "auto", stream)
    log.info("two")
    assert terminal.getvalue().endswith("ironpost.test: one\n")
    assert [line["message"] for line in lines(stream)] == ["two"]


@pytest.mark.parametrize("style", ["text", "json"])
def test_nobody_can_forge_a_line_or_drive_the_terminal(stream: io.StringIO, style: str) -> None:
    logs.configure("info", style, stream)
    logging.getLogger(f"ironpost.{HOSTILE}").error(
        "%s", HOSTILE, extra={"fields": {HOSTILE: HOSTILE, "list": [HOSTILE]}}
    )
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        log.exception(HOSTILE)
    written = stream.getvalue()
    first, *rest = written.split("\n")
    assert first.isprintable()
    assert all(line.isprintable() for line in rest)
    if style == "text":
        assert all(line.startswith("    | ") for line in rest[1:-1])
    else:
        assert len(written.splitlines()) == 2
        assert lines(stream)[0]["message"] == HOSTILE


def test_a_secret_is_never_shown(stream: io.StringIO) -> None:
    logs.configure("info", "text", stream)
    log.info("%s %r", Secret("hunter2"), {"a": Secret("hunter2")}, extra={"fields": {"token": Secret("hunter2")}})
    assert "hunter2" not in stream.getvalue()
    assert "token=***" in stream.getvalue()


def test_levels_hold_for_ours_and_others_log_from_warning_on(stream: io.StringIO) -> None:
    logs.configure("debug", "json", stream)
    log.debug("ours")
    logging.getLogger("aiohttp").info("theirs")
    logging.getLogger("aiohttp").warning("theirs, serious")
    logs.set_level("error")
    log.warning("too little")
    log.error("enough")
    assert [line["message"] for line in lines(stream)] == ["ours", "theirs, serious", "enough"]


def test_what_is_no_level_or_style_is_refused(stream: io.StringIO) -> None:
    with pytest.raises(ValueError, match="debug, info"):
        logs.configure("loud", "text", stream)
    with pytest.raises(ValueError, match="text, json or auto"):
        logs.configure("info", "xml", stream)


def test_a_long_message_and_a_long_traceback_are_cut(stream: io.StringIO) -> None:
    def deep(n: int) -> None:
        if n == 0:
            raise RuntimeError("deep")
        deep(n - 1)

    for style in ("text", "json"):
        logs.configure("info", style, stream)
        log.info("x" * 1_000_000)
        cause: Exception | None = None
        for _ in range(100):
            try:
                raise ValueError("y" * 100_000) from cause
            except ValueError as error:
                cause = error
        log.error("chain", exc_info=cause)
        try:
            deep(900)
        except RuntimeError:
            log.exception("deep")
    assert len(stream.getvalue()) < 100_000
    assert stream.getvalue().count("RuntimeError: deep") == 2
    assert "lines left out" in stream.getvalue()


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(("text", "args"), [("%d", ("x",)), ("%s %s", (1,)), ("%s", (Unprintable(),)), ("%", (1,))])
def test_arguments_that_do_not_fit_are_shown_and_raise_nothing(
    stream: io.StringIO, repeating: RepeatHandler, text: str, args: tuple[object, ...]
) -> None:
    repeating.handle(logging.LogRecord("ironpost.x", logging.INFO, __file__, 1, text, args, None))
    assert "do not fit" in lines(stream)[0]["message"]


def test_fields_that_json_does_not_know_become_text(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream)
    circle: list[object] = []
    circle.append(circle)
    fields = {"nan": float("nan"), "half": 0.5, "bytes": b"\xff", 5: {"a": circle}, "circle": circle, "lone": "\ud800"}
    log.info("x", extra={"fields": fields})
    log.info("y", extra={"fields": "nonsense"})
    record = lines(stream)[0]
    assert (record["nan"], record["half"], record["bytes"]) == ("nan", 0.5, "b'\\xff'")
    assert len(lines(stream)) == 2


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def repeating(stream: io.StringIO, clock: Time) -> Iterator[RepeatHandler]:
    handler = RepeatHandler(stream, clock)
    handler.setFormatter(JsonFormatter())
    yield handler
    handler.close()


def say(handler: RepeatHandler, text: str, level: int = logging.ERROR) -> None:
    handler.handle(logging.LogRecord("ironpost.x", level, __file__, 1, text, None, None))


def test_identical_records_are_counted_and_the_count_is_told(
    stream: io.StringIO, clock: Time, repeating: RepeatHandler
) -> None:
    for _ in range(BURST + 7):
        say(repeating, "again")
    say(repeating, "again", logging.INFO)
    say(repeating, "other")
    assert len(lines(stream)) == BURST + 2
    clock.now = WINDOW + 1
    say(repeating, "next")
    *_, summary, following = lines(stream)
    assert summary["message"] == "again (repeated 7 more times)"
    assert (summary["suppressed"], summary["level"]) == (7, "error")
    assert following["message"] == "next"
    say(repeating, "again")
    assert lines(stream)[-1]["message"] == "again"


def test_what_was_left_out_is_told_at_the_end(stream: io.StringIO, repeating: RepeatHandler) -> None:
    for _ in range(BURST + 2):
        say(repeating, "again")
    repeating.close()
    assert lines(stream)[-1]["suppressed"] == 2


def test_the_table_of_repetitions_is_bounded(stream: io.StringIO, repeating: RepeatHandler) -> None:
    for _ in range(BURST + 1):
        say(repeating, "first")
    for number in range(3 * REMEMBERED):
        say(repeating, f"number {number}")
    assert len(repeating._seen) <= REMEMBERED
    assert [line["suppressed"] for line in lines(stream) if "suppressed" in line] == [1]


def test_configuring_again_replaces_only_our_handler(stream: io.StringIO) -> None:
    mine = logging.NullHandler()
    logging.getLogger().addHandler(mine)
    logs.configure("info", "text", io.StringIO())
    logs.configure("info", "text", stream)
    log.info("once")
    assert stream.getvalue().count("once") == 1
    assert mine in logging.getLogger().handlers
    logging.getLogger().removeHandler(mine)


def test_importing_changes_nothing() -> None:
    assert not any(isinstance(handler, RepeatHandler) for handler in logging.getLogger().handlers)
    assert isinstance(TextFormatter(), logging.Formatter)
