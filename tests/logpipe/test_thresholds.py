from __future__ import annotations

import json
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from ironpost_logpipe.thresholds import Burst, Windows

KEY = ("r", "local", (b"\xff",))


def fire(times: list[float], count: int = 3, timeframe: float = 10.0) -> list[Burst]:
    windows = Windows(10)
    return [burst for time in times if (burst := windows.add(KEY, time, count, timeframe)) is not None]


def test_enough_events_within_the_timeframe_fire() -> None:
    assert fire([0, 5, 10]) == [Burst(3, 0, 10)]
    assert fire([0, 5, 10.1]) == []
    assert fire([0, 5, 11, 12]) == [Burst(3, 5, 12)]
    assert fire([1], count=1) == [Burst(1, 1, 1)]


def test_a_key_is_silent_for_one_timeframe_and_nothing_is_forgotten() -> None:
    bursts = fire([float(second) for second in range(26)])
    assert bursts == [Burst(3, 0, 2), Burst(10, 3, 12), Burst(10, 13, 22)]


def test_what_was_held_back_is_forgotten_when_the_attack_pauses() -> None:
    assert fire([0, 1, 2, 3, 4, 5, 6, 7, 100, 101, 102]) == [Burst(3, 0, 2), Burst(3, 100, 102)]


def test_a_clock_that_jumps_does_not_silence_for_years() -> None:
    assert fire([1000, 1001, 1002, 0, 1, 2]) == [Burst(3, 1000, 1002), Burst(3, 0, 2)]
    assert fire([1000, 0, 1]) == []


def test_lines_out_of_order_make_no_burst_of_events_that_are_apart() -> None:
    assert fire([0, 100, 1, 2, 3], count=5, timeframe=60) == []
    assert fire([0, 100, 1, 2, 3, 4, 5], count=5, timeframe=60) == [Burst(5, 1, 5)]
    assert fire([3, 1, 2]) == [Burst(3, 1, 3)]


def test_the_longest_unused_window_is_forgotten_and_counted() -> None:
    windows = Windows(2)
    for key in (b"a", b"b", b"a", b"c"):
        windows.add(("r", "local", (key,)), 0, 3, 10)
    assert (len(windows), windows.evictions) == (2, 1)
    assert windows.add(("r", "local", (b"a",)), 0, 3, 10) == Burst(3, 0, 0)


def test_a_reload_keeps_only_what_still_counts_the_same() -> None:
    windows = Windows(10)
    windows.add(("a", "local", ()), 0, 3, 10)
    windows.add(("b", "local", ()), 0, 3, 10)
    windows.keep_rules(frozenset(("a",)), 10)
    assert len(windows) == 1
    windows.add(("a", "local", ()), 0, 2, 10)  # another count: begins anew
    assert windows.add(("a", "local", ()), 0, 2, 10) == Burst(2, 0, 0)


def distinct(events: list[tuple[str, float]], count: int = 3, timeframe: float = 10.0) -> list[Burst]:
    windows = Windows(10)
    found = [windows.add_value(KEY, value.encode(), time, count, timeframe) for value, time in events]
    return [burst for burst in found if burst is not None]


def test_different_values_fire_and_repeated_ones_do_not() -> None:
    assert distinct([("a", 0), ("b", 1), ("a", 2), ("b", 3)]) == []
    assert distinct([("a", 0), ("b", 1), ("a", 2), ("c", 3)]) == [Burst(3, 1, 3)]
    assert distinct([("a", 0), ("b", 1), ("c", 10.5)]) == []
    assert distinct([("a", 0), ("b", 1), ("a", 5), ("c", 10.5)]) == [Burst(3, 1, 10.5)]
    assert distinct([("a", 0), ("b", 100), ("c", 1), ("d", 2)]) == []


def test_different_values_are_silent_for_one_timeframe_and_no_more_are_kept_than_needed() -> None:
    assert distinct([(str(second), second) for second in range(16)]) == [Burst(3, 0, 2), Burst(3, 10, 12)]
    windows = Windows(10)
    for second in range(100):
        windows.add_value(KEY, b"%d" % second, second * 100.0, 3, 10)
    ((*_, values, _fired),) = windows.dump()
    assert list(values) == ["97", "98", "99"]


def test_what_is_repeated_counts_at_once() -> None:
    windows = Windows(10)
    assert windows.add(KEY, 0, 3, 10, 2) is None
    assert windows.add(KEY, 5, 3, 10, 1000) == Burst(1000, 5, 5)  # what was before it has no place in the window
    assert windows.add(KEY, 6, 3, 10, 7) is None
    assert windows.add(KEY, 15, 3, 10, 2) == Burst(9, 6, 15)
    assert Windows(1).add(KEY, 0, 1, 10, 5) == Burst(5, 0, 0)
    assert Windows(1).add(KEY, 0, 5, 10, 4) is None


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=30), st.integers(1, 5))
def test_repeated_events_make_a_window_that_single_ones_make(events: list[tuple[int, int]], count: int) -> None:
    """As long as nothing fires: then one alert has them all, where single ones would have given it the first."""
    together, single = Windows(5), Windows(5)
    for time, times in events:
        bursts = [single.add(KEY, time, count, 4.0) for _ in range(times)]
        burst = together.add(KEY, time, count, 4.0, times)
        assert (burst is None) == (not any(bursts))
        if burst is not None:
            assert burst.count >= count
            return
        assert list(together.dump()) == list(single.dump())


def new(windows: Windows, name: bytes, time: float, *, span: float = 30, learning: float = 7) -> bool:
    return windows.is_new(("r", "local", (name,)), time, span, learning)


