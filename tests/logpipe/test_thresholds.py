from __future__ import annotations

import json

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


@given(
    st.lists(st.tuples(st.sampled_from([b"a", b"b", b"\xff\x00", b"d"]), st.integers(0, 40)), max_size=60),
    st.integers(0, 60),
    st.integers(1, 4),
)
def test_dumped_and_loaded_windows_go_on_alike(events: list[tuple[bytes, int]], cut: int, count: int) -> None:
    whole, first, second = Windows(3), Windows(3), Windows(3)
    expected = [whole.add(("r", "local", (key,)), time, count, 10.0) for key, time in events]
    found = [first.add(("r", "local", (key,)), time, count, 10.0) for key, time in events[:cut]]
    second.load(json.loads(json.dumps(list(first.dump()))))
    found += [second.add(("r", "local", (key,)), time, count, 10.0) for key, time in events[cut:]]
    assert found == expected
    assert list(second.dump()) == list(whole.dump())
