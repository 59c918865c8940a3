from __future__ import annotations

import pytest

from ironpost_logpipe.conditions import Compiled, Condition, ConditionFault, Count, compile_all, compile_condition
from ironpost_logpipe.event import Event
from ironpost_logpipe.literals import Literal
from ironpost_logpipe.parsers import parse_auto

EVENT = parse_auto(b"Nov  3 10:00:00 web1 sshd[12]: one two three")


def condition(field: str, modifier: str, value: object = None, **more: bool) -> Condition:
    return Condition(field=field, modifier=modifier, value=value, **more)  # type: ignore[arg-type]


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
    begun = condition("message", "regex", r"^(?P<source_ip>\S+) .*$")
    never = condition("message", "regex", "never")
    other = condition("message", "regex", r" (?P<user>\S+)$")
    captures: dict[str, bytes] = {}
    assert compile_condition(Condition(any_=(Condition(all_=(begun, never)), other))).test(EVENT, captures)
    assert captures == {"user": b"three"}
    assert not compile_condition(Condition(any_=(never, Condition(all_=(begun, never))))).test(EVENT, captures)


def test_fields_whose_text_is_worked_out_need_nothing() -> None:
    assert compile_condition(condition("facility", "exact", "auth")).needs is None
    assert compile_condition(condition("severity", "regex", "abc")).needs is None
    assert compile_condition(condition("sd.a.b", "regex", "abc")).needs == {Literal(b"abc")}


