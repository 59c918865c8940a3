"""Writes small distributions into a folder that, put on PYTHONPATH, makes them installed for importlib.metadata."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

PRELUDE = """\
import sys, threading, time
from datetime import UTC, datetime
import attrs
from ironpost_core import Action, Alert, Health, MetricSpec, Plugin, Section, Severity, State, setting

def hang():
    while True:
        time.sleep(1)  # hangs here

"""


def write_distribution(
    site: Path,
    distribution: str,
    module: str = "",
    body: str = "",
    *,
    plugins: Mapping[str, str] | None = None,
    commands: Mapping[str, str] | None = None,
) -> None:
    """One distribution in `site` with at most one module, whose text is `body` after the imports of `PRELUDE`."""
    if module:
        (site / f"{module}.py").write_text(PRELUDE + textwrap.dedent(body), encoding="utf-8")
    info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    summary = f"Summary: {distribution} of the broken zoo."
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n{summary}\n")
    groups = {"ironpost.plugins": plugins or {}, "ironpost.commands": commands or {}}
    text = "".join(
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items()) + "\n"
        for group, entries in groups.items()
    )
    (info / "entry_points.txt").write_text(text, encoding="utf-8")
    (info / "RECORD").write_text("", encoding="utf-8")
