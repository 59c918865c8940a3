"""The generated references are up to date, and nothing that users can set, call or read is missing from the docs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ironpost_core import PluginError
from ironpost_core.environment import names_of
from ironpost_core.hookspecs import Plugin
from ironpost_core.metrics import describe_all, describe_fixed
from ironpost_core.schema import fields_of, item_of, members
from ironpost_daemon import references
from ironpost_daemon.configuration import DAEMON
from ironpost_daemon.discovery import Candidate

DOCS = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def installed():
    return references.installed()


@pytest.mark.parametrize("name", references.PAGES)
def test_the_committed_page_is_what_is_generated(name, installed):
    _, make = references.PAGES[name]
    assert page(name) == references.render(page(name), "", make(installed)), "run: make docs"


def test_every_hook_stands_in_the_docs():
    hooks = [name for name in vars(Plugin) if name.startswith("ironpost_")]
    assert hooks
    for name in ("architecture.md", "plugin-guide.md"):
        assert [hook for hook in hooks if f"`{hook}`" not in page(name)] == []


def test_every_metric_has_its_row():
    text = page("metrics.md")
    assert [spec.name for spec in describe_all() if f"| `{spec.full_name}` |" not in text] == []
    fixed = text.partition("## Further metrics")[0]
    assert sum(f"| `{spec.full_name}` | {spec.kind} |" in fixed for spec in describe_fixed()) == 29


def test_every_key_has_its_row_and_its_variable(installed):
    text = page("configuration.md")
    sections = [*DAEMON, *installed.sections()]
    assert [name for section in sections for name in names_of(section) if f"`{name}`" not in text] == []
    for section in sections:
        assert f"## `[{section.name}]`" in text
        body = text.partition(f"## `[{section.name}]`\n")[2]
        assert [key for key in every_key(section.type) if f"| `{key}` |" not in body] == []


def every_key(cls):
    """The keys of a class and of all tables in it, arrays of tables among them."""
    for field in fields_of(cls):
        yield field.key
        item = item_of(field.kind)
        for kind in members(field.kind if item is None else item):
            if hasattr(kind, "__attrs_attrs__"):
                yield from every_key(kind)


def test_every_command_has_its_help():
    text = page("cli.md")
    done = subprocess.run(
        [Path(sys.executable).parent / "ironpost", "--help"], capture_output=True, text=True, check=True
    )
    listed = [line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line[:3].strip()]
    assert {"alerts", "config", "status", "rules"} <= set(listed)
    assert [name for name in listed if f"## `ironpost {name}`" not in text] == []
    assert "## `ironpost config init`" in text


def test_text_around_the_generated_block_stays():
    text = f"# Mine\n\nbefore\n\n{references.BEGIN}\nold\n{references.END}\n\nafter\n"
    fresh = references.render(text, "ignored", r"new \1")
    assert fresh == f"# Mine\n\nbefore\n\n{references.BEGIN}\n\nnew \\1\n\n{references.END}\n\nafter\n"
    assert references.render(fresh, "ignored", r"new \1") == fresh


def test_a_page_that_is_not_there_is_begun(tmp_path):
    result = CliRunner().invoke(references.main, [str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(references.PAGES)
    assert (tmp_path / "metrics.md").read_text(encoding="utf-8").startswith(f"# Metrics\n\n{references.BEGIN}\n")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    result = CliRunner().invoke(references.main, [str(tmp_path / "nowhere")])
    assert result.exit_code == 2


def test_nothing_is_written_when_a_plugin_can_not_be_loaded(tmp_path, monkeypatch):
    broken = Candidate(
        name="gone", entry_point=None, target="gone:Gone", distribution="gone", version="1", problem="it is gone"
    )
    monkeypatch.setattr(references, "find_plugins", lambda: [broken])
    with pytest.raises(PluginError, match="plugin gone: it is gone"):
        references.pages(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_machine_path_and_no_commit_gets_into_the_references():
    root = str(DOCS.parent)
    for name in references.PAGES:
        assert root not in page(name)
        assert str(Path.home()) + "/" not in page(name)


def test_pipes_in_help_texts_do_not_end_a_cell():
    assert references._table(["a"], [["x | y"]]) == "| a |\n|---|\n| x \\| y |"


def test_commands_within_commands_are_found():
    outer = click.Group("outer", commands=[click.Command("inner", help="Within.")])
    assert [name for name, _ in references._helps(outer, "outer", None)] == ["outer", "outer inner"]
