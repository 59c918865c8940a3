"""Which build of ironpost this is: the version of the distribution and the commit that it was built from."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.resources
import subprocess
from pathlib import Path


@functools.cache
def version() -> str:
    """The version of the installed distribution."""
    return importlib.metadata.version("ironpost-daemon")


@functools.cache
def commit() -> str:
    """The commit: as the wheel's build noted it, else that of the checkout this runs from, else ``unknown``."""
    noted = importlib.resources.files("ironpost_daemon") / "_commit.txt"
    if noted.is_file():
        return noted.read_text(encoding="ascii").strip() or "unknown"
    return checkout_commit(Path(__file__).parent) or "unknown"


def checkout_commit(folder: Path) -> str:
    """The abbreviated commit of the ironpost checkout that holds `folder`; empty when it is in none."""
    root = next((parent for parent in folder.parents if (parent / ".git").exists()), None)
    if root is None or not (root / "ironpost-daemon" / "pyproject.toml").is_file():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            timeout=2,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
