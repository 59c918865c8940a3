"""The page on writing rules, executed: its rule files are written to a folder, and its commands run there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ironpost_logpipe import examples
from ironpost_logpipe.comparisons import COMPARISONS
from ironpost_logpipe.rulefiles import load_rules

PAGE = (Path(__file__).parents[2] / "docs" / "writing-rules.md").read_text(encoding="utf-8")
FILE = re.compile(r"^```yaml title=(?P<path>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n\$ (?P<command>[^\n]*)\n(?P<output>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, until: int = len(PAGE)) -> None:
    """The files that stand before a place of the page."""
    for file in FILE.finditer(PAGE, 0, until):
        path = folder / file["path"]
        path.parent.mkdir(exist_ok=True)
        path.write_text(file["text"], encoding="utf-8")


def test_every_rule_loads_and_its_tests_hold_but_the_wrong_one(folder: Path) -> None:
    write(folder)
    loaded = load_rules([folder / "rules", folder / "costly"], [])
    assert [str(problem) for problem in loaded.problems] == []
    assert len(loaded.rules) == 3
    for rule in loaded.rules:
        assert examples.count(rule) > 1
        assert list(examples.failures(rule)) == []
    assert not load_rules([folder / "wrong"], []).rules


@pytest.mark.parametrize("example", [pytest.param(each, id=each["command"][:40]) for each in CONSOLE.finditer(PAGE)])
def test_every_command_prints_what_the_page_shows(folder: Path, example: re.Match[str]) -> None:
    write(folder, example.start())
    program, *arguments = shlex.split(example["command"])
    done = subprocess.run(
        [Path(sys.executable).parent / program, *arguments], cwd=folder, capture_output=True, text=True, timeout=60
    )
    shown = ".*".join(map(re.escape, example["output"].split("…")))
    assert re.fullmatch(shown, done.stderr + done.stdout), done.stderr + done.stdout


def test_there_are_commands():
    assert len(list(CONSOLE.finditer(PAGE))) >= 5


@pytest.mark.parametrize("name", [*COMPARISONS, "regex", "any", "all", "not", "count", "ignore_case"])
def test_every_condition_is_explained(name: str) -> None:
    rows = "\n".join(row.split("|")[1] for row in PAGE.splitlines() if row.startswith("| `"))
    assert re.search(rf"`{name}\b", rows)
