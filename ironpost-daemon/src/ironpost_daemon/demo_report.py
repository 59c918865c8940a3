"""What the demo prints. Everything that may come from an attacker is escaped; nothing is read as markup."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from ironpost_core import Alert, Severity
from ironpost_core.alerts import readable
from ironpost_daemon.demo_daemon import Found, Progress
from ironpost_daemon.status import PluginStatus

_STYLES: Final = {
    Severity.INFO: "dim",
    Severity.LOW: "cyan",
    Severity.MEDIUM: "yellow",
    Severity.HIGH: "red",
    Severity.CRITICAL: "bold red",
}
_TOP: Final = 10


class Report:
    """Writes to stdout, problems to stderr; in colour only on a terminal."""

    def __init__(self, out: Console | None = None, err: Console | None = None) -> None:
        self._out = out or Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
        self._err = err or Console(markup=False, emoji=False, highlight=False, soft_wrap=True, stderr=True)

    def say(self, text: str) -> None:
        """One line."""
        self._out.print(text)

    def error(self, text: str) -> None:
        """What went wrong; may have several lines."""
        safe = "\n".join(readable(line) for line in f"demo: {text}".splitlines())
        self._err.print(safe)

    def begin(self, lines: int, whose: str, url: str, *, unfinished: bool = False) -> None:
        """What will happen."""
        self.say(f"A real ironpost-daemon reads {lines:,} lines of {whose} log in a scratch folder, without root.")
        if unfinished:
            self.say("The file's last line has no end yet and is not read.")
        self.say(f"Metrics: {url}\n")

    def alert(self, alert: Alert) -> None:
        """One alert on one line."""
        local = alert.time.astimezone()
        line = Text(f"{local:%Y-%m-%d %H:%M:%S}  ")
        line.append(f"{alert.severity!s:8}", style=_STYLES[alert.severity])
        line.append(f"  {alert.rule}", style="bold")
        line.append(f"  {alert.title}")
        line.append("".join(f"  {key}={seen.value}" for key, seen in alert.observables.items()), style="dim")
        line.append(f"  ({alert.count} times)" if alert.count > 1 else "")
        self._out.print(line)

    def summary(self, found: Found, progress: Progress, lines: int, url: str) -> None:
        """The numbers at the end; all but the names come from a scrape."""
        self._out.print(Text("\nSummary", style="bold"))
        self._row("lines", f"{progress.read:,} of {lines:,} read, {progress.parse_errors:,} not understood")
        self._row("rule matches", f"{progress.matches:,}")
        self._row("alerts", f"{progress.stored:,}")
        severities = [(str(level), found.severities[str(level)]) for level in reversed(Severity)]
        self._counts("by severity", [(name, count) for name, count in severities if count])
        self._counts("by rule", found.rules.most_common(_TOP))
        self._counts("top sources", found.sources.most_common(_TOP))
        self._row("metrics", url)

    def _row(self, name: str, value: str) -> None:
        self._out.print(Text(f"  {name:13} ", style="dim").append(value, style="not dim"))

    def _counts(self, name: str, counts: Iterable[tuple[str, int]]) -> None:
        for key, count in counts:
            self._row(name, f"{count:6,}  {readable(key)}")
            name = ""

    def left_out(self, plugins: Iterable[PluginStatus]) -> None:
        """What the demo could not show."""
        for plugin in plugins:
            reason = plugin.reason or f"{plugin.life}, {plugin.health}"
            self._row("not shown", readable(f"{plugin.name} ({_what(plugin.distribution)}): {reason}"))

    def serving(self, config: Path, url: str) -> None:
        """How to look around."""
        self.say("\nIt goes on serving until Ctrl-C. In another terminal:")
        self.say(f"  curl {url}")
        self.say(f"  {Path(sys.executable).with_name('ironpost')} --config {config} status")


def _what(distribution: str) -> str:
    """What a plugin is for, in the words of its own distribution."""
    try:
        summary = importlib.metadata.metadata(distribution)["Summary"]
    except (importlib.metadata.PackageNotFoundError, KeyError):
        return distribution
    return str(summary).rstrip(".")
