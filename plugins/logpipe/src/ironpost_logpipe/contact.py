"""Where to begin in a file that is met for the first time: with what still matters, however large the file is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ironpost_logpipe.chunks import MAX_LINE
from ironpost_logpipe.opened import last_line_end, pread
from ironpost_logpipe.parsers import LINE_ENDS, PARSERS
from ironpost_logpipe.times import TimeReader

#: So much is read of a file whose lines have no times, or not in order.
UNTIMED = 8 << 20
#: Lines that came by several ways are this much out of order, in seconds.
_SLACK = 60.0
#: After so many lines without any time none is expected.
_UNTIMED_LINES = 10_000
#: So far on a line with a time is looked for.
_PROBE = 4 * MAX_LINE


class _Timed(NamedTuple):
    offset: int
    time: float


class FirstContact:
    """Finds the first line that is not older than the longest window, by bisection over the lines' times.

    Args:
        now: the wall time, in seconds since 1970.
        window: how many seconds back lines matter.
        format_: the parser's name.
    """

    def __init__(self, now: Callable[[], float], window: Callable[[], float], format_: str) -> None:
        self._now = now
        self._window = window
        self._times = TimeReader(now)
        self._parse = PARSERS[format_]

    def __call__(self, descriptor: int) -> int:
        """The offset to begin at. Reads about a megabyte; 8 MiB when the lines have no times, or not in order."""
        self._times.refresh()
        since = self._now() - self._window()
        end = last_line_end(descriptor)
        if os.fstat(descriptor).st_mtime < since:
            return end
        first = self._probe(descriptor, 0, end)
        last = self._probe(descriptor, max(0, end - MAX_LINE), end, latest=True)
        if first is not None and last is not None and first.time <= last.time + _SLACK:
            begin = self._bisect(descriptor, first, _Timed(end, last.time), since)
            if begin is not None:
                return self._scan(descriptor, begin, end, since)[0]
        begin = max(0, end - UNTIMED)
        offset, timed = self._scan(descriptor, begin, end, since)
        return offset if timed else next((at for at, _ in _lines(descriptor, begin, end)), end)

    def _bisect(self, descriptor: int, low: _Timed, high: _Timed, since: float) -> int | None:
        """About where the lines of `since` begin, never behind it; None when the times are not in order."""
        if low.time >= since:
            return low.offset
        while high.offset - low.offset > MAX_LINE:
            middle = (low.offset + high.offset) // 2
            found = self._probe(descriptor, middle, high.offset)
            if found is None:
                if high.offset - middle > _PROBE:
                    return None
                high = _Timed(middle, high.time)
            elif not low.time - _SLACK <= found.time <= high.time + _SLACK:
                return None
            elif found.time < since:
                low = _Timed(max(found.offset, low.offset + 1), max(found.time, low.time))
            else:
                high = _Timed(middle, min(found.time, high.time))
        return low.offset

    def _probe(self, descriptor: int, begin: int, end: int, *, latest: bool = False) -> _Timed | None:
        """The first (or latest) line with a time that begins between the two, if it does so soon."""
        found = None
        for offset, line in _lines(descriptor, begin, min(end, begin + _PROBE)):
            time = self._time(line)
            if time is not None:
                found = _Timed(offset, time)
                if not latest:
                    break
        return found

    def _scan(self, descriptor: int, begin: int, end: int, since: float) -> tuple[int, bool]:
        """The offset of the first line that is not older than `since`, else the end; whether any line had a time."""
        timed = False
        for number, (offset, line) in enumerate(_lines(descriptor, begin, end)):
            time = self._time(line)
            timed = timed or time is not None
            if not timed and number >= _UNTIMED_LINES:
                break
            if time is not None and time >= since:
                return offset, True
        return end, timed

    def _time(self, line: bytes) -> float | None:
        event = self._parse(line.rstrip(LINE_ENDS))
        return self._times.read(event.stamp) if event is not None and event.stamp else None


def _lines(descriptor: int, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines that begin between the two offsets, with their own. One that is too long is left out."""
    at = begin
    rest = b""
    if begin and pread(descriptor, 1, begin - 1) != b"\n":
        rest = b"-"  # stands for the part of a line that is before
        at -= 1
    cut = bool(rest)
    while at + len(rest) < end:
        block = pread(descriptor, min(MAX_LINE, end - at - len(rest)), at + len(rest))
        if not block:
            return
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if not cut:
                yield at, line
            cut = False
            at += len(line) + 1
        if len(rest) > MAX_LINE:
            at += len(rest) - 1
            rest, cut = b"-", True
