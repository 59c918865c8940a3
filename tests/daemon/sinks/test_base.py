from __future__ import annotations

from pathlib import Path

import pytest

from history_tools import an_alert
from ironpost_core import Alert, Severity
from ironpost_daemon.sinks import JsonlSink, StdoutSink, build, name_of
from ironpost_daemon.sinks.base import DeliveryError, Sink, SinkConfig


class Recorder(Sink):
    def __init__(self, **options: object) -> None:
        super().__init__(SinkConfig(**options), "recorder")  # type: ignore[arg-type]
        self.sent: list[str] = []

    def send(self, alert: Alert) -> None:
        if alert.rule == "broken":
            raise DeliveryError("no")
        self.sent.append(alert.rule)


def test_only_what_it_was_configured_for_is_sent() -> None:
    sink = Recorder(min_severity=Severity.MEDIUM, rules=("ssh-*", "scan"))
    for rule, severity in [("ssh-a", "low"), ("ssh-b", "medium"), ("scan", "critical"), ("scan-x", "critical")]:
        sink.deliver(an_alert(rule=rule, severity=Severity(severity)))
    assert sink.sent == ["ssh-b", "scan"]
    sink.close()


def test_failures_are_counted_and_passed_on() -> None:
    sink = Recorder()
    with pytest.raises(DeliveryError):
        sink.deliver(an_alert(rule="broken"))
    sink.deliver(an_alert(rule="fine"))
    assert sink.failures == 1


def test_a_sink_is_named_after_its_type_unless_configured() -> None:
    assert name_of(StdoutSink()) == build(StdoutSink()).name == "stdout"
    assert build(JsonlSink(path=Path("/nowhere/a"), name="archive")).name == "archive"
