"""Amounts that users write with a unit: spans of time and numbers of bytes."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final, Self

_NUMBER: Final = r"[0-9]{1,20}(?:\.[0-9]{1,12})?"
_SECONDS: Final = {
    "w": Decimal(604_800),
    "d": Decimal(86_400),
    "h": Decimal(3_600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("0.001"),
}
_DURATION: Final = re.compile("".join(f"(?:(?P<{unit}>{_NUMBER}){unit})?" for unit in _SECONDS))
_BYTES: Final = {
    "B": 1,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_SIZE: Final = re.compile(rf"(?P<number>[0-9]{{1,20}})(?P<unit>{'|'.join(_BYTES)})")


class Duration(float):
    """A span of time in seconds, exact to the nanosecond, from nothing to a hundred years.

    The upper end is there because waiting for longer overflows in the operating system's calls.
    """

    __slots__ = ()
    LONGEST: Final = 3_155_760_000.0
    EXPECTED: Final = 'a duration with its unit such as "30s", "5m" or "1h30m"'

    def __new__(cls, seconds: float) -> Self:
        """Make one of a number of seconds; ValueError when it is negative, endless or above the limit."""
        if not math.isfinite(seconds) or not 0 <= seconds <= cls.LONGEST:
            raise ValueError("expected a duration from 0s to 100 years")
        return super().__new__(cls, round(seconds, 9))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``1h30m``: numbers with the units w d h m s ms, the larger first, each at most once."""
        match = _DURATION.fullmatch(text)
        if not text or match is None:
            raise ValueError(f"expected {cls.EXPECTED}")
        given = {unit: number for unit, number in match.groupdict().items() if number is not None}
        return cls(float(sum(Decimal(number) * _SECONDS[unit] for unit, number in given.items())))

    def __str__(self) -> str:
        exact = Decimal(float.__repr__(self))
        if not exact:
            return "0s"
        forms = [f"{int(exact / size)}{unit}" for unit, size in _SECONDS.items() if exact % size == 0]
        return min(forms, key=len) if forms else f"{exact:f}s"

    def __repr__(self) -> str:
        return f"Duration.parse({str(self)!r})"


class Size(int):
    """A number of bytes."""

    __slots__ = ()
    LARGEST: Final = (1 << 63) - 1
    EXPECTED: Final = 'a size such as "512B", "64KiB" or "10MiB", or a number of bytes'

    def __new__(cls, size: int) -> Self:
        """Make one of a number of bytes; ValueError when it is negative or no file could have it."""
        if not 0 <= size <= cls.LARGEST:
            raise ValueError("expected a size from 0B to 8388607TiB")
        return super().__new__(cls, size)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``10MiB``: a whole number and one of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB."""
        match = _SIZE.fullmatch(text)
        if match is None:
            raise ValueError(f"expected {cls.EXPECTED}")
        return cls(int(match["number"]) * _BYTES[match["unit"]])

    def __str__(self) -> str:
        number = int(self)
        if not number:
            return "0B"
        return min((f"{number // size}{unit}" for unit, size in _BYTES.items() if number % size == 0), key=len)

    def __repr__(self) -> str:
        return f"Size.parse({str(self)!r})"
