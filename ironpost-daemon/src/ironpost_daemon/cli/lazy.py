"""A click group whose commands are imported only when they are run: built-in ones, and the group ``ironpost.commands``.

Listing and completing give stubs, so that one slow or broken command costs the others nothing.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ironpost_daemon.discovery import Candidate

#: Name → where it is, and its line in the help.
BUILT_IN: Final[Mapping[str, tuple[str, str]]] = {
    "alerts": ("ironpost_daemon.cli.alerts:alerts", "Show alerts, newest last, or follow them."),
    "completion": ("ironpost_daemon.cli.completion:completion", "Print the completion script of a shell."),
    "config": ("ironpost_daemon.cli.config:config", "Show, validate or begin a configuration."),
    "demo": ("ironpost_daemon.demo:demo", "Replay a day of logs with attacks in it through a daemon of its own."),
    "health": ("ironpost_daemon.cli.status:health", "Say whether the daemon and its plugins are well."),
    "monitoring": (
        "ironpost_daemon.cli.monitoring:monitoring",
        "Write the files for Prometheus, Grafana and Docker Compose.",
    ),
    "plugins": ("ironpost_daemon.cli.status:plugins", "List the plugins, and why a broken one is broken."),
    "reload": ("ironpost_daemon.cli.status:reload", "Have the daemon read its configuration again."),
    "status": ("ironpost_daemon.cli.status:status", "Show the daemon, its plugins and parts."),
}


class LazyGroup(click.Group):
    """See the module. Built-in names win over those of plugins."""

    _running = False

    @functools.cached_property
    def _found(self) -> Mapping[str, Candidate]:
        from ironpost_daemon.discovery import find_commands

        return {candidate.name: candidate for candidate in find_commands() if candidate.name not in BUILT_IN}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted({*BUILT_IN, *self._found})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself when it is about to run, a stub otherwise."""
        if cmd_name in BUILT_IN:
            place, line = BUILT_IN[cmd_name]
            return _built_in(place) if self._running else _stub(cmd_name, line)
        candidate = self._found.get(cmd_name)
        if candidate is None:
            return None
        if self._running:
            return _load(candidate, quietly=ctx.resilient_parsing)
        return _stub(cmd_name, candidate.problem or f"{candidate.summary} [{candidate.distribution}]")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with the real command."""
        self._running = True
        try:
            return super().resolve_command(ctx, args)
        finally:
            self._running = False


def _built_in(place: str) -> click.Command:
    module, _, name = place.partition(":")
    command = getattr(importlib.import_module(module), name)
    assert isinstance(command, click.Command)  # noqa: S101 - our own table
    return command


def _stub(name: str, line: str) -> click.Command:
    return click.Command(name, short_help=line, help=line)


def _load(candidate: Candidate, *, quietly: bool) -> click.Command:
    """Import a plugin's command; when that fails, a command that says so (while completing, nothing is said)."""
    reason = candidate.problem
    if candidate.entry_point is not None:
        try:
            loaded: Any = candidate.entry_point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the stated boundary: importing a plugin may raise anything
            from ironpost_daemon.calls import describe

            reason = f"can't be loaded: {describe(error)}"
        else:
            if isinstance(loaded, click.Command):
                return loaded
            reason = f"is no click command but {loaded!r}"
    if quietly:
        return _stub(candidate.name, reason)
    raise click.ClickException(f"command {candidate.name!r} of {candidate.distribution}: {reason}")
