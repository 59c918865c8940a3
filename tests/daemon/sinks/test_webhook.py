from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from history_tools import LOG, PATIENCE, a_history, an_alert, until
from ironpost_core import Alert, ConfigError, Secret
from ironpost_core.testing import START, FakeClock
from ironpost_daemon.bus import Bus
from ironpost_daemon.sinks import WebhookSink, build
from ironpost_daemon.subscription import RetryError
from receiver import Answer, Receiver, a_receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


def deliver(receiver: Receiver, alert: Alert, **options: Any) -> None:
    build(WebhookSink(url=Secret(receiver.url), **options), FakeClock()).deliver(alert)


def test_by_default_the_alert_itself(receiver: Receiver) -> None:
    alert = an_alert()
    deliver(receiver, alert)
    assert Alert.from_json(receiver.received[0].body) == alert
    assert "X-Ironpost-Signature" not in receiver.received[0].headers


def test_a_template_for_a_chat(receiver: Receiver) -> None:
    deliver(receiver, an_alert(title="<!here>"), body='{"text": "${severity}: ${title}"}', markup="html")
    assert json.loads(receiver.received[0].body) == {"text": "high: &lt;!here&gt;"}
    assert receiver.received[0].headers["Content-Type"] == "application/json"


def test_the_signature_covers_time_and_body(receiver: Receiver) -> None:
    deliver(receiver, an_alert(), secret=Secret("s3cret"))
    got = receiver.received[0]
    timestamp = got.headers["X-Ironpost-Timestamp"]
    assert timestamp == str(int(START.timestamp()))
    digest = hmac.new(b"s3cret", f"{timestamp}.".encode() + got.body, hashlib.sha256).hexdigest()
    assert got.headers["X-Ironpost-Signature"] == f"sha256={digest}"


def test_a_missing_secret_is_said_at_the_start_and_waited_for_later(receiver: Receiver, tmp_path: Path) -> None:
    config = WebhookSink(url=Secret(receiver.url), secret=Secret(str(tmp_path / "s"), "file"))
    with pytest.raises(ConfigError):
        build(config)
    (tmp_path / "s").write_text("x")
    sink = build(config)
    (tmp_path / "s").unlink()
    with pytest.raises(RetryError):
        sink.deliver(an_alert())
    assert sink.failures == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"body": "${nonsense}"}, "unknown placeholder"),
        ({"content_type": "text/plain\r\nX: y"}, "a content type"),
        ({"content_type": "text/plain", "body": "${alert}"}, "unknown placeholder"),
    ],
)
def test_mistakes_in_the_configuration(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WebhookSink(url=Secret("http://localhost"), **options)


def test_an_outage_delays_and_repeats_nothing_once_taken(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The whole way: history, bus, sink, a receiver that is down for a while and refuses one alert for good."""
    bus: Bus
    clock = FakeClock()
    receiver.answers += [Answer(503), Answer(503, {"Retry-After": "30"}), Answer(), Answer(400), Answer()]
    with a_history(tmp_path / "h", clock=clock, on_stored=lambda alerts: bus.wake()) as history:
        bus = Bus(history, clock=clock, log=LOG, replay_max_age=300)
        url = receiver.url + "/T0KEN"
        sink = build(WebhookSink(url=Secret(url), secret=Secret("s3cret"), body='"${id}"'), clock)
        subscription = bus.subscribe("sink:webhook", sink.deliver, not_from=None)
        subscription.start()
        publisher = history.publisher("p")
        for number in (1, 2, 3):
            publisher.publish(an_alert(number))
        until(lambda: len(receiver.received) == 5, lambda: clock.advance(10))
        until(lambda: subscription.lag == 0)
        assert bus.stop(PATIENCE)
    bodies = [got.body for got in receiver.received]
    assert bodies == [b'"alert-1"'] * 3 + [b'"alert-2"', b'"alert-3"']
    assert sink.failures == 3
    assert "T0KEN" not in caplog.text
    assert "s3cret" not in caplog.text
