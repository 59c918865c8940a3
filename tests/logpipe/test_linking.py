from __future__ import annotations

from pathlib import Path

import pytest

from ironpost_core.errors import Problem
from ironpost_logpipe.linking import linked, preceding, shared
from ironpost_logpipe.rulefiles import load_rules
from ironpost_logpipe.rules import Override, Rule, apply_overrides
from logpipe.helpers import simple

ANY = "[{field: message, modifier: contains, value: x}]"
COUNTS = "{by: [app], count: 2, timeframe: 1m}"


def after(name: str, within: str = "10m", by: str = "app") -> str:
    return f"{{by: [{by}], after: {{rule: {name}, within: {within}}}}}"


def with_status(rule: Rule, status: str) -> Rule:
    return apply_overrides(rule, [Override(rule=rule.id, status=status)])  # type: ignore[arg-type]


def problems(*rules: Rule) -> tuple[Problem, ...]:
    return tuple(linked(rules)[1])


def test_a_rule_may_come_after_one_that_comes_after_another() -> None:
    rules = [simple(ANY, "c", after("b")), simple(ANY, "b", after("a")), simple(ANY, "a", COUNTS)]
    assert linked(rules) == (rules, [])
    by_id = {rule.id: rule for rule in rules}
    assert [rule.id for rule in preceding(rules[0], by_id)] == ["b", "a"]


@pytest.mark.parametrize(
    ("threshold", "what", "remedy"),
    [
        (after("firts"), "no rule is named so", 'did you mean "first"'),
        (after("plain"), "which counts nothing", "a threshold with a count"),
        (after("rare"), "which counts nothing", "a threshold with a count"),
        (after("first", by="host"), "counts by app, this one by host", "the same"),
        (after("first", "59s"), "shorter than 1m", "make it 1m or more"),
        (after("second"), "comes after itself", "break the circle"),
        (after("lost"), "no rule is named so", ""),
    ],
)
def test_a_rule_that_can_not_come_after_another_is_left_out_and_named(threshold: str, what: str, remedy: str) -> None:
    second = simple(ANY, "second", threshold)
    others = [
        simple(ANY, "first", COUNTS),
        simple(ANY, "plain"),
        simple(ANY, "rare", "{by: [app], first_seen: 1d}"),
    ]
    if "lost" in threshold:  # the fault of a rule before it is its own
        others.append(with_status(simple(ANY, "lost", after("nobody")), "disabled"))
    rules, (problem,) = linked([*others, second])
    assert "second" not in [rule.id for rule in rules]
    assert what in problem.what
    assert remedy in problem.remedy
    assert problem.file == "test.yaml"
    assert not problems(*others, with_status(second, "disabled"))


def test_rules_in_a_circle_are_all_left_out() -> None:
    rules, found = linked([simple(ANY, "a", after("b")), simple(ANY, "b", after("a"))])
    assert rules == []
    assert len(found) == 2


def test_a_disabled_rule_that_another_one_needs_is_evaluated_without_alerts() -> None:
    first, second = with_status(simple(ANY, "first", COUNTS), "disabled"), simple(ANY, "second", after("first"))
    rules, found = linked([first, second])
    assert [rule.document.status for rule in rules] == ["test", "enabled"]
    assert not found
    rules, _ = linked([first, with_status(second, "disabled")])
    assert [rule.document.status for rule in rules] == ["disabled", "disabled"]


def test_the_same_conditions_are_compiled_conditions_shared() -> None:
    rules = shared([simple(ANY, "a"), simple("[{field: app, value: x}]", "b"), simple(ANY, "c", COUNTS)])
    assert rules["a"].detection is rules["c"].detection is not rules["b"].detection


def test_problems_stand_among_those_of_the_rule_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "\nid: a\ntitle: T\nseverity: low\ndetection: {conditions: [{field: app, value: x}]}\n"
        "threshold: {by: app, after: {rule: b, within: 1m}}\n"
    )
    (problem,) = load_rules([tmp_path], []).problems
    assert (problem.file, problem.line) == (str(tmp_path / "a.yaml"), 2)
    assert load_rules([tmp_path], []).rules == ()
