from __future__ import annotations

import attrs
import pytest

from ironpost_logpipe.lint import Finding, lint, nanoseconds
from ironpost_logpipe.rules import Rule
from logpipe.helpers import bundled, rule, simple

GOOD = r"""
id: r
title: T
severity: low
detection:
  conditions: [{field: message, modifier: regex, value: '^bad (?P<user>.*) from (?P<source_ip>\S+)$'}]
threshold: {by: source_ip, count: 5, timeframe: 1m}
tags: [attack.t1110, attack.t1110.001, attack.credential-access, attack.g0016]
tests:
  match: [bad x from 192.0.2.1]
  no_match: [good]
  injection: [{line: bad x from 192.0.2.9 from 192.0.2.1, source_ip: 192.0.2.1}]
"""


def found(given: Rule) -> list[tuple[str, str]]:
    return [(finding.check, finding.weight) for finding in lint([given])]


def changed(old: str, new: str) -> Rule:
    assert old in GOOD
    return rule(GOOD.replace(old, new))


def test_nothing_is_odd_about_a_good_rule() -> None:
    assert found(rule(GOOD)) == []


def test_nothing_is_odd_about_bundled_rules() -> None:
    assert [str(finding) for finding in lint(bundled()) if finding.weight == "warning"] == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  match: [bad x from 192.0.2.1]\n", "", [("tests", "warning")]),
        ("  no_match: [good]\n", "", [("tests", "warning")]),
        ("  injection: [", "  # injection: [", [("injection", "warning")]),
        (r"(?P<source_ip>\S+)$", r"(?P<source_ip>\S+)(?:, .*)?$", [("injection", "note")]),
        ("attack.t1110,", "attack.1110,", [("tags", "warning")]),
        ("attack.t1110,", "attack.credentials, brute-force,", [("tags", "warning"), ("tags", "warning")]),
        ("count: 5", "count: 10000", [("memory", "warning")]),
    ],
)
def test_what_is_odd_is_named(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    assert found(changed(old, new)) == expected


def test_free_text_on_both_sides_without_attacks_is_a_warning() -> None:
    given = changed(r"(?P<source_ip>\S+)$", r"(?P<source_ip>\S+)(?:, .*)?$")
    without = attrs.evolve(given.document, tests=attrs.evolve(given.document.tests, injection=()))
    assert found(attrs.evolve(given, document=without)) == [("injection", "warning")] * 2


@pytest.mark.parametrize(
    "conditions",
    [
        "[{field: pid, modifier: gt, value: 5}]",
        "[{field: host, modifier: cidr, value: 10.0.0.0/8}]",
        "[{not: {field: app, value: sshd}}]",
        "[{field: message, modifier: regex, value: '^\\d+$'}]",
        "[{any: [{field: app, value: sshd}, {field: app, modifier: exists}]}]",
    ],
)
def test_a_rule_without_a_required_text_costs_on_every_line(conditions: str) -> None:
    given = simple(conditions)
    (cost,) = [finding for finding in lint([given]) if finding.check == "cost"]
    assert cost.weight == "note"
    assert "evaluated on every line, at about " in cost.what
    assert nanoseconds(given) > 0
    disabled = attrs.evolve(given, document=attrs.evolve(given.document, status="disabled"))
    assert "cost" not in dict(found(disabled))


def test_a_finding_says_where_it_is() -> None:
    (finding,) = [each for each in lint([simple("[{field: app, value: x}]")]) if each.check == "tests"]
    assert isinstance(finding, Finding)
    assert str(finding).startswith("test.yaml:1: r: warning: it has no tests")