@pytest.mark.parametrize(
    ("modifier", "value", "text", "expected"),
    [
        ("gt", 20, "21", True),
        ("gt", 20, "20", False),
        ("ge", 20, "20", True),
        ("lt", 20, "-3", True),
        ("le", "2.5", "2.5", True),
        ("lt", 2.5, "2.49", True),
        ("gt", 10**17, str(10**17 + 1), True),
        ("gt", 0, "1e400", True),
        ("gt", 1, "+007", True),
        ("gt", 0, "", False),
        ("gt", 0, "1x", False),
        ("gt", 0, "1_0", False),
        ("gt", 0, " 1", False),
        ("gt", 0, "1\n", False),
        ("gt", 0, "0x10", False),
        ("gt", 0, "nan", False),
        ("lt", 5, "inf", False),
        ("gt", 0, "\u0663", False),
        ("gt", 0, "9" * 64, True),
        ("gt", 0, "9" * 65, False),
        ("lt", 0, "9" * 65, False),
        ("cidr", "10.0.0.0/8", "10.1.2.3", True),
        ("cidr", "10.0.0.0/8", "11.1.2.3", False),
        ("cidr", "10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("cidr", "::ffff:10.0.0.0/104", "10.1.2.3", True),
        ("cidr", "10.0.0.7", "10.0.0.7", True),
        ("cidr", ("192.0.2.0/24", "2001:db8::/32"), "2001:db8:1::7", True),
        ("cidr", ("192.0.2.0/24", "2001:db8::/32"), "2001:db9::7", False),
        ("cidr", "fe80::/10", "fe80::1%eth0", True),
        ("cidr", "0.0.0.0/0", "2001:db8::7", False),
        ("cidr", "::/0", "192.0.2.1", False),
        ("cidr", "0.0.0.0/0", "0", False),
        ("cidr", "0.0.0.0/0", "010.0.0.1", False),
        ("cidr", "0.0.0.0/0", "host", False),
        ("cidr", "0.0.0.0/0", "", False),
        ("cidr", "0.0.0.0/0", "1.2.3.4" + " " * 100, False),
        ("in", ("root", "admin", 7), "admin", True),
        ("in", ("root", "admin", 7), "7", True),
        ("in", ("root", "admin", 7), "adm", False),
        ("exists", None, "x", True),
        ("exists", None, "", False),
    ],
)
def test_each_modifier_of_values(modifier: str, value: object, text: str, expected: bool) -> None:
    compiled = compile_condition(condition("message", modifier, value))
    assert compiled.test(Event(text.encode(), text.encode()), {}) is expected


@pytest.mark.parametrize(
    ("modifier", "value", "text", "expected"),
    [
        ("exact", "Root", "rOOT", True),
        ("contains", "ÄB", "xÄbx", True),
        ("contains", "äb", "xÄbx", False),
        ("startswith", "GET ", "get /", True),
        ("endswith", ".PHP", "/a.php", True),
        ("in", ("Root", "Bob"), "bOB", True),
        ("exact", "k", "\u212a", False),
    ],
)
def test_ignoring_case_folds_ascii_alone(modifier: str, value: object, text: str, expected: bool) -> None:
    folded = compile_condition(condition("message", modifier, value, ignore_case=True))
    assert folded.test(Event(text.encode(), text.encode()), {}) is expected
    assert folded.needs is not None
    assert all(literal.fold for literal in folded.needs)


def test_what_conditions_on_values_need() -> None:
    assert compile_condition(condition("message", "in", ("a", "b"))).needs == {Literal(b"a"), Literal(b"b")}
    assert compile_condition(condition("message", "in", ("a", ""))).needs is None
    for each in (condition("pid", "gt", 1), condition("host", "cidr", "::/0"), condition("app", "exists")):
        assert compile_condition(each).needs is None


def test_so_many_of_several() -> None:
    several = tuple(condition("message", "contains", word) for word in ("one", "seven", "three", "ninety"))
    assert holds(compile_condition(Condition(count=Count(at_least=2, of=several))))
    assert not holds(compile_condition(Condition(count=Count(at_least=3, of=several))))
    with pytest.raises(ValueError, match="never holds"):
        Count(at_least=5, of=several)
    with pytest.raises(ValueError, match="not empty"):
        Count(at_least=1, of=())


def test_what_so_many_of_several_need() -> None:
    def needs(least: int, *words: str) -> set[bytes] | None:
        of = (*(condition("message", "contains", word) for word in words), condition("pid", "gt", 1))
        found = compile_condition(Condition(count=Count(at_least=least, of=of))).needs
        return None if found is None else {literal.text for literal in found}

    assert needs(1, "one", "seven") is None  # the number alone may hold
    assert needs(2, "one", "seven") == {b"one", b"seven"}  # with the number, one of the two must
    assert needs(3, "one", "seven") == {b"seven"}  # all must, so the rarest text will do
    assert needs(2, "ab", "seven", "three") == {b"ab", b"seven", b"three"}
    assert needs(3, "ab", "seven", "three") == {b"seven", b"three"}


def test_conditions_that_hold_catch_and_those_that_fail_do_not() -> None:
    first, last = condition("message", "regex", r"^(?P<user>\S+)"), condition("message", "regex", r"(?P<file>\S+)$")
    begun = Condition(all_=(condition("message", "regex", "(?P<process>one)"), condition("message", "regex", "never")))
    captures: dict[str, bytes] = {}
    assert compile_condition(Condition(count=Count(at_least=2, of=(begun, first, last)))).test(EVENT, captures)
    assert captures == {"user": b"one", "file": b"three"}
    captures.clear()
    assert not compile_condition(Condition(count=Count(at_least=3, of=(first, begun, last)))).test(EVENT, captures)
    assert not captures


CAUGHT = condition("message", "regex", r"^(?P<user>\S+) (?P<absent>x)?")
CAUGHT_LOGIN = condition("message", "regex", r"^(?P<login>\S+)")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([CAUGHT, condition("user", "exact", "one")], True),
        ([CAUGHT, condition("user", "in", ("two",))], False),
        ([CAUGHT, condition("user", "regex", "^o(?P<rest>.*)$"), condition("rest", "exact", "ne")], True),
        ([CAUGHT, condition("absent", "exists")], False),
        ([CAUGHT, Condition(not_=condition("user", "exact", "one"))], False),
        ([CAUGHT, Condition(any_=(condition("pid", "gt", 99), condition("user", "endswith", "e")))], True),
        ([Condition(any_=(CAUGHT, condition("app", "exact", "x"))), condition("user", "exact", "one")], True),
        ([Condition(any_=(condition("app", "exact", "sshd"), CAUGHT)), condition("user", "exact", "one")], False),
        ([Condition(not_=Condition(all_=(CAUGHT, condition("user", "exact", "two"))))], True),
    ],
)
def test_what_a_group_caught_can_be_tested_after_it(given: list[Condition], expected: bool) -> None:
    assert compile_all(given).test(EVENT, {}) is expected


