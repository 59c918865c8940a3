"""The committed dashboards for tests: each as decoded JSON, and every query in them with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

FOLDER = Path(__file__).parents[1] / "monitoring" / "grafana" / "dashboards"
NAMES = ("ironpost-overview", "ironpost-log-pipeline", "ironpost-security", "ironpost-plugins")
BOARDS: dict[str, Any] = {name: json.loads((FOLDER / f"{name}.json").read_text("utf-8")) for name in NAMES}


@attrs.frozen
class Asked:
    """One query.

    Attributes:
        board: the dashboard's name.
        title: the panel's, or the annotation's.
        expr: as it stands in the dashboard.
        legend: what its series are called.
        panel: the panel's JSON; empty for an annotation.
    """

    board: str
    title: str
    expr: str
    legend: str
    panel: dict[str, Any] = attrs.field(eq=False)

    @property
    def place(self) -> str:
        return f"{self.board}: {self.title}"


def of_panels() -> Iterator[Asked]:
    """Every query of every panel."""
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            for target in panel["targets"]:
                yield Asked(name, panel["title"], target["expr"], target["legendFormat"], panel)


def of_annotations() -> Iterator[Asked]:
    """Every annotation's query, once: they are the same on all boards."""
    (marks,) = {json.dumps(board["annotations"]["list"]) for board in BOARDS.values()}
    for mark in json.loads(marks):
        yield Asked("every board", mark["name"], mark["expr"], "", {})
