"""Grafana's named colours (dark theme), and which of them a series or value gets."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

_NAMED = {
    "green": "#73bf69",
    "dark-green": "#37872d",
    "semi-dark-green": "#56a64b",
    "light-green": "#96d98d",
    "yellow": "#fade2a",
    "dark-yellow": "#e0b400",
    "semi-dark-yellow": "#f2cc0c",
    "light-yellow": "#ffee52",
    "orange": "#ff9830",
    "dark-orange": "#fa6400",
    "semi-dark-orange": "#ff780a",
    "light-orange": "#ffb357",
    "red": "#f2495c",
    "dark-red": "#c4162a",
    "semi-dark-red": "#e02f44",
    "light-red": "#ff7383",
    "blue": "#5794f2",
    "dark-blue": "#1f60c4",
    "semi-dark-blue": "#3274d9",
    "light-blue": "#8ab8ff",
    "purple": "#b877d9",
    "dark-purple": "#8f3bb8",
    "semi-dark-purple": "#a352cc",
    "light-purple": "#ca95e5",
    "text": "#ccccdc",
    "white": "#ffffff",
    "gray": "#8e8e99",
}
#: What series get in their order: the beginning of Grafana's classic palette.
_CLASSIC = ("green", "semi-dark-yellow", "light-blue", "semi-dark-orange", "red", "blue", "purple", "#705da0")
_HEX = re.compile(r"#[0-9A-Fa-f]{6}")


def colour(name: str) -> str:
    """A colour that a dashboard names, as ``#rrggbb``.

    Raises:
        ValueError: neither one of Grafana's names nor six hexadecimal digits.
    """
    if _HEX.fullmatch(name):
        return name
    if name not in _NAMED:
        raise ValueError(f"colour {name!r} is not known; known are {', '.join(_NAMED)}")
    return _NAMED[name]


def of_series(number: int) -> str:
    """The colour of the series with this number when nothing else is said."""
    return colour(_CLASSIC[number % len(_CLASSIC)])


def of_name(name: str) -> str:
    """The colour of the series with this name where colours go by names, so that it is the same in all panels."""
    return of_series(zlib.crc32(name.encode()))


def of_value(value: float, steps: Sequence[tuple[float, str]]) -> str:
    """The colour of the highest threshold that `value` reaches; of the lowest when it reaches none."""
    reached = [name for least, name in steps if value >= least]
    return colour(reached[-1] if reached else steps[0][1])