def test_a_group_is_known_only_after_what_catches_it() -> None:
    for given in (
        [condition("login", "exact", "one"), CAUGHT_LOGIN],
        [Condition(not_=CAUGHT_LOGIN), condition("login", "exact", "one")],
        [Condition(any_=(CAUGHT_LOGIN, condition("login", "exact", "one")))],
    ):
        with pytest.raises(ConditionFault, match="no condition before this one catches") as caught:
            compile_all(given)
        assert caught.value.at[-1] == "field"
    with pytest.raises(ConditionFault) as named:
        compile_all([CAUGHT_LOGIN, condition("logn", "exact", "x")])
    assert named.value.remedy == 'did you mean "login"?'
    assert named.value.at == (1, "field")


def test_a_name_that_is_both_means_the_group() -> None:
    host = condition("message", "regex", r"^(?P<host>\S+)")
    assert holds(compile_all([condition("host", "exact", "web1"), host, condition("host", "exact", "one")]))
    assert not holds(compile_all([host, condition("host", "exact", "web1")]))


def test_what_a_group_caught_accuses_nobody() -> None:
    given = [condition("message", "regex", "(?P<user>t.*)"), condition("user", "regex", r"^two (?P<source_ip>\S+)$")]
    with pytest.raises(ConditionFault, match="must test a field"):
        compile_all(given)


def test_needs_come_from_fields_and_not_from_groups() -> None:
    compiled = compile_all([CAUGHT, condition("user", "contains", "something long")])
    assert compiled.needs == {Literal(b" ")}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "exactly one"),
        ({"field": "app", "value": "x", "any_": (condition("app", "exact", "x"),)}, "there are field and any"),
        ({"any_": ()}, "not empty"),
        ({"all_": ()}, "not empty"),
        ({"not_": Condition(field="app", value="x"), "value": "x"}, "needs a field"),
        ({"field": "app"}, "value is missing"),
        ({"field": "app", "modifier": "contains", "value": ""}, "every line"),
        ({"field": "app", "modifier": "regex", "value": ""}, "missing or empty"),
        ({"field": "app", "modifier": "regex", "value": ("a",)}, "expected one pattern"),
        ({"field": "app", "modifier": "regex", "value": "("}, "RE2 does not take"),
        ({"field": "app", "value": ("a", "b")}, "for several, use the modifier in"),
        ({"field": "app", "value": 2.5}, "put it in quotes"),
        ({"field": "app", "modifier": "in", "value": "a"}, "write it in brackets"),
        ({"field": "app", "modifier": "in", "value": ()}, "one to 10000 values"),
        ({"field": "app", "modifier": "in"}, "value is missing"),
        ({"field": "pid", "modifier": "gt", "value": "many"}, "expected a number"),
        ({"field": "pid", "modifier": "gt", "value": ("1",)}, "expected a number"),
        ({"field": "pid", "modifier": "gt"}, "value is missing"),
        ({"field": "host", "modifier": "cidr", "value": "10.1.0.0/8"}, 'did you mean "10.0.0.0/8"'),
        ({"field": "host", "modifier": "cidr", "value": ("::1", 7)}, "expected a network"),
        ({"field": "host", "modifier": "cidr", "value": "web1"}, "expected a network"),
        ({"field": "host", "modifier": "cidr"}, "value is missing"),
        ({"field": "host", "modifier": "exists", "value": "x"}, "takes no value"),
        ({"field": "pid", "modifier": "gt", "value": 1, "ignore_case": True}, "gt knows no case"),
        ({"field": "app", "modifier": "regex", "value": "a", "ignore_case": True}, r"write \(\?i\)"),
        ({"all_": (condition("app", "exact", "x"),), "ignore_case": True}, "condition with a field"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Condition(**given)  # type: ignore[arg-type]
