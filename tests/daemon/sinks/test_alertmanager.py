from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from history_tools import an_alert
from ironpost_core import Alert, Duration, Secret
from ironpost_core.testing import START, FakeClock
from ironpost_daemon.sinks import AlertmanagerSink, DeliveryError, build
from receiver import Answer, Receiver, a_receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


def sent(receiver: Receiver, alert: Alert, **options: Any) -> dict[str, Any]:
    build(AlertmanagerSink(url=Secret(receiver.url + "/"), **options), FakeClock()).deliver(alert)
    got = receiver.received[-1]
    assert got.path == "/api/v2/alerts"
    (entry,) = json.loads(got.body)
    assert isinstance(entry, dict)
    return entry


def test_labels_annotations_and_times(receiver: Receiver) -> None:
    entry = sent(receiver, an_alert(plugin="log_pipeline", host="web1"), resolve_after=Duration(60))
    assert entry["labels"] == {
        "alertname": "sshd-password-guessing",
        "rule": "sshd-password-guessing",
        "severity": "high",
        "plugin": "log_pipeline",
        "instance": "web1",
        "source_ip": "203.0.113.7",
    }
    assert entry["annotations"] == {
        "summary": "Password guessing",
        "description": "5 failed logins from 203.0.113.7",
        "id": "alert-0",
    }
    assert datetime.fromisoformat(entry["startsAt"]) == START
    assert datetime.fromisoformat(entry["endsAt"]) == START + timedelta(seconds=60)


def test_what_happened_long_ago_is_not_resolved_yet(receiver: Receiver) -> None:
    entry = sent(receiver, an_alert(time=START - timedelta(days=9)), resolve_after=Duration(60))
    assert datetime.fromisoformat(entry["endsAt"]) > START


def test_a_clock_that_is_ahead_gives_no_alert_that_ends_before_it_starts(receiver: Receiver) -> None:
    entry = sent(receiver, an_alert(time=START + timedelta(days=9)))
    assert entry["endsAt"] > entry["startsAt"]


def test_hostile_names_stay_values(receiver: Receiver) -> None:
    entry = sent(receiver, an_alert(rule='a"},{\n', host="\x00"))
    assert entry["labels"]["rule"] == 'a"},{\\n'
    assert entry["labels"]["instance"] == "\\x00"


def test_a_refusal_is_for_good(receiver: Receiver) -> None:
    receiver.answers.append(Answer(400))
    with pytest.raises(DeliveryError, match="400"):
        sent(receiver, an_alert())
