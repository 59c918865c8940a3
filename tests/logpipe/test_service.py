from __future__ import annotations

import pytest

from ironpost_logpipe.service import longest_window
from logpipe.helpers import simple

CONDITION = "[{field: message, value: x}]"


@pytest.mark.parametrize(
    ("thresholds", "seconds"),
    [
        ((), 0.0),
        (("",), 0.0),
        (("{count: 2, timeframe: 1m}", "{count: 2, timeframe: 5m}"), 300.0),
        (("{distinct: app, count: 2, timeframe: 2m}",), 120.0),
        (("{after: {rule: a, within: 10m}}",), 600.0),
        (("{after: {rule: a, within: 10m}, count: 2, timeframe: 1m}",), 600.0),
        (("{after: {rule: a, within: 1m}, count: 2, timeframe: 10m}",), 600.0),
        (("{by: [app], first_seen: 30d}",), 0.0),
    ],
)
def test_how_much_of_the_past_a_journal_begins_with(thresholds: tuple[str, ...], seconds: float) -> None:
    rules = [simple(CONDITION, f"r{number}", threshold) for number, threshold in enumerate(thresholds)]
    assert longest_window(rules) == seconds
