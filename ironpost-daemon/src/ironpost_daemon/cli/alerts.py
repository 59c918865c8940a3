"""``ironpost alerts``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from ironpost_core import Duration
from ironpost_daemon.cli.operator import LocalOperator
from ironpost_daemon.cli.output import json_option, print_json, print_table

_PAUSE = 0.5


def _duration(_ctx: click.Context, _option: click.Parameter, text: str | None) -> Duration | None:
    try:
        return None if text is None else Duration.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@json_option
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many at most.")
@click.option(
    "--severity", type=click.Choice(["info", "low", "medium", "high", "critical"]), help="The least severity."
)
@click.option("--plugin", help="Only those of this plugin.")
@click.option("--rule", help="Only those of rules that match this glob.")
@click.option("--since", callback=_duration, help="Only those stored in this time, such as 2h.")
@click.option("--follow", "-f", is_flag=True, help="Print new ones as they come, one JSON a line with --json.")
@click.pass_obj
def alerts(operator: LocalOperator, /, as_json: bool, since: Duration | None, follow: bool, **query: Any) -> None:
    """Show alerts, newest last, or follow them.

    \b
    Example: ironpost alerts --severity high --since 1d
    """
    asked = {key: value for key, value in query.items() if value is not None}
    if since is not None:
        asked["since"] = (datetime.now(UTC) - timedelta(seconds=since)).isoformat()
    newest = _highest(operator.call("alerts", {"limit": 1}), 0) if follow else 0
    found = list(reversed(operator.call("alerts", asked)))
    if follow:
        _follow(operator, found, asked, _highest(found, newest), as_json=as_json)
    elif as_json:
        print_json(found)
    else:
        _print(found)


def _highest(found: Iterable[Mapping[str, Any]], before: int) -> int:
    return max(before, *(int(alert["number"]) for alert in found), 0)


def _follow(
    operator: LocalOperator, found: list[dict[str, Any]], asked: Mapping[str, Any], newest: int, *, as_json: bool
) -> None:
    wanted = {key: value for key, value in asked.items() if key not in ("limit", "since")}
    try:
        while True:
            for alert in found:
                click.echo(json.dumps(alert, ensure_ascii=False) if as_json else _line(alert))
            time.sleep(_PAUSE)
            found = operator.call("alerts", {**wanted, "after": newest, "limit": 1000})
            newest = _highest(found, newest)
    except KeyboardInterrupt:
        click.echo()


def _print(found: list[dict[str, Any]]) -> None:
    if not found:
        click.echo("no alerts")
        return
    rows = [
        (alert["time"], alert["severity"], alert["rule"], _about(alert), alert["count"], alert["title"])
        for alert in found
    ]
    print_table(("TIME", "SEVERITY", "RULE", "ABOUT", "COUNT", "TITLE"), rows)


def _line(alert: Mapping[str, Any]) -> str:
    return f"{alert['time']} {alert['severity']} {alert['rule']} {_about(alert)} x{alert['count']} {alert['title']}"


def _about(alert: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={item['value']}" for key, item in alert["observables"].items()) or "-"
