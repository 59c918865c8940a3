from __future__ import annotations

import pytest

from ironpost_logpipe.conditions import Compiled, Condition, compile_condition, source_pattern_fault
from ironpost_logpipe.literals import Literal
from ironpost_logpipe.parsers import parse_auto
from ironpost_logpipe.patterns import compile_pattern

EVENT = parse_auto(b"Nov  3 10:00:00 web1 sshd[12]: one two three")


def condition(field: str, modifier: str, value: str | int) -> Condition:
    return Condition(field=field, modifier=modifier, value=value)  # type: ignore[arg-type]


def holds(compiled: Compiled) -> bool:
    return compiled.test(EVENT, {})


@pytest.mark.parametrize(
    ("field", "modifier", "value", "expected"),
    [
        ("app", "exact", "sshd", True),
        ("app", "exact", "ssh", False),
        ("pid", "exact", 12, True),
        ("app", "startswith", "ss", True),
        ("app", "endswith", "hd", True),
        ("message", "contains", "two", True),
        ("message", "contains", "Two", False),
        ("message", "regex", "^one .* three$", True),
        ("message", "regex", "^two", False),
        ("severity", "exact", "", True),
    ],
)
def test_each_modifier(field: str, modifier: str, value: str | int, expected: bool) -> None:
    assert holds(compile_condition(condition(field, modifier, value))) is expected


def test_nesting_and_what_it_needs() -> None:
    one, four = condition("message", "contains", "one"), condition("message", "contains", "four")
    any_ = compile_condition(Condition(any_=(one, four)))
    assert holds(any_)
    assert any_.needs == {Literal(b"one"), Literal(b"four")}
    all_ = compile_condition(Condition(all_=(one, four)))
    assert not holds(all_)
    assert all_.needs == {Literal(b"four")}
    not_ = compile_condition(Condition(not_=four))
    assert holds(not_)
    assert not_.needs is None
    assert compile_condition(Condition(any_=(one, Condition(not_=four)))).needs is None


def test_groups_are_caught_but_not_under_not() -> None:
    caught = compile_condition(condition("message", "regex", r"^(?P<first>\S+) (?P<absent>x)?"))
    captures: dict[str, bytes] = {}
    assert caught.test(EVENT, captures)
    assert captures == {"first": b"one"}
    assert caught.groups == {"first", "absent"}
    negated = compile_condition(Condition(not_=condition("message", "regex", "(?P<first>four)")))
    assert negated.test(EVENT, captures)
    assert not negated.groups


def test_an_alternative_that_fails_leaves_nothing_behind() -> None:
    begun = condition("message", "regex", r"^(?P<source_ip>\S+) ")
    never = condition("message", "regex", "never")
    other = condition("message", "regex", r" (?P<user>\S+)$")
    captures: dict[str, bytes] = {}
    assert compile_condition(Condition(any_=(Condition(all_=(begun, never)), other))).test(EVENT, captures)
    assert captures == {"user": b"three"}
    assert not compile_condition(Condition(any_=(never, Condition(all_=(begun, never))))).test(EVENT, captures)


def test_fields_that_are_not_in_the_raw_line_need_nothing() -> None:
    assert compile_condition(condition("facility", "exact", "auth")).needs is None
    assert compile_condition(condition("sd.a.b", "regex", "abc")).needs is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "exactly one"),
        ({"field": "app", "value": "x", "any_": ()}, "exactly one"),
        ({"any_": ()}, "a condition at least"),
        ({"all_": ()}, "a condition at least"),
        ({"not_": Condition(field="app", value="x"), "value": "x"}, "needs a field"),
        ({"field": "mesage", "value": "x"}, 'did you mean "message"'),
        ({"field": "qqqq", "value": "x"}, "there are raw, message"),
        ({"field": "app"}, "value is missing"),
        ({"field": "app", "modifier": "contains", "value": ""}, "every line"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Condition(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "good"),
    [
        (r"^from (?P<source_ip>\S+)$", True),
        (r"\Afrom (?P<source_ip>\S+)\z", True),
        (r"(?i)^from (?P<source_ip>\S+)$", True),
        (r"^(?:a|b) (?P<source_ip>\S+) [|]\|$", True),
        (r"^[]|] [^]|] (?P<source_ip>\S+)$", True),
        (r"from (?P<source_ip>\S+)$", False),
        (r"^from (?P<source_ip>\S+)", False),
        (r"^from (?P<source_ip>\S+)\$", False),
        (r"(?m)^from (?P<source_ip>\S+)$", False),
        (r"^(?m)from (?P<source_ip>\S+)$", False),
        (r"^(?m:from (?P<source_ip>\S+)$)$", False),
        (r"^from (?P<source_ip>\S+)$|^x$", False),
        (r"^*from (?P<source_ip>\S+)$", False),
        (r"^?from (?P<source_ip>\S+)$", False),
        (r"\A{0}from (?P<source_ip>\S+)$", False),
        (r"^from (?P<source_ip>\S+) \Qx$", False),
        (r"^(?U)from (?P<source_ip>\S+) .*$", False),
    ],
)
def test_a_pattern_that_accuses_must_be_anchored(pattern: str, good: bool) -> None:
    assert (source_pattern_fault(compile_pattern(pattern)) == "") is good
