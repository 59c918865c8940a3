"""Sinks: the ways in which alerts leave the host. Each is a subscriber of the bus and reads the history by itself."""

from __future__ import annotations

from ironpost_core import Clock
from ironpost_core.clock import SystemClock
from ironpost_daemon.sinks.alertmanager import Alertmanager, AlertmanagerSink
from ironpost_daemon.sinks.base import DeliveryError, Sink
from ironpost_daemon.sinks.jsonl import JsonlSink, JsonlWriter
from ironpost_daemon.sinks.stdout import StdoutPrinter, StdoutSink
from ironpost_daemon.sinks.webhook import Webhook, WebhookSink

__all__ = [
    "AlertmanagerSink",
    "AnySink",
    "DeliveryError",
    "JsonlSink",
    "Sink",
    "StdoutSink",
    "WebhookSink",
    "build",
    "name_of",
]

AnySink = JsonlSink | StdoutSink | WebhookSink | AlertmanagerSink


def name_of(config: AnySink) -> str:
    """The name of a sink: as configured, else its type."""
    return config.name or config.type


def build(config: AnySink, clock: Clock | None = None) -> Sink:
    """Make a sink from its configuration.

    Raises:
        ConfigError: a secret or file that it names can't be used.
    """
    clock = clock or SystemClock()
    name = name_of(config)
    if isinstance(config, JsonlSink):
        return JsonlWriter(config, name, clock)
    if isinstance(config, StdoutSink):
        return StdoutPrinter(config, name)
    if isinstance(config, WebhookSink):
        return Webhook(config, name, clock)
    return Alertmanager(config, name, clock)
