"""From the time as a log line writes it to seconds since 1970.

RFC 3164 times (``Nov  3 10:00:00``) have neither year nor zone. The zone is the reader's. The year is the latest that
does not put the line more than a day after today: in January, December is last year's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
    )
}
_DAYS = frozenset((b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"))
#: Digits before the point → digits of seconds in them: seconds, milli-, micro- and nanoseconds.
_EPOCH_DIGITS = {9: 9, 10: 10, 12: 9, 13: 10, 15: 9, 16: 10, 18: 9, 19: 10}
_CACHED_MINUTES = 4096
_TOLERANCE = timedelta(days=1)


class TimeReader:
    """Reads times; keeps the minutes it has seen, since lines come in the order of time.

    Args:
        now: the wall time, in seconds since 1970.
        zone: the zone of times that name none; None for the machine's.
    """

    def __init__(self, now: Callable[[], float] = time.time, zone: tzinfo | None = None) -> None:
        self._now = now
        self._zone = zone
        self._minutes: dict[bytes, float | None] = {}
        self._latest: datetime | None = None
        self._last: tuple[bytes, float | None] = (b"", None)

    def refresh(self) -> None:
        """Look at the clock; to be called now and then (each batch). Only the day matters, so the cache lives a day."""
        today = datetime.fromtimestamp(self._now(), self._zone or UTC).replace(tzinfo=None)
        latest = today.replace(hour=0, minute=0, second=0, microsecond=0) + 2 * _TOLERANCE
        if latest != self._latest:
            self._latest = latest
            self._minutes.clear()
            self._last = (b"", None)

    def read(self, stamp: bytes) -> float | None:
        """Seconds since 1970, or None for a text that is no time."""
        if stamp == self._last[0]:
            return self._last[1]  # most lines are written in the same second as the one before
        if self._latest is None:
            self.refresh()
        found = self._read(stamp)
        self._last = (stamp, found)
        return found

    def _read(self, stamp: bytes) -> float | None:
        try:
            if stamp[:1].isdigit():
                seconds = epoch(stamp)
                return self._seconds(datetime.fromisoformat(iso_text(stamp))) if seconds is None else seconds
            if stamp[3:4] == b" " and stamp[:3] in _DAYS:
                return self._seconds(datetime.fromisoformat(iso_text(stamp)))
            base = self._minute(stamp[:-3])
            second = stamp[-2:]
            return None if base is None or not second.isdigit() or second > b"60" else base + int(second)
        except (ValueError, OverflowError, OSError):
            return None  # a text in the place of a time: the caller takes the time of arrival

    def _minute(self, text: bytes) -> float | None:
        """Seconds for ``Nov  3 10:00``."""
        try:
            return self._minutes[text]
        except KeyError:
            if len(self._minutes) >= _CACHED_MINUTES:
                self._minutes.clear()
            found = self._minutes[text] = self._bsd(text)
            return found

    def _bsd(self, text: bytes) -> float | None:
        parts = text.split()
        if self._latest is None or len(parts) != 3 or parts[0] not in _MONTHS:
            return None
        hour, _, minute = parts[2].partition(b":")
        for year in range(self._latest.year, self._latest.year - 9, -1):  # nine: 29 February needs up to eight
            try:
                moment = datetime(year, _MONTHS[parts[0]], int(parts[1]), int(hour), int(minute))  # noqa: DTZ001
            except ValueError:
                if int(parts[1]) == 29 and parts[0] == b"Feb":
                    continue
                return None
            if moment < self._latest:
                return self._seconds(moment)
        return None

    def _seconds(self, moment: datetime) -> float:
        if moment.tzinfo is None and self._zone is not None:
            moment = moment.replace(tzinfo=self._zone)
        return moment.timestamp()


def epoch(stamp: bytes) -> float | None:
    """Seconds since 1970 from a number of seconds (1973 to 2286) or of milli-, micro- or nanoseconds, else None."""
    whole, _, fraction = stamp.partition(b".")
    digits = _EPOCH_DIGITS.get(len(whole))
    if digits is None or not whole.isdigit() or not (fraction.isdigit() or not fraction):
        return None
    return float(whole[:digits] + b"." + whole[digits:] + fraction[:9])


def iso_text(stamp: bytes) -> str:
    """A time as web servers write it in the form of ISO 8601; any other text as it is.

    ``24/Nov/2026:22:38:51 +0000`` in access logs, ``2026/11/24 22:38:51`` in nginx's error log,
    ``Tue Nov 24 22:38:51.123456 2026`` in Apache's.
    """
    if stamp[2:3] == b"/":
        day, month, year, clock = stamp[:2], stamp[3:6], stamp[7:11], stamp[12:20] + stamp[21:]
    elif stamp[3:4] == b" ":
        _, month, day, clock, year = stamp.split()
    else:
        return stamp.replace(b"/", b"-").decode("ascii")
    return f"{int(year):04}-{_MONTHS.get(month, 0):02}-{int(day):02}T{clock.decode('ascii')}"
