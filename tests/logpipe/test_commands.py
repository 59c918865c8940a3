from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ironpost_core.alerts import Severity
from ironpost_core.errors import ConfigError, Problem
from ironpost_logpipe.commands import logs, rules
from ironpost_logpipe.conditions import Condition
from ironpost_logpipe.config import LogPipelineConfig
from ironpost_logpipe.rules import Override
from logpipe.helpers import failed

BROKEN = "id: x\ntitel: T\n"
FAILING = """
id: failing
title: T
severity: low
detection: {conditions: [{field: message, modifier: contains, value: x}]}
tests: {match: [y]}
"""


class Operator:
    """What the operator's tool hands to commands."""

    def __init__(self, config: LogPipelineConfig | ConfigError) -> None:
        self.config = config

    def section(self, _section: object) -> LogPipelineConfig:
        if isinstance(self.config, ConfigError):
            raise self.config
        return self.config


def run(group: Any, *arguments: object, operator: Operator | None = None) -> Result:
    return CliRunner().invoke(group, [str(argument) for argument in arguments], obj=operator)


def test_list() -> None:
    listed = json.loads(run(rules, "list", "--json").stdout)
    assert {"id", "severity", "status", "title", "threshold", "file", "overridden_by", "exceptions"} == set(listed[0])
    assert "SSH password guessing (5 events in 1m by source_ip)" in run(rules, "list").stdout


def test_list_reads_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(FAILING)
    operator = Operator(LogPipelineConfig(packs=(), rule_dirs=(tmp_path,)))
    assert [row["id"] for row in json.loads(run(rules, "list", "--json", operator=operator).stdout)] == ["failing"]


def test_a_broken_configuration_is_78() -> None:
    error = ConfigError([Problem(where="log_pipeline.packs", what="found 3")])
    result = run(rules, "list", operator=Operator(error))
    assert result.exit_code == 78
    assert "log_pipeline.packs: found 3" in result.stderr


def test_validate(tmp_path: Path) -> None:
    assert run(rules, "validate").exit_code == 0
    (tmp_path / "a.yaml").write_text(BROKEN)
    result = run(rules, "validate", tmp_path)
    assert result.exit_code == 1
    assert f"{tmp_path}/a.yaml:2: titel: unknown key" in result.stderr
    as_json = json.loads(run(rules, "validate", "--json", tmp_path / "a.yaml").stdout)
    assert {problem["line"] for problem in as_json["problems"]} == {1, 2}
    assert run(rules, "validate", tmp_path / "none").exit_code == 2


def test_test(tmp_path: Path) -> None:
    good = run(rules, "test")
    assert good.exit_code == 0, good.output
    (tmp_path / "a.yaml").write_text(FAILING)
    result = run(rules, "test", tmp_path)
    assert result.exit_code == 1
    assert "failing: match: does not match: y" in result.stderr
    assert json.loads(run(rules, "test", "--json", tmp_path).stdout)["failures"][0]["rule"] == "failing"


def test_lint(tmp_path: Path) -> None:
    good = run(rules, "lint")
    assert good.exit_code == 0, good.output
    assert "0 warnings" in good.stdout
    (tmp_path / "a.yaml").write_text(FAILING.replace("match", "no_match"))
    result = run(rules, "lint", tmp_path)
    assert result.exit_code == 1
    assert f"{tmp_path}/a.yaml:2: failing: warning: its tests lack match" in result.stdout
    assert json.loads(run(rules, "lint", "--json", tmp_path).stdout)[0]["check"] == "tests"
    (tmp_path / "a.yaml").write_text(BROKEN)
    assert run(rules, "lint", tmp_path).exit_code == 1


def test_explain() -> None:
    result = run(rules, "explain", failed().decode())
    assert result.exit_code == 0
    assert "ssh-password-guessing: matches" in result.stdout
    assert "source_ip = 203.0.113.7" in result.stdout
    assert run(rules, "explain", "nothing").exit_code == 1
    assert run(rules, "explain", "--rule", "none", "x").exit_code == 2
    only = json.loads(run(rules, "explain", "--json", "--rule", "ssh-invalid-users", failed().decode()).stdout)
    assert [rule["id"] for rule in only["rules"]] == ["ssh-invalid-users"]


OFFICE = Condition(field="source_ip", modifier="cidr", value="203.0.113.0/24")


