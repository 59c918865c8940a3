from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironpost_core.quantities import Duration, Size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("10s", 10), ("1w2d", 777600), ("1.5h", 5400), ("0s", 0)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert Duration.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5s", "30m1h", "5M", "1h1h", "\u0661s", "5m\n", "1e3s", "inf"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match='expected a duration with its unit such as "30s", "5m" or "1h30m"'):
        Duration.parse(text)


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan"), 3_155_760_001])
def test_a_duration_is_finite_and_at_most_a_century(seconds: float) -> None:
    with pytest.raises(ValueError, match="from 0s to 100 years"):
        Duration(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.25, "250ms"),
        (90, "90s"),
        (3600, "1h"),
        (5400, "90m"),
        (604800, "1w"),
        (0.0001, "0.0001s"),
        (1e-9, "0.000000001s"),
    ],
)
def test_a_duration_is_written_in_its_shortest_exact_form(seconds: float, text: str) -> None:
    assert str(Duration(seconds)) == text
    assert f"{Duration(seconds)}" == text


@given(st.floats(0, Duration.LONGEST))
def test_a_duration_survives_being_written_and_read(seconds: float) -> None:
    duration = Duration(seconds)
    assert Duration.parse(str(duration)) == duration


def test_a_duration_is_a_number_and_says_what_it_is() -> None:
    duration = Duration(300)
    assert duration + 1 == 301.0
    assert repr(duration) == "Duration.parse('5m')"
    assert isinstance(pickle.loads(pickle.dumps(copy.deepcopy(duration))), Duration)


@pytest.mark.parametrize(
    ("text", "size"),
    [("512B", 512), ("64KiB", 65536), ("10MiB", 10 << 20), ("1GB", 10**9), ("0B", 0), ("2TiB", 2 << 40)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert Size.parse(text) == size


@pytest.mark.parametrize("text", ["", "10", "10M", "1.5MiB", "-1B", "10 MiB", "10mib", "\u0661B"])
def test_what_is_no_size_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match='expected a size such as "512B", "64KiB" or "10MiB"'):
        Size.parse(text)


@pytest.mark.parametrize("size", [-1, 1 << 63])
def test_a_size_is_one_that_a_file_can_have(size: int) -> None:
    with pytest.raises(ValueError, match="from 0B to 8388607TiB"):
        Size(size)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (1, "1B"), (1024, "1KiB"), (1000, "1KB"), (10 << 20, "10MiB"), (1025, "1025B")]
)
def test_a_size_is_written_in_its_shortest_exact_form(size: int, text: str) -> None:
    assert str(Size(size)) == text
    assert repr(Size(size)) == f"Size.parse({text!r})"


@given(st.integers(0, Size.LARGEST))
def test_a_size_survives_being_written_and_read(size: int) -> None:
    assert Size.parse(str(Size(size))) == size
