"""The answers to all queries of a dashboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import attrs

from monitoring.pictures.board import Board, Panel, Target
from monitoring.pictures.errors import PictureError
from monitoring.pictures.prometheus import Prometheus, Series, Span
from monitoring.pictures.substitute import substitute

#: Seconds between two points of an annotation, whatever the graphs' step is.
MARK_STEP = 60
_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@attrs.frozen
class Named:
    """One series with the name that its legend gives it."""

    name: str
    values: Sequence[float | None]


@attrs.frozen
class Answer:
    """What the queries of a panel gave; `error` says which failed and why, and is empty otherwise."""

    series: Sequence[Named]
    error: str = ""


@attrs.frozen
class Happening:
    """An annotation's time; it lasted from the first to the last of its points."""

    name: str
    colour: str
    start: int
    end: int


def answers(board: Board, server: Prometheus, span: Span) -> dict[int, Answer]:
    """For each panel, by its number. PictureError when there is no talking to the server."""
    return {panel.number: _answer(panel, server, span) for panel in board.panels}


def happenings(board: Board, server: Prometheus, span: Span) -> list[Happening]:
    """What the annotations mark, oldest first of each.

    Raises:
        PictureError: a query is refused, or there is no talking to the server.
    """
    coarse = _coarse(span, MARK_STEP)
    found = []
    for mark in board.marks:
        try:
            given = _guarded(f"annotation {mark.name!r}", mark.expr, lambda expr: server.courses(expr, coarse), coarse)
        except ValueError as error:
            raise PictureError(f"{board.title}, {error}") from error
        for series in given:
            found += [Happening(mark.name, mark.colour, start, end) for start, end in _runs(series.values, coarse)]
    return found


def _answer(panel: Panel, server: Prometheus, span: Span) -> Answer:
    series: list[Named] = []
    for target in panel.targets:
        try:
            found = _ask(panel, target, server, span)
        except ValueError as error:
            return Answer([], str(error))
        series += [Named(_name(panel, target, one), one.values) for one in found]
    return Answer([one for one in series if any(value is not None for value in one.values)])


def _ask(panel: Panel, target: Target, server: Prometheus, span: Span) -> list[Series]:
    coarse = _coarse(span, panel.interval)

    def ask(expr: str) -> list[Series]:
        return server.values(expr, span.end) if target.instant else _fitted(server.courses(expr, coarse), coarse, span)

    return _guarded(f"panel {panel.title!r}", target.expr, ask, coarse)


def _coarse(span: Span, least: int) -> Span:
    """The same time at steps of at least so many seconds, which begin where Grafana has them begin."""
    return span if least <= span.step else Span(span.start - span.start % least, span.end, least)


def _fitted(found: list[Series], coarse: Span, span: Span) -> list[Series]:
    """Series with each value at the first of the span's times that is not before its own."""
    if coarse is span:
        return found
    fitted = []
    for series in found:
        values: list[float | None] = [None] * len(span.times)
        for time, value in zip(coarse.times, series.values, strict=True):
            place = -(-(time - span.start) // span.step)
            if 0 <= place < len(values):
                values[place] = value
        fitted.append(Series(series.labels, values))
    return fitted


def _guarded(place: str, expr: str, ask: Callable[[str], list[Series]], span: Span) -> list[Series]:
    try:
        return ask(substitute(expr, span.step, range_seconds=span.end - span.start))
    except ValueError as error:
        raise ValueError(f"{place}, query {expr}: {error}") from error


def _name(panel: Panel, target: Target, series: Series) -> str:
    return _LABEL.sub(lambda found: series.labels.get(found[1], ""), target.legend) or panel.title or "Value"


def _runs(values: Sequence[float | None], span: Span) -> list[tuple[int, int]]:
    """From when to when there was a value without a gap."""
    runs: list[tuple[int, int]] = []
    for time, value in zip(span.times, values, strict=True):
        if value is None:
            continue
        if runs and runs[-1][1] == time - span.step:
            runs[-1] = (runs[-1][0], time)
        else:
            runs.append((time, time))
    return runs
