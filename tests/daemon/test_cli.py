"""The program itself, what a command finds as ``ctx.obj``, how it prints, and completion."""

from __future__ import annotations

import io
import json
from typing import Any

import attrs
import pytest
import rich.console
from click.testing import CliRunner

from ironpost_core import ActionError, ConfigError, PluginError, Problem, Section
from ironpost_daemon import cli, control
from ironpost_daemon.build import version
from ironpost_daemon.cli import completion, output
from ironpost_daemon.cli.operator import LocalOperator


@attrs.frozen(kw_only=True)
class Canary:
    loudness: int = 1


SECTION: Section[Any] = Section(name="canary", type=Canary, help="A bird.")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "ironpost.toml"
    path.write_text(f'[general]\nrun_dir = "{tmp_path}/run"\n[canary]\nloudness = 5\n')
    return path


# -- the operator -----------------------------------------------------------------------------------------------


def test_a_call_goes_to_the_socket_of_the_configured_daemon(path, tmp_path, monkeypatch):
    calls: list[Any] = []
    monkeypatch.setattr(control, "call", lambda *arguments: calls.append(arguments) or {"ok": 1})
    operator = LocalOperator(path)
    assert operator.call("canary.sing", {"a": 1}, 3) == {"ok": 1}
    operator.call("status")
    socket = tmp_path / "run" / "control.sock"
    assert [(*call[:3], call[3] > 0) for call in calls] == [
        (socket, "canary.sing", {"a": 1}, True),
        (socket, "status", {}, True),
    ]
    assert calls[0][3] == 3


def test_without_a_daemon_an_action_error_says_so(path):
    with pytest.raises(ActionError, match=r"control\.sock"):
        LocalOperator(path).call("status")


def test_a_plugins_section_without_a_daemon(path):
    assert LocalOperator(path).section(SECTION) == Canary(loudness=5)


@pytest.mark.parametrize(
    ("text", "ask", "message"),
    [
        ("[canary]\nloudness = 'x'\n", lambda operator: operator.section(SECTION), r"canary\.loudness"),
        ("[general]\nrun_dir = 3\n", lambda operator: operator.call("status"), r"general\.run_dir"),
        ("[general", lambda operator: operator.folders(), r"ironpost\.toml"),
    ],
)
def test_a_configuration_that_can_not_be_used(path, text, ask, message):
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        ask(LocalOperator(path))


# -- the program ------------------------------------------------------------------------------------------------


def test_the_version():
    done = CliRunner().invoke(cli.ironpost, ["--version"])
    assert (done.exit_code, done.output.split()[:2]) == (0, ["ironpost", version()])


def test_the_configuration_is_handed_to_the_command(path):
    done = CliRunner().invoke(cli.ironpost, ["--config", str(path), "status"])
    assert isinstance(done.exception, ActionError)
    assert "control.sock" in str(done.exception)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError([Problem(where="a", what="w"), Problem(where="b", what="v")]), 78),
        (ActionError("no daemon runs"), 1),
        (PluginError("canary", "lost"), 1),
    ],
)
def test_our_own_errors_are_a_message_and_an_exit_code(monkeypatch, capsys, error, code):
    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(cli, "ironpost", fail)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert (caught.value.code, capsys.readouterr()) == (code, ("", f"{error}\n"))


# -- output and completion --------------------------------------------------------------------------------------


def test_a_table_off_a_terminal_is_plain_and_never_cut(capsys):
    output.print_table(("NAME", "REASON"), [("a", "x" * 300), ("b", "\x1b[31m[red]")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["NAME", "REASON"], ["a", "x" * 300], ["b", r"\x1b[31m[red]"]]


def test_a_table_on_a_terminal_has_colours(monkeypatch):
    screen = io.StringIO()
    terminal = rich.console.Console(
        file=screen, force_terminal=True, width=80, color_system="standard", highlight=False
    )
    monkeypatch.setattr(rich.console, "Console", lambda **_: terminal)
    output.print_table(("HEALTH",), [("healthy",), ("other",)])
    assert "\x1b[32mhealthy" in screen.getvalue()
    assert "\x1b[32mother" not in screen.getvalue()


def test_json_keeps_text_as_it_is(capsys):
    output.print_json({"a": "Ü"})
    text = capsys.readouterr().out
    assert (json.loads(text), "Ü" in text) == ({"a": "Ü"}, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_of_a_shell(shell):
    done = CliRunner().invoke(completion.completion, [shell])
    assert done.exit_code == 0
    assert "_IRONPOST_COMPLETE" in done.output


def test_the_completion_of_an_unknown_shell():
    assert CliRunner().invoke(completion.completion, ["cmd"]).exit_code == 2
