from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

from ironpost_core import ConfigError, Secret, Section, setting
from ironpost_daemon.cli import config as config_module
from ironpost_daemon.cli import offline
from ironpost_daemon.cli.operator import LocalOperator
from plugin_tools import a_candidate, a_plugin


@attrs.frozen(kw_only=True)
class Canary:
    loudness: int = setting(default=1, help="How loud.")
    password: Secret | None = setting(default=None, help="Whisper it.")


@pytest.fixture(autouse=True)
def one_plugin(monkeypatch):
    section = Section(name="canary", type=Canary, help="A bird.")
    found = [a_candidate(a_plugin(config=lambda self: section)), a_candidate(None, "robin", problem="gone")]
    monkeypatch.setattr(offline, "find_plugins", lambda: found)
    monkeypatch.delenv("IRONPOST_CONFIG", raising=False)


def run(path: Path | None, *arguments: str) -> Any:
    return CliRunner().invoke(config_module.config, list(arguments), obj=LocalOperator(path))


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "ironpost.toml"
        path.write_text(text)
        return path

    return write


def test_a_good_file(write):
    path = write("[canary]\nloudness = 2\n[robin]\nunknown = 1\n")
    assert run(path, "validate").output == f"{path}: good\n"
    assert json.loads(run(None, "validate", str(path), "--json").output) == {
        "file": str(path),
        "problems": [],
        "warnings": [],
    }


def test_what_a_plugin_prints_is_no_part_of_the_answer(write, monkeypatch):
    chatty = a_plugin(config=lambda self: print("tweet"))
    monkeypatch.setattr(offline, "find_plugins", lambda: [a_candidate(chatty)])
    done = run(write(""), "show", "--json")
    assert json.loads(done.stdout)["general"]["log_level"] == "info"
    assert "tweet" in done.stderr


def test_warnings_are_no_problems(write):
    done = run(write("[sbom]\nenabled = true\n"), "validate")
    assert (done.exit_code, "warning: " in done.stderr) == (0, True)


def test_every_problem_in_one_report(write, monkeypatch):
    path = write("[canary]\nloudness = 'x'\nloudnes = 1\n[general]\nlog_level = 'loud'\n")
    monkeypatch.setenv("IRONPOST_METRICS_PORT", "tcp://10.0.0.1:80")
    done = run(path, "validate")
    assert (done.exit_code, done.stdout) == (78, "")
    assert len(done.stderr.splitlines()) == 4
    assert f"{path}:2: canary.loudness: " in done.stderr
    found = json.loads(run(path, "validate", "--json").output)
    assert "\n".join(found["problems"]) == done.stderr.rstrip()


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_file_that_can_not_be_read(tmp_path, as_json):
    done = run(tmp_path / "none.toml", "validate", *as_json)
    assert (done.exit_code, "does not exist" in done.output) == (78, True)


def test_show_puts_everything_together_and_masks_secrets(write, monkeypatch):
    path = write("[canary]\npassword = 'hush'\n")
    monkeypatch.setenv("IRONPOST_CANARY_LOUDNESS", "7")
    done = run(path, "show")
    assert (done.exit_code, "loudness = 7" in done.output, "hush" in done.output) == (0, True, False)
    found = run(path, "show", "--json")
    assert "hush" not in found.output
    assert json.loads(found.output)["canary"]["loudness"] == 7


def test_show_says_where_each_value_comes_from(write, monkeypatch):
    path = write("[metrics]\nport = 1\n")
    monkeypatch.setenv("IRONPOST_CANARY_LOUDNESS", "7")
    expected = {"metrics.port": "file", "canary.loudness": "environment", "metrics.endpoint": "default"}
    found = json.loads(run(path, "show", "--origins", "--json").output)
    assert {key: found[key] for key in expected} == expected
    lines = run(path, "show", "--origins").output.splitlines()
    assert {f"{key}: {origin}" for key, origin in expected.items()} <= set(lines)


def test_show_of_a_broken_file_is_a_configuration_error(write):
    done = run(write("[canary]\nloudness = 'x'\n"), "show")
    assert isinstance(done.exception, ConfigError)


def test_init_writes_a_commented_file_that_is_good(tmp_path):
    path = tmp_path / "new.toml"
    done = run(None, "init", str(path))
    assert (done.exit_code, done.output) == (0, f"wrote {path}\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "# How loud." in path.read_text()
    assert run(path, "validate").exit_code == 0
    assert run(None, "init", "-").output == path.read_text()


def test_init_replaces_a_file_only_when_told_to(tmp_path):
    path = tmp_path / "ironpost.toml"
    path.write_text("mine")
    done = run(None, "init", str(path))
    assert (done.exit_code, "is there already" in done.stderr, path.read_text()) == (1, True, "mine")
    assert run(None, "init", str(path), "--force").exit_code == 0
    assert path.read_text() != "mine"


def test_init_makes_the_folder_of_the_file(tmp_path):
    assert run(None, "init", str(tmp_path / "ironpost" / "ironpost.toml")).exit_code == 0
    assert (tmp_path / "ironpost" / "ironpost.toml").exists()


def test_init_where_nothing_can_be_written(tmp_path):
    done = run(None, "init", str(tmp_path / "no" / "such" / "ironpost.toml"))
    assert (done.exit_code, "can't be written" in done.stderr) == (1, True)


def test_show_warns_beside_the_answer(write):
    done = run(write("[general]\nlog_level = 'warn'\n"), "show", "--json")
    assert json.loads(done.stdout)["general"]["log_level"] == "warning"
    assert "ironpost.toml:2: general.log_level: this value is written differently now" in done.stderr
