"""Rules of the house that no linter knows: who may call hooks, what must import without Linux's modules, the lock."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for folder in ("ironpost-core", "ironpost-daemon", "plugins") for path in (ROOT / folder).rglob("src/**/*.py")
)

LINUX_ONLY = ("fcntl", "pwd", "grp", "resource")
PORTABLE = (
    "ironpost_core",
    "ironpost_core.hookspecs",
    "ironpost_core.config",
    "ironpost_core.files",
    "ironpost_core.testing",
    "ironpost_sbom",
    "ironpost_logpipe.rulefiles",
    "ironpost_logpipe.commands",
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_registration_touches_pluggy_hooks(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.name != "registration.py":
        assert not re.search(r"\.hook\.|\.hook,|import pluggy|from pluggy", text)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_hooks_are_called_by_the_host_and_the_test_kit_alone(path: Path) -> None:
    if path.name not in ("registration.py", "host.py", "host_health.py", "testing.py"):
        assert not re.search(r"\.call\(\s*\"ironpost_", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", PORTABLE)
def test_imports_without_linux_only_modules(module: str) -> None:
    block = f"import sys; sys.modules.update(dict.fromkeys({LINUX_ONLY!r})); import {module}"
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version_comes_from_one_place() -> None:
    import importlib.metadata

    version = (ROOT / "VERSION").read_text().strip()
    names = [
        "ironpost-core",
        "ironpost-daemon",
        *(f"ironpost-plugin-{one}" for one in ("ebpf", "guard", "logpipe", "sbom")),
    ]
    assert {importlib.metadata.version(name) for name in names} == {version}


def test_the_lock_holds_hashes_and_no_addresses() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "http" not in re.sub(r"^aiohttp.*|via aiohttp.*|#.*aiohttp.*", "", lock, flags=re.MULTILINE)
    pinned = r"^[a-z0-9._-]+==[^\n]*"
    hashed = pinned + r"\\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+"
    flags = re.MULTILINE | re.IGNORECASE
    assert len(re.findall(pinned, lock, flags)) == len(re.findall(hashed, lock, flags)) > 30
