from __future__ import annotations

import io

import pytest

from history_tools import an_alert
from ironpost_core import Alert
from ironpost_daemon.sinks.stdout import StdoutPrinter, StdoutSink, line_of
from ironpost_daemon.subscription import RetryError


def test_a_line_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    StdoutPrinter(StdoutSink(), "stdout").deliver(an_alert(plugin="log"))
    assert capsys.readouterr().out == (
        "2026-01-01T12:00:00Z high     log/sshd-password-guessing Password guessing"
        " (5 failed logins from 203.0.113.7) source_ip=203.0.113.7\n"
    )


def test_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    alert = an_alert()
    StdoutPrinter(StdoutSink(format="json"), "stdout").deliver(alert)
    assert Alert.from_json(capsys.readouterr().out) == alert


def test_nothing_acts_on_the_terminal() -> None:
    line = line_of(an_alert(rule="\x1b[2J", host="\r\n", title="a\x07\u202eb"))
    assert line.isprintable()


def test_a_poor_encoding_loses_nothing() -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, "ascii") as stream:
        StdoutPrinter(StdoutSink(), "stdout", stream).deliver(an_alert(title="Größe"))
        assert b"Gr\\xf6\\xdfe" in raw.getvalue()


def test_a_closed_output_is_tried_again() -> None:
    stream = io.StringIO()
    stream.close()
    with pytest.raises(RetryError, match="standard output"):
        StdoutPrinter(StdoutSink(), "stdout", stream).deliver(an_alert())
