from __future__ import annotations

from ironpost_logpipe.examples import count, failures
from logpipe.helpers import rule

RULE = r"""
id: r
title: T
severity: low
detection:
  conditions: [{field: message, modifier: regex, value: '^bad (?P<user>.*) (?P<source_ip>\S+)$'}]
tests:
  match: ['bad bob 192.0.2.1', 'good']
  no_match: ['good', 'bad bob 192.0.2.1']
  injection:
    - {line: 'bad x 192.0.2.9 192.0.2.1', source_ip: 192.0.2.1}
    - {line: 'bad x 192.0.2.9 192.0.2.1', source_ip: 192.0.2.9}
    - {line: 'bad x host'}
    - {line: 'bad x 192.0.2.1'}
"""


def test_what_does_not_hold_is_named() -> None:
    made = rule(RULE)
    assert [(failure.kind, failure.why) for failure in failures(made)] == [
        ("match", "does not match"),
        ("no_match", "matches"),
        ("injection", "accuses 192.0.2.1, not 192.0.2.9"),
        ("injection", "accuses 192.0.2.1, not nobody"),
    ]
    assert count(made) == 8


def test_a_rule_that_counts_by_a_source_that_its_lines_do_not_name_is_told() -> None:
    made = rule(
        "id: r\ntitle: T\nseverity: low\ndetection: {conditions: [{field: message, value: bad}]}\n"
        "threshold: {by: [source_ip], count: 2, timeframe: 1m}\ntests: {match: [bad]}\n"
    )
    assert [failure.why for failure in failures(made)] == [
        "matches, but names no source_ip, by which the threshold counts"
    ]


def test_the_client_of_an_access_log_is_accused_without_being_caught() -> None:
    made = rule(
        """
id: r
title: T
severity: low
detection: {conditions: [{field: status, value: 401}]}
tests:
  injection:
    - line: '192.0.2.1 - - [24/Nov/2026:22:38:51 +0000] "GET /198.51.100.9 HTTP/1.1" 401 1 "-" "198.51.100.9"'
      source_ip: 192.0.2.1
    - line: '192.0.2.1 - - [24/Nov/2026:22:38:51 +0000] "GET / HTTP/1.1" 401 1 "-" "-"'
"""
    )
    assert [failure.why for failure in failures(made)] == ["accuses 192.0.2.1, not nobody"]


def test_alerts_of_lines_together() -> None:
    made = rule(
        r"""
id: r
title: T
severity: low
status: disabled
detection:
  conditions: [{field: message, modifier: regex, value: '^bad (?P<user>.*) (?P<source_ip>\S+)$'}]
threshold: {by: source_ip, count: 2, timeframe: 1m}
tests:
  alerts:
    - {lines: ['bad a 192.0.2.1', 'bad b 192.0.2.1'], source_ip: 192.0.2.1, user: b}
    - {lines: ['bad a 192.0.2.1', 'bad b 192.0.2.2'], count: 0}
    - {lines: ['bad a 192.0.2.1', 'bad b 192.0.2.2']}
    - {lines: ['bad a 192.0.2.1', 'bad b 192.0.2.1'], user: a}
    - {lines: ['bad a 192.0.2.1'], count: 0, source_ip: 192.0.2.1}
"""
    )
    assert [(failure.kind, failure.why) for failure in failures(made)] == [
        ("alerts", "raises 0 alerts, not 1"),
        ("alerts", "the last alert has b as user, not a"),
        ("alerts", "the last alert has none as source_ip, not 192.0.2.1"),
    ]
    assert count(made) == 5
