"""What rules remember of the lines before, by key: in bounded memory, in a form that a checkpoint can hold.

A rule fires when `count` events with the same key, or events with `count` different values, lie within `timeframe`.
Then its key is silent for one timeframe: at most one alert per key and timeframe. Events go on to be counted
meanwhile, so an attack that lasts fires again as soon as the silence is over, and that alert's count includes what was
held back. When a key fired last is what sequences ask for; when it was seen last, what looks for new keys asks for.

Everything depends on the events' own times and their order only, never on a clock: the same lines give the same
alerts. Windows of different trust are apart, so that four forged datagrams and one real line don't make five.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Generator, Iterable, MutableMapping
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
    """One key's events.

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

    def add(self, time: float, timeframe: float, events: int = 1) -> Burst | None:
        """Count so many events of one time; what fires, if it does."""
        times, fired = self.times, self.fired
        if events > 1:
            self._make_room(time, timeframe, events)
        elif fired is not None and len(times) == times.maxlen:
            # As in `_hold`, which is not called because this is the most frequent way of all under attack.
            if -timeframe <= time - times[0] <= timeframe and self.since is not None:
                self.held += 1
            else:
                self._hold(times[0], time, timeframe)
        times.append(time)
        if len(times) != times.maxlen or (fired is not None and -timeframe < time - fired < timeframe):
            return None
        if not -timeframe <= time - times[0] <= timeframe:
            return None
        # All of them, not only the oldest: lines out of order must not make events of different times one burst.
        return self._fire(time) if max(times) - min(times) <= timeframe else None

    def _make_room(self, time: float, timeframe: float, events: int) -> None:
        """Put in all of several events but the last, at the cost of `count` at most."""
        times = self.times
        size = times.maxlen or 1
        fitting = min(events, size)
        for _ in range(len(times) + fitting - size):
            oldest = times.popleft()
            if self.fired is not None:
                self._hold(oldest, time, timeframe)
        if events > fitting:
            self.held += events - fitting
            self.since = time if self.since is None else self.since
        times.extend([time] * (fitting - 1))

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


@attrs.define
class DistinctWindow:
    """One key's different values.

    Attributes:
        count: how many it takes to fire; no more are kept.
        values: each value's latest time, from the longest unseen to the latest.
        fired: when it fired last.
    """

    count: int
    values: OrderedDict[bytes, float] = attrs.field(factory=OrderedDict)
    fired: float | None = None

    def add(self, value: bytes, time: float, timeframe: float) -> Burst | None:
        """Note a value; what fires, if it does: as many values as it takes, with the times they were seen last."""
        values, fired = self.values, self.fired
        values[value] = time
        values.move_to_end(value)
        missing = self.count - len(values)
        if missing < 0:
            values.popitem(last=False)
        if missing > 0 or (fired is not None and -timeframe < time - fired < timeframe):
            return None
        if not -timeframe <= time - next(iter(values.values())) <= timeframe:
            return None
        first, last = min(values.values()), max(values.values())
        if last - first > timeframe:
            return None
        self.values = OrderedDict()
        self.fired = time
        return Burst(self.count, first, last)


