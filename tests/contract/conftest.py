"""An installation as an operator has it: wheels in a virtual environment of its own, far from the source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("ironpost-core", "ironpost-daemon", "plugins/ebpf", "plugins/guard", "plugins/logpipe", "plugins/sbom")
OUTSIDE = Path(__file__).with_name("outside")
#: What the lock holds and no installation needs.
TOOLS = ("mypy", "ruff", "pytest", "coverage", "hypothesis", "types-", "grimp", "import-linter", "librt", "psutil")


def find_uv() -> str:
    """The machine's own uv, or the one that `make setup` fetched (as `.ci/uv-env`)."""
    return shutil.which("uv") or str(ROOT / ".uv/bin/uv")


def run(*command: str | Path) -> None:
    """Run a command outside the source tree; its output stands in the failure."""
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd="/", env=env)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@attrs.frozen
class Installation:
    """A virtual environment."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self, *what: str | Path) -> None:
        run(find_uv(), "pip", "install", "--quiet", "--python", self.python, *what)

    def uninstall(self, distribution: str) -> None:
        run(find_uv(), "pip", "uninstall", "--quiet", "--python", self.python, distribution)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Wheels of the workspace's six distributions and of the outside plugin, by the folder they were built from."""
    built = {}
    how = ("--quiet", "--wheel", "--no-build-isolation", "--python", ROOT / ".venv/bin/python")
    for project in (*(ROOT / name for name in OURS), OUTSIDE):
        out = tmp_path_factory.mktemp("wheel")
        run(find_uv(), "build", *how, "--out-dir", out, project)
        (built[project.name],) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def runtime_lock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The part of requirements.lock that an installation needs, with its hashes."""
    kept = []
    keep = False
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if line[:1].isalpha():
            keep = not line.startswith(TOOLS)
        if keep or line.startswith("--"):
            kept.append(line)
    path = tmp_path_factory.mktemp("lock") / "requirements.lock"
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path], runtime_lock: Path) -> Installation:
    """ironpost from its wheels with the outside plugin beside it."""
    folder = tmp_path_factory.mktemp("installation") / "venv"
    run(find_uv(), "venv", "--quiet", "--python", ROOT / ".venv/bin/python", folder)
    fresh = Installation(folder)
    fresh.install("--require-hashes", "-r", runtime_lock)
    fresh.install("--no-index", "--offline", *wheels.values())
    return fresh
