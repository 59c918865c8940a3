"""Axes: where ticks stand and what is written at them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import attrs

from monitoring.pictures.prometheus import Span
from monitoring.pictures.units import BINARY_UNITS, tick_of

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TIME_STEPS = (15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400)
_MINUTE = 60


@attrs.frozen
class Axis:
    """An axis from `low` to `high`."""

    low: float
    high: float
    ticks: Sequence[float]
    labels: Sequence[str]


@attrs.frozen(kw_only=True)
class Bounds:
    """Where an axis of values begins and ends whatever they are; the soft ones unless some lie beyond."""

    low: float | None = None
    high: float | None = None
    soft_low: float | None = None
    soft_high: float | None = None


def values(found: Sequence[float], unit: str, wanted: int, bounds: Bounds) -> Axis:
    """An axis for at least one value, as Grafana chooses it, with at most about `wanted` ticks."""
    low, high = _room(min(found), max(found), bounds)
    step = _step(high - low, wanted, binary=unit in BINARY_UNITS)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = [round(number * step, 12) for number in range(first, last + 1)]
    return Axis(low, high, ticks, [tick_of(tick, unit, step) for tick in ticks])


def _room(low: float, high: float, bounds: Bounds) -> tuple[float, float]:
    """A tenth more than is needed; where all values are the same, from 0 to twice that, and for 0 up to 100."""
    pad = (high - low) / 10
    if low == high:
        low, high = min(0.0, 2 * low), max(0.0, 2 * high)
    least, most = low - pad, high + pad
    if bounds.soft_low is not None:
        least = bounds.soft_low if low >= bounds.soft_low else least
    if bounds.soft_high is not None:
        most = bounds.soft_high if high <= bounds.soft_high else most
    least = least if bounds.low is None else bounds.low
    most = most if bounds.high is None else bounds.high
    return (least, most) if least < most else (least, least + 100)


def _step(size: float, wanted: int, *, binary: bool) -> float:
    least = size / wanted
    if binary:
        return float(2 ** math.ceil(math.log2(least)))
    magnitude = 10.0 ** math.floor(math.log10(least))
    return next(step * magnitude for step in _STEPS if step * magnitude >= least * 0.999)


def times(span: Span, wanted: int) -> Axis:
    """The axis of a graph's times, with at most `wanted` ticks on round times of UTC."""
    size = span.end - span.start
    step = next((step for step in _TIME_STEPS if size / step <= wanted), _TIME_STEPS[-1])
    ticks = list(range(-(-span.start // step) * step, span.end + 1, step))
    style = "%H:%M:%S" if step < _MINUTE else "%H:%M"
    return Axis(span.start, span.end, ticks, [datetime.fromtimestamp(tick, UTC).strftime(style) for tick in ticks])
