from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ironpost_core import Section, Severity
from ironpost_core.config import load
from ironpost_daemon.alerts_config import AlertsConfig
from ironpost_daemon.sinks import AlertmanagerSink, JsonlSink, StdoutSink, WebhookSink

SECTION = Section(name="alerts", type=AlertsConfig, help="")


def loaded(text: str) -> AlertsConfig:
    found = load(text.encode(), file="f.toml", sections=[SECTION], environ={})
    assert found.problems == ()
    config = found.values["alerts"]
    assert isinstance(config, AlertsConfig)
    return config


def problems(text: str) -> str:
    return "\n".join(map(str, load(text.encode(), file="f.toml", sections=[SECTION], environ={}).problems))


def test_defaults() -> None:
    config = AlertsConfig()
    assert (config.history_days, config.backlog, config.queue_capacity, config.sinks) == (30, 10_000, 10_000, ())
    assert timedelta(seconds=config.replay_max_age) == timedelta(minutes=5)


def test_every_type_of_sink() -> None:
    config = loaded("""
        [alerts]
        replay_max_age = "1m"
        [[alerts.sinks]]
        type = "jsonl"
        path = "/var/log/alerts.jsonl"
        max_size = "1MiB"
        [[alerts.sinks]]
        type = "stdout"
        min_severity = "high"
        rules = ["ssh-*"]
        [[alerts.sinks]]
        type = "webhook"
        url = {env = "SLACK"}
        body = '{"text": "${title}"}'
        headers = {X-Key = "k", X-Other = {file = "/run/key"}}
        [[alerts.sinks]]
        type = "alertmanager"
        url = "http://localhost:9093"
    """)
    jsonl, stdout, webhook, alertmanager = config.sinks
    assert isinstance(jsonl, JsonlSink)
    assert jsonl.path == Path("/var/log/alerts.jsonl")
    assert isinstance(stdout, StdoutSink)
    assert (stdout.min_severity, stdout.rules) == (Severity.HIGH, ("ssh-*",))
    assert isinstance(webhook, WebhookSink)
    assert list(webhook.headers) == ["X-Key", "X-Other"]
    assert isinstance(alertmanager, AlertmanagerSink)
    assert "localhost" not in repr(alertmanager), "an address may hold a token"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[alerts.sinks]]\ntype = "webhok"', 'did you mean "webhook"'),
        ('[[alerts.sinks]]\ntype = "jsonl"', "path"),
        ('[[alerts.sinks]]\ntype = "webhook"\nurl = "slack.com"', "an address such as"),
        ('[[alerts.sinks]]\ntype = "webhook"\nurl = "http://a"\nbody = "${titel}"', 'did you mean "title"'),
        ('[[alerts.sinks]]\ntype = "webhook"\nurl = "http://a"\nusername = "u"', "password"),
        ('[[alerts.sinks]]\ntype = "stdout"\n[[alerts.sinks]]\ntype = "stdout"', "a name of its own"),
        ("[alerts]\nhistory_days = 0", "history_days"),
    ],
)
def test_problems_are_named(text: str, message: str) -> None:
    assert message in problems(text)


def test_a_wrong_address_is_not_shown() -> None:
    assert "T0KEN" not in problems('[[alerts.sinks]]\ntype = "webhook"\nurl = "ftp://T0KEN"')
