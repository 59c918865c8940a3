from __future__ import annotations

from datetime import UTC, datetime

from ironpost_logpipe.conditions import Condition
from ironpost_logpipe.explain import explain
from ironpost_logpipe.rules import Override, apply_overrides
from logpipe.helpers import bundled, failed, simple


def test_the_rule_that_matches_comes_first_with_its_reasons() -> None:
    result = explain(bundled(), failed().decode())
    first = result["rules"][0]
    assert (first["id"], first["matches"]) == ("ssh-password-guessing", True)
    assert [step["holds"] for step in first["conditions"]] == [True, True]
    assert first["captures"] == {"source_ip": "203.0.113.7", "user": "root"}
    assert result["fields"]["app"] == "sshd"
    assert first["threshold"] == "5 events in 1m by source_ip"
    assert result["repeated"] == 1
    assert explain((), "Nov  3 10:00:00 web1 a[1]: message repeated 3 times: [ x]")["repeated"] == 3


def test_nested_conditions_are_shown_with_their_depth() -> None:
    rule = simple(
        "[{any: [{field: app, value: a}, {not: {all: [{field: app, value: b}]}}]}]",
    )
    (explained,) = explain([rule], "x")["rules"]
    assert explained["conditions"][1]["why"] == "'' is not 'a'"
    assert [(step["depth"], step["condition"], step["holds"]) for step in explained["conditions"]] == [
        (0, "any of", True),
        (1, "app exact 'a'", False),
        (1, "not", True),
        (2, "all of", False),
        (3, "app exact 'b'", False),
    ]


def test_a_line_that_is_not_of_the_format() -> None:
    assert explain(bundled(), "x", "syslog") == {"parsed": False, "fields": {}, "repeated": 1, "rules": []}


def test_it_says_why_a_condition_does_not_hold() -> None:
    rule = simple(
        r"""
        - field: message
          modifier: regex
          value: '^(?P<user>\S+) (?P<source_ip>\S+) took (?P<process>\d+) ms(?P<file>!)?$'
        - {field: process, modifier: gt, value: 20}
        - {field: user, modifier: lt, value: 5}
        - {field: source_ip, modifier: cidr, value: [10.0.0.0/8, '::1']}
        - {field: user, modifier: cidr, value: 10.0.0.0/8}
        - {field: user, modifier: in, value: [root, admin]}
        - {field: user, value: Bob, ignore_case: true}
        - {field: user, modifier: startswith, value: x}
        - {field: pid, modifier: exists}
        - {field: file, modifier: exists}
        - {field: user, modifier: regex, value: '^x'}
        - count:
            at_least: 2
            of:
              - {field: user, value: bob}
              - all: [{field: raw, modifier: regex, value: '(?P<package>b)'}, {field: package, value: c}]
        """
    )
    (explained,) = explain([rule], "bob 203.0.113.7 took 17 ms")["rules"]
    assert [(step["condition"], step.get("why")) for step in explained["conditions"][1:]] == [
        ("process > 20", "17 is not > 20"),
        ("user < 5", "'bob' is no number"),
        ("source_ip cidr ['10.0.0.0/8', '::1']", "203.0.113.7 is not in 10.0.0.0/8, ::1"),
        ("user cidr '10.0.0.0/8'", "'bob' is no address"),
        ("user in ['root', 'admin']", "'bob' is none of 'admin', 'root'"),
        ("user exact 'Bob' (ignoring case)", None),
        ("user startswith 'x'", "'bob' does not start with 'x'"),
        ("pid exists", "it is empty or missing"),
        ("file exists", "nothing was caught as file"),
        ("user regex '^x'", "'bob' does not match"),
        ("at least 2 of", None),
        ("user exact 'bob'", None),
        ("all of", None),
        ("raw regex '(?P<package>b)'", None),
        ("package exact 'c'", "'b' is not 'c'"),
    ]


def test_exceptions_are_shown_with_what_they_do() -> None:
    office = Condition(field="source_ip", modifier="cidr", value="203.0.113.0/24")
    past = Override(rule="*", except_=(office,), until="2026-01-01T00:00:00Z", reason="the move")
    rule = apply_overrides(bundled()[0], [past, Override(rule="ssh-*", except_=(office,), reason="scanner")])
    now = datetime(2026, 2, 1, tzinfo=UTC)
    (explained,) = explain([rule], failed().decode(), now=now)["rules"]
    assert explained["matches"]
    assert explained["excepted"]
    over, holds = explained["exceptions"]
    assert (over["over"], over["holds"], over["drops"], over["until"]) == (
        True,
        [True],
        False,
        "2026-01-01T00:00:00+00:00",
    )
    assert (holds["over"], holds["drops"], holds["reason"]) == (False, True, "scanner")
    (other,) = explain([rule], failed(address="198.51.100.9").decode(), now=now)["rules"]
    assert other["matches"]
    assert not other["excepted"]
