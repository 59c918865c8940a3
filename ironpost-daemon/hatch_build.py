"""Notes the commit that a wheel is built from, so that ironpost_daemon_build_info can say it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts ``ironpost_daemon/_commit.txt`` into the wheel (not into an editable install, which asks git itself)."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the file: ``IRONPOST_BUILD_COMMIT``, else git's HEAD; nothing outside a checkout."""
        commit = os.environ.get("IRONPOST_BUILD_COMMIT") or self._head()
        if version == "editable" or not commit:
            return
        note = Path(self.directory) / "_commit.txt"
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(commit + "\n", encoding="ascii")
        build_data["force_include"][str(note)] = "ironpost_daemon/_commit.txt"

    def _head(self) -> str:
        command = ["git", "-C", self.root, "rev-parse", "--short=12", "HEAD"]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return ""