def test_overrides_are_listed_and_explained() -> None:
    override = Override(
        rule="ssh-*", severity=Severity.LOW, except_=(OFFICE,), until="2100-01-01T00:00:00Z", reason="our scanner"
    )
    operator = Operator(LogPipelineConfig(override=(override,)))
    text = run(rules, "list", operator=operator).stdout
    assert "low       enabled   SSH password guessing (5 events in 1m by source_ip) (changed by ssh-*)" in text
    shown = "except source_ip cidr '203.0.113.0/24' until 2100-01-01T00:00:00+00:00: our scanner"
    assert shown in text
    dropped = run(rules, "explain", failed().decode(), operator=operator)
    assert dropped.exit_code == 1
    assert "ssh-password-guessing: matches, but is dropped (changed by ssh-*)" in dropped.stdout
    assert f"{shown} (holds)" in dropped.stdout
    other = run(rules, "explain", failed(address="198.51.100.1").decode(), operator=operator)
    assert other.exit_code == 0
    assert f"{shown} (does not hold)" in other.stdout


def test_an_explanation_says_why_not() -> None:
    line = failed().decode().replace("sshd", "nginx")
    assert "no  app startswith 'sshd': 'nginx' does not start with 'sshd'" in run(rules, "explain", line).stdout


def test_replay_says_what_exceptions_dropped(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_bytes(b"".join(failed(second) + b"\n" for second in range(5)))
    operator = Operator(LogPipelineConfig(override=(Override(rule="*", except_=(OFFICE,)),)))
    result = run(logs, "replay", log, operator=operator)
    assert result.exit_code == 0
    assert "10 matches (10 dropped by exceptions), 0 alerts" in result.stderr


def test_a_line_is_read_in_the_format_that_is_named(tmp_path: Path) -> None:
    access = '192.0.2.1 - - [24/Nov/2026:22:38:51 +0000] "GET /x HTTP/1.1" 404 1 "-" "-"'
    assert "source_ip  192.0.2.1" in run(rules, "explain", "--format", "access", access).stdout
    assert "not a line of this format" in run(rules, "explain", "--format", "json", access).stdout
    record = {"log": failed().decode() + "\n", "stream": "stdout", "time": "2026-11-24T22:38:51Z"}
    assert "ssh-password-guessing: matches" in run(rules, "explain", "--format", "docker", json.dumps(record)).stdout
    log = tmp_path / "access.log"
    log.write_text(f"{access}\nx\n")
    summary = json.loads(run(logs, "replay", "--json", "--format", "access", log).stdout)["summary"]
    assert (summary["lines"], summary["parse_errors"]) == (2, 1)


def test_terminal_codes_in_lines_are_escaped() -> None:
    result = run(rules, "explain", failed(user="\x1b[31mroot").decode())
    assert "\x1b" not in result.stdout


def test_replay(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_bytes(b"".join(failed(second) + b"\n" for second in range(5)))
    result = run(logs, "replay", log)
    assert result.exit_code == 1
    assert "ssh-password-guessing: 5 events in 4s: source_ip 203.0.113.7" in result.stdout
    assert "5 lines in" in result.stderr
    first, last = map(json.loads, run(logs, "replay", "--json", log).stdout.splitlines())
    assert first["rule"] == "ssh-password-guessing"
    assert last["summary"]["lines"] == 5
    log.write_bytes(b"nothing\n")
    assert run(logs, "replay", log).exit_code == 0


def test_replay_of_standard_input(tmp_path: Path) -> None:
    content = b"".join(failed(second) + b"\n" for second in range(5))
    result = CliRunner().invoke(logs, ["replay", "-", "--json"], input=content)
    assert result.exit_code == 1
    again = CliRunner().invoke(logs, ["replay", "-", "-", "--json"], input=content)
    assert again.exit_code == 1
    assert json.loads(again.stdout.splitlines()[-1])["summary"]["lines"] == 5


def test_standard_input_that_is_closed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironpost_logpipe.commands.sys", types.SimpleNamespace(stdin=None, stderr=sys.stderr))
    result = run(logs, "replay", "-")
    assert result.exit_code == 2
    assert "standard input is closed" in result.stderr


def test_replay_with_own_rules_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(FAILING)
    (tmp_path / "a.log").write_bytes(b"an x\n")
    assert "failing" in run(logs, "replay", tmp_path / "a.log", "--rules", tmp_path / "a.yaml").stdout
    result = run(logs, "replay", tmp_path / "none.log")
    assert result.exit_code == 2
    assert "none.log" in result.stderr


@pytest.mark.parametrize(
    "command", [*rules.commands.values(), *logs.commands.values()], ids=lambda command: command.name
)
def test_every_command_has_an_example(command: Any) -> None:
    assert "Example: ironpost " in (command.help or "")


def test_commands_import_nothing_heavy() -> None:
    heavy = ("re2", "yaml", "prometheus_client", "cattrs")
    code = f"import sys, ironpost_logpipe.commands; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
