from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from ironpost_daemon import discovery
from ironpost_daemon.cli import ironpost
from ironpost_daemon.cli.lazy import BUILT_IN, LazyGroup
from plugin_tools import a_candidate, at_import


@click.command()
@click.option("--loud", is_flag=True)
def sing(loud: bool) -> None:
    """Sing a song."""
    click.echo("SONG" if loud else "song")


def raiser(error: BaseException) -> Any:
    def load() -> None:
        raise error

    return at_import(load)


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.fixture
def run(monkeypatch):
    """Run a group over these commands of plugins."""

    def with_commands(commands: Mapping[str, Any], *arguments: str) -> Any:
        group = a_group(monkeypatch, commands)
        return CliRunner().invoke(group, list(arguments))

    return with_commands


def a_group(monkeypatch: pytest.MonkeyPatch, commands: Mapping[str, Any]) -> LazyGroup:
    found = [a_candidate(loaded, name) for name, loaded in commands.items()]
    monkeypatch.setattr(discovery, "find_commands", lambda: found)
    return LazyGroup("ironpost")


def completions(group: LazyGroup, *arguments: str) -> list[str]:
    *before, incomplete = arguments
    shell = ShellComplete(group, {}, "ironpost", "_IRONPOST_COMPLETE")
    return [item.value for item in shell.get_completions(before, incomplete)]


def test_help_lists_everything_and_imports_nothing(run):
    done = run({"sing": raiser(AssertionError("imported")), "zoo": sing}, "--help")
    assert done.exit_code == 0
    listed = re.findall(r"^  (\w+)  ", done.output.partition("Commands:")[2], re.MULTILINE)
    assert listed == sorted([*BUILT_IN, "sing", "zoo"])
    assert "[ironpost-plugin-sing]" in done.output


def test_a_command_is_imported_when_it_runs(run):
    assert run({"sing": sing}, "sing", "--loud").output == "SONG\n"
    assert "Sing a song." in run({"sing": sing}, "sing", "--help").output


@pytest.mark.parametrize(
    ("loaded", "reason"),
    [
        (raiser(ImportError("gone")), "can't be loaded: ImportError: gone"),
        (raiser(SystemExit(0)), "can't be loaded: SystemExit: 0"),
        (raiser(MuteError()), "can't be loaded: MuteError: (asked for its text, it raised)"),
        (print, "is no click command but <built-in function print>"),
    ],
)
def test_one_that_is_broken_says_so_and_completes_to_nothing(run, monkeypatch, loaded, reason):
    done = run({"sing": loaded, "zoo": sing}, "sing")
    assert done.exit_code == 1
    assert f"command 'sing' of ironpost-plugin-sing: {reason}" in done.output
    assert run({"sing": loaded, "zoo": sing}, "zoo").output == "song\n"
    group = a_group(monkeypatch, {"sing": loaded, "zoo": sing})
    assert completions(group, "sing", "--") == ["--help"]
    assert completions(group, "zoo", "--l") == ["--loud"]
    assert completions(group, "s") == ["sing", "status"]


def test_an_interrupted_import_is_no_broken_command(run):
    assert run({"sing": raiser(KeyboardInterrupt())}, "sing").output.strip() == "Aborted!"


def test_a_name_that_two_claim(monkeypatch):
    candidate = a_candidate(None, "sing", problem="a and b both claim it")
    monkeypatch.setattr(discovery, "find_commands", lambda: [candidate])
    done = CliRunner().invoke(LazyGroup("ironpost"), ["sing"])
    assert (done.exit_code, "a and b both claim it" in done.output) == (1, True)
    assert "a and b both claim it" in CliRunner().invoke(LazyGroup("ironpost"), ["--help"]).output


def test_built_in_names_win(run):
    done = run({"status": sing}, "status", "--help")
    assert "Show the daemon, its plugins and parts" in done.output


def test_a_command_that_is_not_there(run):
    done = run({}, "fly")
    assert (done.exit_code, "No such command 'fly'" in done.output) == (2, True)


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_built_in_command_is_there_with_its_line_and_an_example(name):
    done = CliRunner().invoke(ironpost, [name, "--help"], obj=None)
    assert done.exit_code == 0, done.output
    assert f"Example: ironpost {name}" in done.output
    assert len(BUILT_IN[name][1]) < 80


def test_help_imports_no_plugin_and_little_else():
    code = "import sys; from ironpost_daemon.cli import ironpost\ntry: ironpost(['--help'])\nexcept SystemExit: pass\n"
    heavy = {
        "aiohttp",
        "rich",
        "prometheus_client",
        "pluggy",
        "ironpost_logpipe",
        "ironpost_ebpf",
        "ironpost_core.alerts",
    }
    done = subprocess.run(
        [sys.executable, "-c", code + f"print(sorted({heavy} & {{*sys.modules}}), file=sys.stderr)"],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert "alerts" in done.stdout
    assert done.stderr.strip() == "[]"
