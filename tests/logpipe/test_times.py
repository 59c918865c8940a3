from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironpost_logpipe.times import TimeReader


def reader(now: str) -> TimeReader:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    return TimeReader(moment.timestamp, UTC)


@pytest.mark.parametrize(
    "stamp",
    [
        *(
            b"24/Nov/2026",
            b"24/Foo/2026:22:38:51 +0000",
            b"Tue Nov 24",
            b"Tue Foo 24 22:38:51 2026",
            b"2026/13/24 22:38:51",
        ),
        *(b"Tue Nov x 22:38:51 2026", b"15311710742", b"1531171074.x", b"9" * 5000, b"1/", b"\xff/\xff/"),
    ],
)
def test_texts_that_only_resemble_times_are_none(stamp: bytes) -> None:
    assert reader("2024-11-03T12:00").read(stamp) is None


def read(now: str, stamp: bytes) -> str | None:
    seconds = reader(now).read(stamp)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


@pytest.mark.parametrize(
    ("now", "stamp", "expected"),
    [
        ("2024-11-03T12:00", b"Nov  3 10:00:01", "2024-11-03T10:00:01+00:00"),
        ("2024-11-03T12:00", b"Nov 03 10:00:01", "2024-11-03T10:00:01+00:00"),
        ("2024-11-03T12:00", b"Nov 3 10:00:01", "2024-11-03T10:00:01+00:00"),
        ("2025-01-01T00:00", b"Dec 31 23:59:59", "2024-12-31T23:59:59+00:00"),
        ("2024-12-31T23:59", b"Jan  1 00:00:10", "2025-01-01T00:00:10+00:00"),
        ("2024-12-30T12:00", b"Jan  1 00:00:10", "2024-01-01T00:00:10+00:00"),
        ("2025-03-01T12:00", b"Feb 29 10:00:00", "2024-02-29T10:00:00+00:00"),
        ("2024-11-03T12:00", b"Nov  3 10:00:60", "2024-11-03T10:01:00+00:00"),
        ("2024-11-03T12:00", b"24/Nov/2026:22:38:51 +0130", "2026-11-24T21:08:51+00:00"),
        ("2024-11-03T12:00", b"2026/11/24 22:38:51", "2026-11-24T22:38:51+00:00"),
        ("2024-11-03T12:00", b"Tue Nov  4 22:38:51.250000 2026", "2026-11-04T22:38:51.250000+00:00"),
        ("2024-11-03T12:00", b"Tue Nov 24 22:38:51 2026", "2026-11-24T22:38:51+00:00"),
        ("2024-11-03T12:00", b"2026-11-24T22:38:51.123456789Z", "2026-11-24T22:38:51.123456+00:00"),
        ("2024-11-03T12:00", b"2026-11-24 22:38:51,250", "2026-11-24T22:38:51.250000+00:00"),
        ("2024-11-03T12:00", b"1531171074", "2018-07-09T21:17:54+00:00"),
        ("2024-11-03T12:00", b"1531171074.25", "2018-07-09T21:17:54.250000+00:00"),
        ("2024-11-03T12:00", b"1531171074250", "2018-07-09T21:17:54.250000+00:00"),
        ("2024-11-03T12:00", b"1531171074250000000", "2018-07-09T21:17:54.250000+00:00"),
        ("2024-11-03T12:00", b"2020-01-02T03:04:05Z", "2020-01-02T03:04:05+00:00"),
        ("2024-11-03T12:00", b"2020-01-02T03:04:05.5+02:00", "2020-01-02T01:04:05.500000+00:00"),
        ("2024-11-03T12:00", b"2020-01-02 03:04:05", "2020-01-02T03:04:05+00:00"),
    ],
)
def test_times_as_logs_write_them(now: str, stamp: bytes, expected: str) -> None:
    assert read(now, stamp) == expected


@pytest.mark.parametrize(
    "stamp",
    [b"", b"Nov", b"Nov 31 10:00:00", b"Nov  3 25:00:00", b"Nov  3 10:00:61", b"Nov  3 10:00:xx", b"2024-13-01"],
)
def test_a_text_that_is_no_time_is_none(stamp: bytes) -> None:
    assert read("2024-11-03T12:00", stamp) is None


def test_the_zone_is_the_readers() -> None:
    zone = timezone(timedelta(hours=2))
    times = TimeReader(lambda: 1_730_628_000.0, zone)  # 2024-11-03 10:00 UTC
    assert times.read(b"Nov  3 12:00:00") == 1_730_628_000.0
    assert times.read(b"2024-11-03 12:00:00") == 1_730_628_000.0
    assert times.read(b"2024-11-03T12:00:00Z") == 1_730_628_000.0 + 7200


def test_a_new_day_is_noticed() -> None:
    now = [datetime(2024, 12, 30, tzinfo=UTC).timestamp()]
    times = TimeReader(lambda: now[0], UTC)
    before = times.read(b"Jan  1 00:00:00")
    now[0] += 2 * 86400
    assert times.read(b"Jan  1 00:00:00") == before
    times.refresh()
    assert times.read(b"Jan  1 00:00:00") == datetime(2025, 1, 1, tzinfo=UTC).timestamp()


def test_the_cache_is_bounded() -> None:
    times = reader("2024-11-03T12:00")
    for number in range(5000):
        times.read(b"Jan %d %02d:%02d:00" % (1 + number // 1440, number // 60 % 24, number % 60))
    assert len(times._minutes) <= 4096


@given(st.binary(max_size=60))
def test_any_bytes_are_survived(stamp: bytes) -> None:
    reader("2024-11-03T12:00").read(stamp)
