"""Counting events by key in sliding windows, in bounded memory, in a form that a checkpoint can hold.

A rule fires when `count` events with the same key lie within `timeframe`. Then its key is silent for one timeframe:
at most one alert per key and timeframe. Events go on to be counted meanwhile, so an attack that lasts fires again as
soon as the silence is over, and that alert's count includes what was held back.

Everything depends on the events' own times and their order only, never on a clock: the same lines give the same
alerts. Windows of different trust are apart, so that four forged datagrams and one real line don't make five.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Generator, Iterable
from typing import Any, TypeAlias

import attrs

#: Rule id, trust, the values of the key's fields.
WindowKey: TypeAlias = tuple[str, str, tuple[bytes, ...]]


@attrs.frozen
class Burst:
    """Events that together make one alert; times in seconds since 1970."""

    count: int
    first: float
    last: float


@attrs.define
class Window:
    """One key's state.

    Attributes:
        times: the latest events, at most as many as it takes to fire.
        fired: when it fired last.
        held: events that fell out of `times` since then.
        since: the time of the first of these.
    """

    times: deque[float]
    fired: float | None = None
    held: int = 0
    since: float | None = None

    def add(self, time: float, timeframe: float) -> Burst | None:
        """Count one event; what fires, if it does."""
        times = self.times
        silent = self.fired is not None and abs(time - self.fired) < timeframe
        if self.fired is not None and len(times) == times.maxlen:
            self._hold(times[0], time, timeframe)
        times.append(time)
        if silent or len(times) != times.maxlen:
            return None
        # All of them, not only the oldest: lines out of order must not make events of different times one burst.
        return self._fire(time) if max(times) - min(times) <= timeframe else None

    def _hold(self, oldest: float, time: float, timeframe: float) -> None:
        """Remember an event that makes room for the next, unless it is long ago: then a new burst begins."""
        if abs(time - oldest) <= timeframe:
            self.held += 1
            self.since = oldest if self.since is None else self.since
        else:
            self.held, self.since = 0, None

    def _fire(self, time: float) -> Burst:
        first = min(self.times) if self.since is None else min(self.since, *self.times)
        burst = Burst(len(self.times) + self.held, first, max(self.times))
        self.times.clear()
        self.fired, self.held, self.since = time, 0, None
        return burst


class Windows:
    """All windows. The longest unused is forgotten when there are too many, and counted."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.evictions = 0
        self._windows: OrderedDict[WindowKey, Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def add(self, key: WindowKey, time: float, count: int, timeframe: float) -> Burst | None:
        """Count one event of `key`."""
        window = self._windows.get(key)
        if window is None or window.times.maxlen != count:
            window = self._windows[key] = Window(deque(maxlen=count))
            self._shrink()
        self._windows.move_to_end(key)
        return window.add(time, timeframe)

    def _shrink(self) -> None:
        self.keep_latest(self.limit)

    def keep_latest(self, count: int) -> None:
        """Forget the longest unused until there are no more than `count`."""
        while len(self._windows) > count:
            self._windows.popitem(last=False)
            self.evictions += 1

    def keep_rules(self, rules: frozenset[str], limit: int) -> None:
        """After a reload: forget the windows of rules that are gone or count differently, and take a new bound."""
        for key in [key for key in self._windows if key[0] not in rules]:
            del self._windows[key]
        self.limit = limit
        self._shrink()

    def dump(self) -> Generator[list[Any], None, None]:
        """Each window as JSON-able data, from the longest unused to the latest, so that `load` restores the order."""
        for (rule, trust, values), window in self._windows.items():
            texts = [value.decode("latin-1") for value in values]
            yield [
                *(rule, trust, texts, window.times.maxlen, list(window.times)),
                *(window.fired, window.held, window.since),
            ]

    def load(self, rows: Iterable[list[Any]]) -> None:
        """Take back what `dump` gave."""
        for rule, trust, texts, count, times, fired, held, since in rows:
            key = (rule, trust, tuple(text.encode("latin-1") for text in texts))
            self._windows[key] = Window(deque(times, maxlen=count), fired, held, since)
        self._shrink()
