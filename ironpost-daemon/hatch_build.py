"""Puts into a wheel what the package's own folder does not hold: the commit, and the files of monitoring/."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DataHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds both to a wheel (not to an editable install, which finds them in its checkout)."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add ``ironpost_daemon/_commit.txt`` and ``ironpost_daemon/monitoring/``."""
        if version != "editable":
            self._add_commit(build_data)
            self._add_monitoring(build_data)

    def _add_commit(self, build_data: dict[str, Any]) -> None:
        """``IRONPOST_BUILD_COMMIT``, else git's HEAD; nothing outside a checkout."""
        commit = os.environ.get("IRONPOST_BUILD_COMMIT") or self._head()
        if not commit:
            return
        note = Path(self.directory) / "_commit.txt"
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(commit + "\n", encoding="ascii")
        build_data["force_include"][str(note)] = "ironpost_daemon/_commit.txt"

    def _add_monitoring(self, build_data: dict[str, Any]) -> None:
        """``ironpost monitoring export`` writes them; it knows which they are."""
        sys.path.insert(0, str(Path(self.root) / "src"))
        from ironpost_daemon.monitoring_files import SHIPPED

        for name in SHIPPED:
            path = Path(self.root).parent / "monitoring" / name
            build_data["force_include"][str(path)] = f"ironpost_daemon/monitoring/{name}"

    def _head(self) -> str:
        command = ["git", "-C", self.root, "rev-parse", "--short=12", "HEAD"]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return ""
