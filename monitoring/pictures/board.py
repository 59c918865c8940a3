"""A dashboard's JSON, as much of it as a picture shows. What can't be drawn is an error, not left out in silence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from monitoring.pictures.errors import PictureError

COLUMNS = 24
KINDS = ("stat", "timeseries", "piechart", "bargauge", "gauge", "state-timeline")


@attrs.frozen
class Target:
    """One query, and what its series are called."""

    expr: str
    legend: str
    instant: bool


@attrs.frozen
class Place:
    """Where a panel lies, in units of the grid."""

    x: int
    y: int
    width: int
    height: int


@attrs.frozen(kw_only=True)
class Panel:
    """One panel.

    Attributes:
        number: its id, unique in the dashboard.
        about: its description.
        idle: what stands there when there is no value.
        idle_colour: and in which colour.
        steps: thresholds: from this value on (the first: -inf), this colour.
        colours: series of these names have these colours.
        by_name: whether the others have theirs by their names, or by their order.
        meanings: texts and colours of values.
        custom: how a graph is drawn, by Grafana's names.
        options: the same for the other kinds.
        interval: least seconds between two points.
    """

    number: int
    title: str
    about: str
    kind: str
    place: Place
    unit: str
    idle: str
    idle_colour: str
    low: float | None
    high: float | None
    steps: Sequence[tuple[float, str]]
    colours: Mapping[str, str]
    by_name: bool
    meanings: Mapping[float, tuple[str, str]]
    targets: Sequence[Target]
    custom: Mapping[str, Any]
    options: Mapping[str, Any]
    interval: int


@attrs.frozen
class Mark:
    """An annotation: what happened when its query gives a value."""

    name: str
    colour: str
    expr: str


@attrs.frozen(kw_only=True)
class Board:
    """One dashboard."""

    uid: str
    title: str
    panels: Sequence[Panel]
    marks: Sequence[Mark]

    @property
    def rows(self) -> int:
        """Its height in units of the grid."""
        return max(panel.place.y + panel.place.height for panel in self.panels)


def read(path: Path) -> Board:
    """The dashboard in this file.

    Raises:
        PictureError: it is no dashboard, or holds something that can't be drawn.
    """
    try:
        made = json.loads(path.read_text("utf-8"))
        return Board(
            uid=made["uid"],
            title=made["title"],
            panels=[_panel(one) for one in made["panels"]],
            marks=[Mark(one["name"], one["iconColor"], one["expr"]) for one in made["annotations"]["list"]],
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise PictureError(f"{path}: not a dashboard that can be drawn: {error!r}") from error


def _panel(made: Any) -> Panel:
    if made["type"] not in KINDS:
        raise ValueError(f"panel {made['title']!r}: kind {made['type']!r}; drawn are {', '.join(KINDS)}")
    defaults, at = made["fieldConfig"]["defaults"], made["gridPos"]
    mappings = defaults.get("mappings", [])
    steps = defaults.get("thresholds", {}).get("steps") or [{"value": None, "color": "green"}]
    return Panel(
        number=made["id"],
        title=made["title"],
        about=made.get("description", ""),
        kind=made["type"],
        place=Place(at["x"], at["y"], at["w"], at["h"]),
        unit=defaults.get("unit", "none"),
        idle=defaults.get("noValue") or "No data",
        idle_colour=next(filter(None, map(_of_absence, mappings)), steps[0]["color"]),
        low=defaults.get("min"),
        high=defaults.get("max"),
        steps=[(float("-inf") if one["value"] is None else one["value"], one["color"]) for one in steps],
        colours=dict(_colour(made["title"], one) for one in made["fieldConfig"]["overrides"]),
        by_name=defaults.get("color", {}).get("mode") == "palette-classic-by-name",
        meanings={key: meaning for one in mappings for key, meaning in _meanings(one)},
        targets=[Target(one["expr"], one.get("legendFormat", ""), bool(one.get("instant"))) for one in made["targets"]],
        custom=defaults.get("custom", {}),
        options=made.get("options", {}),
        interval=_seconds(made.get("interval") or "0s"),
    )


def _colour(title: str, override: Any) -> tuple[str, str]:
    properties = override["properties"]
    if override["matcher"]["id"] != "byName" or [one["id"] for one in properties] != ["color"]:
        raise ValueError(f"panel {title!r}: an override of anything but a colour by name is not drawn")
    return override["matcher"]["options"], properties[0]["value"]["fixedColor"]


def _meanings(mapping: Any) -> list[tuple[float, tuple[str, str]]]:
    if _of_absence(mapping):
        return []
    if mapping["type"] != "value":
        raise ValueError(f"a value mapping of type {mapping['type']!r} is not drawn")
    return [(float(value), (one["text"], one["color"])) for value, one in mapping["options"].items()]


def _of_absence(mapping: Any) -> str:
    """The colour for no value, if this mapping is about that; its text is the panel's `noValue`."""
    if mapping["type"] == "special" and mapping["options"]["match"] == "null":
        return str(mapping["options"]["result"]["color"])
    return ""


def _seconds(text: str) -> int:
    """A time such as ``15s`` or ``1m``."""
    return int(text[:-1]) * {"s": 1, "m": 60}[text[-1]]