class Windows:
    """All that is remembered. The longest unused key is forgotten when there are too many, and counted.

    Keys that were seen (`first_seen`) and keys that are counted have an order of their own, so that a flood of the
    one does not wash away the other: each is sure of a half, and may use what the other leaves.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.evictions = 0
        self._windows: OrderedDict[WindowKey, Window | DistinctWindow] = OrderedDict()
        self._seen: OrderedDict[WindowKey, float] = OrderedDict()
        self._learning: dict[tuple[str, str], float] = {}

    def __len__(self) -> int:
        return len(self._windows) + len(self._seen)

    def add(self, key: WindowKey, time: float, count: int, timeframe: float, events: int = 1) -> Burst | None:
        """Count so many events of `key` at one time."""
        window = self._windows.get(key)
        if window.__class__ is Window and window.times.maxlen == count:
            self._windows.move_to_end(key)
        else:
            window = Window(deque(maxlen=count))
            self._keep(key, window)
        return window.add(time, timeframe, events)

    def add_value(self, key: WindowKey, value: bytes, time: float, count: int, timeframe: float) -> Burst | None:
        """Note a value of `key`."""
        window = self._windows.get(key)
        if not isinstance(window, DistinctWindow) or window.count != count:
            window = DistinctWindow(count)
            self._keep(key, window)
        else:
            self._windows.move_to_end(key)
        return window.add(value, time, timeframe)

    def fired(self, key: WindowKey) -> float | None:
        """When `key` fired last, as far as that is remembered; to ask changes nothing."""
        window = self._windows.get(key)
        return None if window is None else window.fired

    def is_new(self, key: WindowKey, time: float, span: float, learning: float) -> bool:
        """Note that `key` is seen; whether it was not for `span`, and its rule has learnt for long enough."""
        rule = key[:2]
        # The earliest time, whatever the order: one line that claims to be of the future must not prolong learning.
        since = self._learning[rule] = min(time, self._learning.get(rule, time))
        last = self._seen.get(key)
        self._seen[key] = time
        self._seen.move_to_end(key)
        if last is None:
            self.keep_latest(self.limit)
        return time - since >= learning and (last is None or abs(time - last) > span)

    def _keep(self, key: WindowKey, window: Window | DistinctWindow) -> None:
        self._windows[key] = window
        self._windows.move_to_end(key)
        self.keep_latest(self.limit)

    def keep_latest(self, count: int) -> None:
        """Forget the longest unused until there are no more than `count`."""
        while len(self) > count:
            if len(self._seen) > count // 2:
                self._seen.popitem(last=False)
            else:
                self._windows.popitem(last=False)
            self.evictions += 1

    def keep_rules(self, rules: frozenset[str], limit: int) -> None:
        """After a reload: forget what belongs to rules that are gone or count differently, and take a new bound."""
        tables: tuple[MutableMapping[Any, Any], ...] = (self._windows, self._seen, self._learning)
        for kept in tables:
            for key in [key for key in kept if key[0] not in rules]:
                del kept[key]
        self.limit = limit
        self.keep_latest(limit)

    def dump(self) -> Generator[list[Any], None, None]:
        """Everything as JSON-able rows, each from the longest unused to the latest, so that `load` restores the order.

        A row's fifth entry tells what it is: a list of times, a table of values with their times, or one time: that a
        key was seen last or, without a key, that a rule began to learn.
        """
        for (rule, trust), since in self._learning.items():
            yield [rule, trust, None, 0, since]
        for (rule, trust, values), last in self._seen.items():
            yield [rule, trust, _texts(values), 0, last]
        for (rule, trust, values), window in self._windows.items():
            if isinstance(window, Window):
                yield [
                    *(rule, trust, _texts(values), window.times.maxlen, list(window.times)),
                    *(window.fired, window.held, window.since),
                ]
            else:
                times = {value.decode("latin-1"): time for value, time in window.values.items()}
                yield [rule, trust, _texts(values), window.count, times, window.fired]

    def load(self, rows: Iterable[list[Any]]) -> None:
        """Take back what `dump` gave."""
        for rule, trust, texts, count, content, *rest in rows:
            if texts is None:
                self._learning[rule, trust] = float(content)
                continue
            key = (rule, trust, tuple(text.encode("latin-1") for text in texts))
            if isinstance(content, list):
                self._windows[key] = Window(deque(content, maxlen=count), *rest)
            elif isinstance(content, dict):
                values = OrderedDict((text.encode("latin-1"), time) for text, time in content.items())
                self._windows[key] = DistinctWindow(count, values, *rest)
            else:
                self._seen[key] = float(content)
        self.keep_latest(self.limit)


def _texts(values: tuple[bytes, ...]) -> list[str]:
    return [value.decode("latin-1") for value in values]
