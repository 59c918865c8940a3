"""``ironpost config``: show, validate, begin a configuration."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from ironpost_core import ConfigError, Problem, Section
from ironpost_core.config import Loaded
from ironpost_core.files import write_atomic
from ironpost_daemon.cli.operator import LocalOperator
from ironpost_daemon.cli.output import json_option, print_json
from ironpost_daemon.configuration import DAEMON, read
from ironpost_daemon.exits import CONFIGURATION, NO


@click.group()
def config() -> None:
    """Show, validate or begin a configuration.

    \b
    Example: ironpost config validate
    """


def _sections() -> tuple[list[Section[Any]], set[str]]:
    """The sections of all plugins installed here, and those of plugins that can't be loaded."""
    from ironpost_daemon.cli.offline import load_plugins

    supervisor = load_plugins()
    return supervisor.sections(), supervisor.unreadable_sections()


def _load(path: Path | None) -> tuple[list[Section[Any]], Loaded]:
    plugins, unreadable = _sections()
    return [*DAEMON, *plugins], read(path, plugins=plugins, environ=os.environ, unreadable=unreadable)


@config.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@json_option
@click.pass_obj
def validate(operator: LocalOperator, file: Path | None, as_json: bool) -> None:
    """Check a configuration, by default the one that the daemon would read; every problem in one report.

    \b
    Example: ironpost config validate ./ironpost.toml
    """
    path = file or operator.path
    try:
        _, loaded = _load(path)
        problems, warnings = (*loaded.problems, *loaded.environment_problems), loaded.warnings
    except ConfigError as error:
        problems, warnings = error.problems, ()
    if as_json:
        print_json({"file": str(path) if path else None, "problems": _lines(problems), "warnings": _lines(warnings)})
    else:
        _print_warnings(warnings)
        for problem in problems:
            click.echo(str(problem), err=True)
        if not problems:
            click.echo(f"{path or 'embedded defaults'}: good")
    if problems:
        sys.exit(CONFIGURATION)


def _print_warnings(warnings: Iterable[Problem]) -> None:
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)


def _lines(problems: Any) -> list[str]:
    return [str(problem) for problem in problems]


@config.command()
@click.option("--origins", is_flag=True, help="Say for each key whether it is a default or where it was set.")
@json_option
@click.pass_obj
def show(operator: LocalOperator, origins: bool, as_json: bool) -> None:
    """Show the configuration in force for the next start: file, environment and defaults together, secrets masked.

    \b
    Example: ironpost config show --origins
    """
    from ironpost_core.show import as_json as masked
    from ironpost_core.show import render_toml

    sections, loaded = _load(operator.path)
    if loaded.problems:
        raise ConfigError(loaded.problems)
    _print_warnings(loaded.warnings)
    if origins:
        _print_origins(loaded.origins, as_json)
    elif as_json:
        print_json({name: masked(value) for name, value in loaded.values.items()})
    else:
        click.echo(render_toml(sections, loaded.values, comments=False), nl=False)


def _print_origins(origins: Mapping[str, str], as_json: bool) -> None:
    if as_json:
        print_json(dict(origins))
        return
    for key, origin in origins.items():
        click.echo(f"{key}: {origin}")


@config.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("ironpost.toml"))
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def init(file: Path, force: bool) -> None:
    """Write a commented configuration with every setting at its default to FILE (ironpost.toml), or to - for stdout.

    \b
    Example: ironpost config init /etc/ironpost/ironpost.toml
    """
    from ironpost_core.show import render_toml

    plugins, _ = _sections()
    text = render_toml([*DAEMON, *plugins], {}, comments=True)
    if str(file) == "-":
        click.echo(text, nl=False)
        return
    if file.exists() and not force:
        click.echo(f"{file} is there already; nothing was written (--force replaces it)", err=True)
        sys.exit(NO)
    try:
        file.parent.mkdir(exist_ok=True)
        write_atomic(file, text.encode("utf-8"), 0o600)
    except OSError as error:
        click.echo(f"{file} can't be written: {error.strerror}; name another place or make its folder", err=True)
        sys.exit(NO)
    click.echo(f"wrote {file}")
