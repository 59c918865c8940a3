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
