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

LINUX_ONLY = ("fcntl", "pwd", "grp", "resource", "termios")
#: What authors of plugins and rules use on their own machines, whatever those are.
PORTABLE = sorted(
    {
        *(
            ".".join(path.relative_to(ROOT / folder / "src").with_suffix("").parts).removesuffix(".__init__")
            for folder in ("ironpost-core", "plugins/sbom")
            for path in (ROOT / folder / "src").rglob("*.py")
        ),
        "ironpost_logpipe.rulefiles",
        "ironpost_logpipe.commands",
        "ironpost_daemon.cli",
    }
)
ELSEWHERE = f"import os, sys; sys.modules.update(dict.fromkeys({LINUX_ONLY!r})); del os.geteuid, os.getuid; "
LINE = "Nov  3 10:00:00 web1 sshd[123]: Failed password for root from 203.0.113.7 port 5022 ssh2"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_registration_touches_pluggy_hooks(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.name != "registration.py":
        assert not re.search(r"\.hook\.|\.hook,|import pluggy|from pluggy", text)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_hooks_are_called_by_the_host_and_the_test_kit_alone(path: Path) -> None:
    if path.name not in ("registration.py", "host.py", "host_health.py", "testing.py"):
        assert not re.search(r"\.call\(\s*\"ironpost_", path.read_text(encoding="utf-8"))


def elsewhere(code: str) -> subprocess.CompletedProcess[str]:
    """Run it where neither Linux's modules nor users with numbers exist."""
    return subprocess.run([sys.executable, "-c", ELSEWHERE + code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", PORTABLE)
def test_imports_without_linux_only_modules(module: str) -> None:
    done = elsewhere(f"import {module}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [["list"], ["validate"], ["test"], ["explain", LINE]], ids=lambda words: words[0])
def test_the_rule_tools_work_without_linux_only_modules(arguments: list[str]) -> None:
    done = elsewhere(f"from ironpost_daemon.cli import main; sys.argv = ['ironpost', 'rules', *{arguments!r}]; main()")
    assert done.returncode == 0, done.stderr
    assert "ssh-password-guessing" in done.stdout or " 0 " in done.stdout


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


@pytest.mark.parametrize(
    "path", sorted((ROOT / "monitoring" / "generator").glob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_dashboards_generator_imports_the_core_alone(path: Path) -> None:
    assert re.findall(r"^\s*(?:from|import) ironpost_(?!core)\w+", path.read_text(encoding="utf-8"), re.MULTILINE) == []
