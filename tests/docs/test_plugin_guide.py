"""The plugin author's guide, executed: its files are written to a folder, tested, and run in a real daemon."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from contract.zoo.site import write_distribution
from daemon_process import DaemonProcess
from ironpost_core import Plugin
from ironpost_core.testing import PluginRun, an_alert

PAGE = Path(__file__).parents[2] / "docs" / "plugin-guide.md"
FILE = re.compile(r"^```\w+ title=(?P<path>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page in a folder."""
    folder = tmp_path_factory.mktemp("porch")
    for file in FILE.finditer(PAGE.read_text(encoding="utf-8")):
        path = folder / file["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file["text"], encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def entry_points(project: Path) -> dict[str, dict[str, str]]:
    declared = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, dict[str, str]] = declared["entry-points"]
    return found


@pytest.fixture
def module(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The plugin's package, imported from the folder and forgotten afterwards."""
    path = project / "src" / "ironpost_porch" / "__init__.py"
    spec = importlib.util.spec_from_file_location("ironpost_porch", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "ironpost_porch", loaded)
    spec.loader.exec_module(loaded)
    return loaded


def test_the_page_holds_a_whole_project(project):
    written = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    package = {"src/ironpost_porch/__init__.py", "src/ironpost_porch/commands.py"}
    assert written == {"pyproject.toml", "tests/test_porch.py"} | package


def test_its_own_tests_pass(project):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        capture_output=True,
        text=True,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^5 passed", done.stdout, re.MULTILINE)


def test_its_types_hold(project):
    mypy = [Path(sys.executable).parent / "mypy", "--strict", "--no-incremental", "src"]
    done = subprocess.run(mypy, capture_output=True, text=True, cwd=project, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_registers_under_the_name_of_its_entry_point(module, entry_points):
    ((name, target),) = entry_points["ironpost.plugins"].items()
    plugin = getattr(module, target.partition(":")[2])
    assert issubclass(plugin, Plugin)
    with PluginRun(plugin, name=name) as run:
        assert run.hooks.section is not None
        assert run.hooks.section.name == name
        run.deliver(an_alert())
        assert run.metric("porch_addresses") == 1


def test_a_real_daemon_finds_it_and_its_command(project, entry_points, tmp_path):
    write_distribution(
        project / "src",
        "ironpost-plugin-porch",
        plugins=entry_points["ironpost.plugins"],
        commands=entry_points["ironpost.commands"],
    )
    quiet = "[log_pipeline]\nenabled = false\n\n[porch]\nrules = 2\n"
    with DaemonProcess(tmp_path, quiet, env={"PYTHONPATH": str(project / "src")}) as daemon:
        (listed,) = [plugin for plugin in daemon.ironpost_json("plugins") if plugin["name"] == "porch"]
        assert (listed["life"], listed["health"]) == ("running", "healthy"), listed
        metrics = daemon.metrics()
        assert metrics["ironpost_porch_addresses"] == 0
        assert metrics['ironpost_porch_alerts_heard_total{severity="critical"}'] == 0
        assert daemon.ironpost("porch", "--at-least", "2").returncode == 0
        assert "[porch]" in daemon.ironpost("config", "init", "-").stdout
        assert daemon.terminate() == 0


def test_every_hook_has_its_row():
    page = PAGE.read_text(encoding="utf-8")
    hooks = [name for name in vars(Plugin) if name.startswith("ironpost_")]
    assert len(hooks) == 8
    assert [name for name in hooks if f"| `{name}` |" not in page] == []
