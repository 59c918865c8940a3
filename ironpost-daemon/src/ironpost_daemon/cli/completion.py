"""``ironpost completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Example: ironpost completion bash > /etc/bash_completion.d/ironpost
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - the three are click's own
    click.echo(kind(ctx.find_root().command, {}, "ironpost", "_IRONPOST_COMPLETE").source())