def test_a_key_is_new_once_unless_it_was_away_for_long() -> None:
    windows = Windows(10)
    assert not new(windows, b"a", 0)  # learns
    assert not new(windows, b"b", 6)
    assert new(windows, b"c", 7)
    assert [new(windows, name, 8) for name in (b"a", b"b", b"c", b"d")] == [False, False, False, True]
    assert [new(windows, b"a", time) for time in (38, 69, 70)] == [False, True, False]
    assert new(Windows(1), b"a", 5, learning=0)


def test_a_line_of_the_future_does_not_prolong_learning() -> None:
    windows = Windows(10)
    assert not new(windows, b"a", 1e9)
    assert not new(windows, b"b", 0)
    assert new(windows, b"c", 7)


def test_keys_that_were_seen_and_keys_that_are_counted_do_not_wash_each_other_away() -> None:
    windows = Windows(10)
    for number in range(100):
        new(windows, b"%d" % number, 0)
    assert (len(windows), windows.evictions) == (10, 90)
    for number in range(100):
        windows.add(("r", "local", (b"%d" % number,)), 0, 3, 10)
    assert (len(windows), windows.evictions) == (10, 190)
    assert not any(new(windows, b"%d" % number, 9) for number in range(95, 100))
    assert windows.add(("r", "local", (b"99",)), 0, 3, 10, 2) == Burst(3, 0, 0)


def test_a_window_of_another_kind_begins_anew() -> None:
    windows = Windows(10)
    windows.add(KEY, 0, 2, 10)
    assert windows.add_value(KEY, b"a", 0, 2, 10) is None
    assert windows.add(KEY, 0, 2, 10) is None
    assert len(windows) == 1


def test_a_reload_forgets_what_changed_rules_have_seen_and_learnt() -> None:
    windows = Windows(10)
    new(windows, b"a", 0)
    windows.keep_rules(frozenset(("other",)), 10)
    assert list(windows.dump()) == []


TIMES = st.integers(0, 40).map(lambda half: half / 2)
NAMES = st.sampled_from([b"a", b"b", b"\xff\x00", b"d"])
EVENTS = st.lists(st.tuples(NAMES, NAMES, TIMES, st.integers(1, 3)), max_size=60)
Answers: TypeAlias = list[object]


def step(windows: Windows, event: tuple[bytes, bytes, float, int], count: int) -> Answers:
    """One event for a rule of each kind, and what it answers."""
    name, value, time, times = event
    return [
        windows.add(("count", "local", (name,)), time, count, 5.0, times),
        windows.add_value(("distinct", "local", (name,)), value, time, count, 5.0),
        windows.is_new(("new", "local", (name, value)), time, 9.0, 4.0),
        windows.fired(("count", "local", (name,))),
        windows.fired(("distinct", "local", (name,))),
    ]


@given(EVENTS, st.integers(0, 60), st.integers(1, 4), st.integers(1, 20))
def test_dumped_and_loaded_windows_of_all_kinds_go_on_alike(
    events: list[tuple[bytes, bytes, float, int]], cut: int, count: int, limit: int
) -> None:
    whole, first, second = Windows(limit), Windows(limit), Windows(limit)
    expected = [step(whole, event, count) for event in events]
    found = [step(first, event, count) for event in events[:cut]]
    second.load(json.loads(json.dumps(list(first.dump()))))
    found += [step(second, event, count) for event in events[cut:]]
    assert found == expected
    assert list(second.dump()) == list(whole.dump())
    assert first.evictions + second.evictions == whole.evictions


@given(EVENTS, st.integers(1, 4))
def test_every_kind_agrees_with_a_model_that_keeps_everything(
    events: list[tuple[bytes, bytes, float, int]], count: int
) -> None:
    windows, model = Windows(1000), Model(count)
    for event in events:
        bursts = step(windows, event, count)
        assert [bursts[0] is not None, bursts[1] is not None, *bursts[2:]] == model.step(event)


class Model:
    """The same rules, said anew over the whole history of each key."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.events: dict[bytes, list[float]] = {}
        self.values: dict[bytes, list[tuple[bytes, float]]] = {}
        self.fired: dict[tuple[str, bytes], float] = {}
        self.seen: dict[tuple[bytes, bytes], float] = {}
        self.times: list[float] = []

    def step(self, event: tuple[bytes, bytes, float, int]) -> Answers:
        name, value, time, times = event
        self.times.append(time)
        self.events.setdefault(name, []).extend([time] * times)
        self.values.setdefault(name, []).append((value, time))
        latest = self.events[name][-self.count :]
        counted = len(latest) == self.count and self.fires("count", name, latest, time)
        if counted:
            self.events[name] = []
        order = [v for v, _ in reversed(self.values[name])]
        last = sorted(set(order), key=order.index)[: self.count]
        ends = dict(self.values[name])
        different = len(last) == self.count and self.fires("distinct", name, [ends[v] for v in last], time)
        if different:
            self.values[name] = []
        known = self.seen.get((name, value))
        self.seen[name, value] = time
        new = time - min(self.times) >= 4.0 and (known is None or abs(time - known) > 9.0)
        return [counted, different, new, self.fired.get(("count", name)), self.fired.get(("distinct", name))]

    def fires(self, kind: str, name: bytes, times: list[float], time: float) -> bool:
        fired = self.fired.get((kind, name))
        if max(times) - min(times) > 5.0 or (fired is not None and abs(time - fired) < 5.0):
            return False
        self.fired[kind, name] = time
        return True
