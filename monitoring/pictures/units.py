"""Values as text in Grafana's units: three significant digits, and the prefix that fits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

_COUNT = ("", "K", "M", "B", "T")
_SHORT = ("", " K", " Mil", " Bil", " Tri")
_SMALL, _LARGE = ("f", "p", "n", "µ", "m"), ("", "k", "M", "G", "T", "P")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi")
#: From this many seconds on, divided by that many, with this suffix.
_TIMES = (
    (0.0, 1e-9, " ns"),
    (1e-6, 1e-6, " µs"),
    (1e-3, 1e-3, " ms"),
    (1.0, 1.0, " s"),
    (60.0, 60.0, " mins"),
    (3_600.0, 3_600.0, " hours"),
    (86_400.0, 86_400.0, " days"),
    (604_800.0, 604_800.0, " weeks"),
    (31_536_000.0, 31_536_000.0, " years"),
)
_SIGNIFICANT = 3


@attrs.frozen
class _Prefixes:
    """Suffixes by powers of `factor`; the first is that of factor ** -below."""

    factor: int
    suffixes: Sequence[str]
    below: int = 0

    def scale(self, value: float) -> tuple[float, str]:
        power = math.floor(math.log(abs(value), self.factor) + 1e-9) if value else 0
        power = min(max(power, -self.below), len(self.suffixes) - self.below - 1)
        return self.factor**power, self.suffixes[power + self.below]


def _si(unit: str) -> _Prefixes:
    return _Prefixes(1000, [f" {prefix}{unit}" for prefix in (*_SMALL, *_LARGE)], len(_SMALL))


def _iec(unit: str) -> _Prefixes:
    return _Prefixes(1024, [f" {prefix}{unit}" for prefix in _BINARY])


def _counts(unit: str) -> _Prefixes:
    return _Prefixes(1000, [f"{prefix} {unit}" for prefix in _COUNT])


_UNITS = {
    "none": _Prefixes(1000, [""]),
    "short": _Prefixes(1000, _SHORT),
    "cps": _counts("c/s"),
    "ops": _counts("ops/s"),
    "bps": _si("b/s"),
    "Bps": _si("B/s"),
    "pps": _si("p/s"),
    "bytes": _iec("B"),
    "decbytes": _si("B"),
    "binBps": _iec("B/s"),
}
#: Units whose ticks stand at powers of two.
BINARY_UNITS = frozenset(("bytes", "binBps"))


def text_of(value: float, unit: str) -> str:
    """A value as a panel shows it.

    Raises:
        ValueError: a unit that is not known here.
    """
    factor, suffix = _scale(value, unit)
    return f"{value / factor:.{_digits(value / factor)}f}{suffix}"


def tick_of(value: float, unit: str, step: float) -> str:
    """A value at an axis whose ticks are `step` apart: as many digits as tell them apart; errors as `text_of`."""
    factor, suffix = _scale(value, unit)
    decimals = next((n for n in range(9) if _is_whole(step / factor * 10**n)), 9)
    text = f"{value / factor:.{decimals}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + suffix


def _scale(value: float, unit: str) -> tuple[float, str]:
    if unit == "percentunit":
        return 0.01, "%"
    if unit == "percent":
        return 1, "%"
    if unit == "s":
        fitting = [(factor, suffix) for least, factor, suffix in _TIMES if abs(value) >= least]
        return fitting[-1] if value else (1.0, " s")
    if unit not in _UNITS:
        raise ValueError(f"unit {unit!r} is not known; add it to {__name__}")
    return _UNITS[unit].scale(value)


def _digits(number: float) -> int:
    if _is_whole(number):
        return 0
    return max(0, _SIGNIFICANT - 1 - math.floor(math.log10(abs(number))))


def _is_whole(number: float) -> bool:
    return math.isclose(number, round(number), rel_tol=1e-9, abs_tol=1e-9)
