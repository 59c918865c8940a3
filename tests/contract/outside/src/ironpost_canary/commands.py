"""``ironpost canary``."""

from __future__ import annotations

import json

import click

from ironpost_core.hookspecs import Operator


@click.command()
@click.option("--times", default=1, show_default=True, help="How often it sings.")
@click.pass_obj
def canary(operator: Operator, times: int) -> None:
    """Have the canary of the running daemon sing. Example: ironpost canary --times 2."""
    click.echo(json.dumps(operator.call("canary.sing", {"times": times})))
