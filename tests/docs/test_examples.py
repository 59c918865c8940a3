"""The configuration examples in the docs are configurations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ironpost_core.config import load
from ironpost_daemon.configuration import DAEMON
from ironpost_daemon.references import installed

ROOT = Path(__file__).parents[2]
EXAMPLE = re.compile(r"^```toml\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(example["text"], id=f"{path.name}:{number}")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for number, example in enumerate(EXAMPLE.finditer(path.read_text(encoding="utf-8")), 1)
]


@pytest.fixture(scope="module")
def sections():
    return [*DAEMON, *installed().sections()]


def test_there_are_some():
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("text", EXAMPLES)
def test_is_read_without_a_problem(text, sections):
    loaded = load(text.encode(), file="example.toml", sections=sections, environ={})
    assert [str(problem) for problem in (*loaded.problems, *loaded.warnings)] == []
