"""The program ``ironpost``: the operator's tool. Imports little, so that ``ironpost --help`` is there at once."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ironpost_core.errors import ActionError, ConfigError, IronpostError
from ironpost_daemon.cli.lazy import LazyGroup
from ironpost_daemon.exits import CONFIGURATION, NO


def _print_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from ironpost_daemon.build import commit, version

        click.echo(f"ironpost {version()} ({commit()})")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The daemon's configuration file; else ~/.config/ironpost/ironpost.toml (not for root), else"
    " /etc/ironpost/ironpost.toml, else IRONPOST_CONFIG.",
)
@click.option(
    "--version", is_flag=True, callback=_print_version, expose_value=False, is_eager=True, help="Show the version."
)
@click.pass_context
def ironpost(ctx: click.Context, config: Path | None) -> None:
    """Look after the ironpost daemon on this host.

    \b
    Example: ironpost --config /etc/ironpost/ironpost.toml status
    Exit codes: 0 good, 1 the answer is no, 2 usage, 78 configuration.
    """
    from ironpost_daemon.cli.operator import LocalOperator

    ctx.obj = LocalOperator(config)


def main() -> None:
    """Run, and turn ironpost's own errors into one message and an exit code."""
    try:
        ironpost(prog_name="ironpost")
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(CONFIGURATION)
    except (ActionError, IronpostError) as error:
        click.echo(str(error), err=True)
        sys.exit(NO)
