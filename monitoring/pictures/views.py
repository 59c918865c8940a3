"""What the page's script draws for a panel: every text, colour, share and tick ready, as data for JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monitoring.pictures import colours, graphs
from monitoring.pictures.board import Board, Panel
from monitoring.pictures.gather import Answer, Happening, Named
from monitoring.pictures.graphs import View
from monitoring.pictures.prometheus import Span
from monitoring.pictures.units import text_of


def board(made: Board, given: Mapping[int, Answer], happened: Sequence[Happening], span: Span) -> View:
    """A whole page."""
    return {
        "title": made.title,
        "rows": made.rows,
        "marks": [{"name": mark.name, "colour": colours.colour(mark.colour)} for mark in made.marks],
        "panels": [panel(one, given[one.number], happened, span) for one in made.panels],
    }


def panel(made: Panel, answer: Answer, happened: Sequence[Happening], span: Span) -> View:
    """One panel; `error` or `idle` is set where there is nothing to draw."""
    at = made.place
    shown: View = {
        "number": made.number,
        "title": made.title,
        "about": made.about,
        "kind": made.kind,
        "place": {"x": at.x, "y": at.y, "width": at.width, "height": at.height},
        "error": answer.error,
        "idle": "" if answer.series else made.idle,
    }
    if not answer.error:
        try:
            shown["drawing"] = _drawing(made, answer.series, happened, span)
        except ValueError as error:
            shown["error"] = f"panel {made.title!r}: {error}"
    return shown


def _drawing(made: Panel, series: Sequence[Named], happened: Sequence[Happening], span: Span) -> View | None:
    if not series:
        return _nothing(made)
    if made.kind == "timeseries":
        return graphs.graph(made, series, happened, span)
    if made.kind == "state-timeline":
        return graphs.states(made, series, span)
    if made.options["reduceOptions"]["calcs"] != ["lastNotNull"]:
        raise ValueError(f"a value that is reduced by {made.options['reduceOptions']['calcs']} is not drawn")
    return _OF_VALUES[made.kind](made, series)


def _nothing(made: Panel) -> View | None:
    """Of the kinds that show one value Grafana writes its absence in its place."""
    item = {"name": "", "text": made.idle, "colour": colours.colour(made.idle_colour), "course": [], "share": 0.0}
    if made.kind == "gauge":
        return {"items": [item], "rings": _rings(made)}
    return {"items": [item]} if made.kind == "stat" else None


def _last(series: Named) -> float:
    return next(value for value in reversed(series.values) if value is not None)


def _item(made: Panel, series: Named, colour: str) -> View:
    text, value = text_of(_last(series), made.unit), _last(series)
    text = made.meanings[value][0] if value in made.meanings else text
    return {"name": series.name, "text": text, "value": value, "colour": colour}


def _by_steps(made: Panel, series: Named) -> str:
    if series.name in made.colours:
        return colours.colour(made.colours[series.name])
    return colours.of_value(_last(series), made.steps)


def _numbers(made: Panel, series: Sequence[Named]) -> View:
    spark = made.options["graphMode"] == "area"
    return {
        "items": [
            {**_item(made, one, _by_steps(made, one)), "course": list(one.values) if spark else []} for one in series
        ]
    }


def _bars(made: Panel, series: Sequence[Named]) -> View:
    top = made.high if made.high is not None else max(_last(one) for one in series)
    low = made.low or 0.0
    items = [_item(made, one, _by_steps(made, one)) for one in series]
    return {"items": [{**one, "share": _share(one["value"], low, top)} for one in items]}


def _dials(made: Panel, series: Sequence[Named]) -> View:
    items = [_item(made, one, _by_steps(made, one)) for one in series]
    shares = [_share(one["value"], *_ends(made)) for one in items]
    return {
        "items": [{**one, "share": share} for one, share in zip(items, shares, strict=True)],
        "rings": _rings(made),
    }


def _ends(made: Panel) -> tuple[float, float]:
    return made.low or 0.0, 100.0 if made.high is None else made.high


def _rings(made: Panel) -> list[View]:
    """The thresholds around a gauge."""
    ends = [*(_share(least, *_ends(made)) for least, _ in made.steps[1:]), 1.0]
    return [
        {"from": begin, "to": end, "colour": colours.colour(name)}
        for begin, end, (_, name) in zip([0.0, *ends[:-1]], ends, made.steps, strict=True)
    ]


def _slices(made: Panel, series: Sequence[Named]) -> View:
    whole = sum(max(0.0, _last(one)) for one in series)
    items = [_item(made, one, graphs.of_name(made, one.name, number)) for number, one in enumerate(series)]
    return {"items": [{**one, "share": _share(one["value"], 0.0, whole)} for one in items]}


def _share(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.0


_OF_VALUES: Mapping[str, Callable[[Panel, Sequence[Named]], dict[str, Any]]] = {
    "stat": _numbers,
    "bargauge": _bars,
    "gauge": _dials,
    "piechart": _slices,
}
