"""Panels with a time axis: graphs and state timelines, as data for the page's script."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, TypeAlias

import attrs

from monitoring.pictures import colours, scales
from monitoring.pictures.board import Panel
from monitoring.pictures.gather import Happening, Named
from monitoring.pictures.prometheus import Span

View: TypeAlias = dict[str, Any]
#: So much of the grid's width has room for one label of the time axis, and of its height for one of the other.
_COLUMNS_OF_A_TIME = 1.1
_ROWS_OF_A_VALUE = 1.0


def of_name(panel: Panel, name: str, number: int) -> str:
    """The colour of the series with that name and number."""
    if name in panel.colours:
        return colours.colour(panel.colours[name])
    return colours.of_name(name) if panel.by_name else colours.of_series(number)


def graph(panel: Panel, series: Sequence[Named], happened: Sequence[Happening], span: Span) -> View:
    """Lines or bars over time, one on top of the other if the panel says so."""
    custom = panel.custom
    stacking = custom.get("stacking", {}).get("mode", "none")
    if stacking not in ("none", "normal"):
        raise ValueError(f"stacking of mode {stacking!r} is not drawn")
    bars = custom.get("drawStyle", "line") == "bars"
    courses: list[Sequence[float | None]] = [
        [value or None for value in one.values] if bars else one.values for one in series
    ]
    if stacking == "normal":
        courses = _piled(courses)
    found = [value for course in courses for value in course if value is not None] or [0.0]
    bounds = scales.Bounds(
        low=panel.low, high=panel.high, soft_low=custom.get("axisSoftMin"), soft_high=custom.get("axisSoftMax")
    )
    wanted = max(2, round((panel.place.height - 2) / _ROWS_OF_A_VALUE))
    names = [(one.name, of_name(panel, one.name, number)) for number, one in enumerate(series)]
    return {
        "times": list(span.times),
        "lines": [{"colour": colour, "values": course} for (_, colour), course in zip(names, courses, strict=True)],
        "piled": stacking == "normal",
        "bars": bars,
        "width": custom.get("lineWidth", 1),
        "fill": custom.get("fillOpacity", 0) / 100,
        "x": _times(panel, span),
        "y": attrs.asdict(scales.values(found, panel.unit, wanted, bounds)),
        "legend": _legend(panel, names),
        "marks": [
            {"start": one.start, "end": one.end, "colour": colours.colour(one.colour)}
            for one in happened
            if one.end >= span.start
        ],
    }


def _piled(courses: Sequence[Sequence[float | None]]) -> list[Sequence[float | None]]:
    """Each course on top of those before it; a gap where it has one itself."""
    ground = [0.0] * len(courses[0])
    piled: list[Sequence[float | None]] = []
    for course in courses:
        ground = [below + (value or 0.0) for below, value in zip(ground, course, strict=True)]
        piled.append([None if value is None else top for top, value in zip(ground, course, strict=True)])
    return piled


def states(panel: Panel, series: Sequence[Named], span: Span) -> View:
    """A row for each series, in which each state has its colour."""
    shown = {value for one in series for value in one.values if value is not None}
    unnamed = shown - set(panel.meanings)
    if unnamed:
        raise ValueError(f"states without a name and colour: {sorted(unnamed)}")
    return {
        "rows": [{"name": one.name, "states": _spans(panel, one, span)} for one in series],
        "x": _times(panel, span),
        "legend": [{"name": panel.meanings[one][0], "colour": _state(panel, one)} for one in sorted(shown)],
    }


def _spans(panel: Panel, series: Named, span: Span) -> list[View]:
    """Stretches of one state, as shares of the time; the last point's lasts to the end."""
    found, position, size = [], 0, len(span.times) - 1
    for value, same in groupby(series.values):
        begin, position = position, position + len(list(same))
        if value is not None and begin < size:
            stretch = {"from": begin / size, "to": min(position, size) / size, "colour": _state(panel, value)}
            found.append(stretch)
    return found


def _state(panel: Panel, value: float) -> str:
    return colours.colour(panel.meanings[value][1])


def _times(panel: Panel, span: Span) -> View:
    return attrs.asdict(scales.times(span, max(2, int(panel.place.width / _COLUMNS_OF_A_TIME))))


def _legend(panel: Panel, names: Sequence[tuple[str, str]]) -> list[View]:
    if not panel.options.get("legend", {}).get("showLegend", True):
        return []
    return [{"name": name, "colour": colour} for name, colour in names]
