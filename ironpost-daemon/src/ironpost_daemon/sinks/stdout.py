"""Alerts on standard output, for people or for a service manager's journal."""

from __future__ import annotations

import sys
from typing import Literal, TextIO

import attrs

from ironpost_core import Alert, setting
from ironpost_core.alerts import readable
from ironpost_daemon.sinks.base import Sink, SinkConfig
from ironpost_daemon.subscription import RetryError


@attrs.frozen(kw_only=True)
class StdoutSink(SinkConfig):
    """Prints alerts."""

    type: Literal["stdout"] = setting(default="stdout", help="Standard output.")
    format: Literal["text", "json"] = setting(default="text", help="A line for people, or a line of JSON.")


class StdoutPrinter(Sink):
    """One line for each alert, flushed."""

    def __init__(self, config: StdoutSink, name: str, stream: TextIO | None = None) -> None:
        super().__init__(config, name)
        self._as_json = config.format == "json"
        self._stream = stream

    def send(self, alert: Alert) -> None:
        """Print it; RetryError when standard output does not take it."""
        stream = self._stream or sys.stdout
        line = alert.to_json() if self._as_json else line_of(alert)
        try:
            # A terminal's encoding may lack characters that the alert has.
            encoding = stream.encoding or "utf-8"
            stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            stream.flush()
        except (OSError, ValueError) as error:
            raise RetryError(f"standard output can't be written: {error}") from error


def line_of(alert: Alert) -> str:
    """An alert as a line for people, free of anything that a terminal would act on."""
    about = " ".join(f"{key}={item.value}" for key, item in alert.observables.items())
    parts = [
        f"{alert.time:%Y-%m-%dT%H:%M:%SZ}",
        f"{alert.severity!s:8}",
        f"{alert.plugin}/{alert.rule}",
        alert.title,
        f"({alert.message})" if alert.message else "",
        about,
    ]
    return readable(" ".join(part for part in parts if part), 4_000)
