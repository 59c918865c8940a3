"""The program ``ironpost-daemon``."""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path

import click

from ironpost_core import ConfigError
from ironpost_daemon import daemon, logs
from ironpost_daemon.build import commit, version
from ironpost_daemon.calls import describe
from ironpost_daemon.configuration import Configuration
from ironpost_daemon.exits import CONFIGURATION, GOOD, NO

SWITCH_INTERVAL = 0.001

log = logging.getLogger("ironpost.daemon")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The configuration file; else ~/.config/ironpost/ironpost.toml (not for root), else"
    " /etc/ironpost/ironpost.toml, else IRONPOST_CONFIG, else embedded defaults.",
)
@click.option("--log-format", type=click.Choice(["auto", "text", "json"]), help="Overrides general.log_format.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="Overrides general.log_level."
)
@click.option("--check", is_flag=True, help="Load the plugins, validate the configuration, start nothing.")
@click.version_option(message=f"ironpost-daemon {version()} ({commit()})")
def main(config: Path | None, log_format: str | None, log_level: str | None, check: bool) -> None:
    """Run the ironpost agent in the foreground until SIGTERM or SIGINT.

    \b
    Example: ironpost-daemon --config /etc/ironpost/ironpost.toml
    Exit codes: 0 good, 1 another daemon runs, 2 usage, 78 configuration.
    """
    given = {"general.log_format": log_format, "general.log_level": log_level}
    overrides = {key: value for key, value in given.items() if value is not None}
    logs.configure(log_level or "info", log_format or "auto", sys.stderr)
    options = daemon.Options(config=config, overrides=overrides)
    if check:
        sys.stdout.flush()
        daemon.leave(_check(options))
    threading.excepthook = _thread_died
    # A scrape passes through several threads; beside a busy one each waits this long (s) for the interpreter.
    sys.setswitchinterval(SWITCH_INTERVAL)
    code = NO
    try:
        code = daemon.run(options, os.environ, _configure_logs)
    except Exception as error:
        log.critical("the daemon died: %s", describe(error), exc_info=error)
    sys.stdout.flush()
    daemon.leave(code)


def _thread_died(died: threading.ExceptHookArgs) -> None:
    """A thread that nobody supervises (a plugin's own, say) raised: one record in the log instead of bare text."""
    name = died.thread.name if died.thread is not None else "a thread"
    error = died.exc_value
    log.error("%s died: %s", name, describe(error) if error is not None else died.exc_type.__name__, exc_info=error)


def _configure_logs(configuration: Configuration) -> None:
    general = configuration.general
    logs.configure(general.log_level, general.log_format, sys.stderr)


def _check(options: daemon.Options) -> int:
    try:
        configuration, warnings = daemon.check(options, os.environ)
    except ConfigError as error:
        click.echo(str(error), err=True)
        return CONFIGURATION
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{configuration.path or 'embedded defaults'}: good")
    return GOOD
