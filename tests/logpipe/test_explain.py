from __future__ import annotations

from ironpost_logpipe.explain import explain
from logpipe.helpers import bundled, failed, simple


def test_the_rule_that_matches_comes_first_with_its_reasons() -> None:
    result = explain(bundled(), failed().decode())
    first = result["rules"][0]
    assert (first["id"], first["matches"]) == ("ssh-password-guessing", True)
    assert [step["holds"] for step in first["conditions"]] == [True, True]
    assert first["captures"] == {"source_ip": "203.0.113.7", "user": "root"}
    assert result["fields"]["app"] == "sshd"


def test_nested_conditions_are_shown_with_their_depth() -> None:
    rule = simple(
        "[{any: [{field: app, value: a}, {not: {all: [{field: app, value: b}]}}]}]",
    )
    (explained,) = explain([rule], "x")["rules"]
    assert [(step["depth"], step["condition"], step["holds"]) for step in explained["conditions"]] == [
        (0, "any of", True),
        (1, "app exact 'a'", False),
        (1, "not", True),
        (2, "all of", False),
        (3, "app exact 'b'", False),
    ]


def test_a_line_that_is_not_of_the_format() -> None:
    assert explain(bundled(), "x", "syslog") == {"parsed": False, "fields": {}, "rules": []}
