"""``ironpost status``, ``health``, ``plugins`` and ``reload``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ironpost_core import ActionError
from ironpost_core.alerts import MAX_MESSAGE, readable
from ironpost_daemon.cli.operator import LocalOperator
from ironpost_daemon.cli.output import json_option, print_json, print_table
from ironpost_daemon.exits import NO


@click.command()
@json_option
@click.pass_obj
def status(operator: LocalOperator, as_json: bool) -> None:
    """Show the daemon, its plugins and parts. Exits with 1 when no daemon runs.

    \b
    Example: ironpost status --json
    """
    data = operator.call("status")
    if as_json:
        print_json(data)
        return
    click.echo(f"ironpost {data['version']} ({data['commit']}) on {data['host']}, pid {data['pid']}: {data['health']}")
    click.echo(f"up {_duration(data['uptime'])}; metrics at {data['metrics_url'] or 'nowhere (switched off)'}\n")
    _print_plugins(data["plugins"])
    parts = [(part["name"], part["health"], part["reason"]) for part in data["parts"]]
    if parts:
        click.echo()
        print_table(("PART", "HEALTH", "REASON"), parts)


@click.command()
@json_option
@click.pass_obj
def health(operator: LocalOperator, as_json: bool) -> None:
    """Say whether the daemon and its plugins are well. Exits with 1 when unhealthy or not running; degraded is 0.

    \b
    Example: ironpost health && echo well
    """
    data = operator.call("status")
    lacking = [one for one in (*data["plugins"], *data["parts"]) if one["health"] != "healthy"]
    if as_json:
        print_json({"health": data["health"], "lacking": lacking})
    else:
        click.echo(data["health"])
        for one in lacking:
            click.echo(f"  {one['name']}: {one['health']}: {readable(one['reason'], MAX_MESSAGE)}")
    if data["health"] == "unhealthy":
        sys.exit(NO)


@click.command()
@json_option
@click.pass_obj
def plugins(operator: LocalOperator, as_json: bool) -> None:
    """List each entry point with its distribution, version and state, and why a broken one is broken.

    Without a running daemon they are loaded here, and the exit code is 1.

    \b
    Example: ironpost plugins --json
    """
    try:
        found, running = operator.call("plugins"), True
    except ActionError as error:
        click.echo(f"{error}; this is what it would load:", err=True)
        found, running = _loaded_here(), False
    if as_json:
        print_json(found)
    else:
        _print_plugins(found)
    if not running:
        sys.exit(NO)


def _loaded_here() -> list[dict[str, Any]]:
    from ironpost_daemon.cli.offline import load_plugins

    return [plugin.to_dict() for plugin in load_plugins().statuses()]


@click.command()
@json_option
@click.pass_obj
def reload(operator: LocalOperator, as_json: bool) -> None:
    """Have the daemon read its configuration again, as SIGHUP does. Exits with 1 when a section was refused.

    \b
    Example: ironpost reload
    """
    outcome = operator.call("reload")
    if as_json:
        print_json(outcome)
    else:
        print_table(("SECTION", "OUTCOME"), sorted(outcome.items()))
    if any("refused" in what for what in outcome.values()):
        sys.exit(NO)


def _print_plugins(found: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (one["name"], one["distribution"], one["version"], one["life"], one["health"], one["reason"]) for one in found
    ]
    print_table(("PLUGIN", "DISTRIBUTION", "VERSION", "STATE", "HEALTH", "REASON"), rows)


def _duration(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{days}d {hours:02}:{minutes:02}:{seconds:02}" if days else f"{hours:02}:{minutes:02}:{seconds:02}"
