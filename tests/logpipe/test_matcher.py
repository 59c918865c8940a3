from __future__ import annotations

import contextlib
import time

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from ironpost_logpipe.conditions import Compiled, Condition, ConditionFault, Count, compile_all
from ironpost_logpipe.matcher import Hit, Matcher, match_slowly
from ironpost_logpipe.rules import Rule
from logpipe.helpers import bundled, failed, simple

BASE = simple("[{field: message, modifier: contains, value: x}]")


def shape(hits: list[Hit]) -> list[tuple[int, str, dict[str, bytes]]]:
    return [(hit.line, hit.rule.id, hit.captures) for hit in hits]


def made(name: str, detection: Compiled) -> Rule:
    return attrs.evolve(BASE, document=attrs.evolve(BASE.document, id=name), detection=detection)


def test_hits_come_in_order_with_what_was_caught() -> None:
    hits, errors = Matcher(bundled()).match([b"nothing", failed(user="a b") + b"\r", b"", failed(user="\xff")])
    assert errors == 0
    assert [(hit.line, hit.captures["user"]) for hit in hits] == [(1, b"a b"), (3, "\xff".encode())]


def test_a_pinned_format_counts_every_line_that_is_not_of_it() -> None:
    matcher = Matcher(bundled())
    hits, errors = matcher.match([b"nothing", failed(), b""], "syslog")
    assert (len(hits), errors) == (1, 2)


def test_disabled_rules_are_not_matched() -> None:
    disabled = attrs.evolve(BASE, document=attrs.evolve(BASE.document, status="disabled"))
    assert Matcher([disabled]).match([b"x"]) == ([], 0)
    assert Matcher([disabled]).rules == ()


def test_rules_without_a_literal_are_evaluated_on_every_line() -> None:
    negative = simple("[{not: {field: message, modifier: contains, value: x}}]")
    matcher = Matcher([negative, BASE])
    assert matcher.unfiltered == (negative,)
    assert [(hit.line, hit.rule) for hit in matcher.match([b"x", b"y"])[0]] == [(0, BASE), (1, negative)]


_VALUES = st.sampled_from(["a", "ab", "b", "\xe9", "\\", "1", " ", "A", "sshd", "$", "web1"])
_PATTERNS = st.sampled_from(
    [
        "a",
        "^a",
        "a$",
        "^$",
        "a.b",
        "[^a]",
        r"\s",
        r"a\s*$",
        "(?i)AB",
        "(?P<user>a+)",
        "a|b",
        r"\xe9",
        "é",
        "(?:ab)?",
        "^(a*)*$",
        r"\bab\b",
        "a{2}",
        "[a-c]+1",
        ".*",
        r"^(?P<user>.*) from (?P<source_ip>\S+)$",
        r"^(?P<host>\S+) ",
        r"(?s)a.b",
        "b?a",
    ]
)
_FIELDS = st.sampled_from(["message", "raw", "app", "host", "pid", "facility", "sd.x.y", "user", "source_ip"])
_NUMBERS = st.one_of(st.integers(-1, 12), st.sampled_from([0.5, "1.0"]))
_NETWORKS = st.sampled_from(["10.0.0.0/8", "::/0", "::ffff:10.0.0.0/104", "10.0.0.1", "2001:db8::/32"])
_LEAF = st.one_of(
    st.builds(
        lambda field, modifier, value, fold: Condition(field=field, modifier=modifier, value=value, ignore_case=fold),
        _FIELDS,
        st.sampled_from(["exact", "contains", "startswith", "endswith"]),
        _VALUES,
        st.booleans(),
    ),
    st.builds(
        lambda field, values, fold: Condition(field=field, modifier="in", value=tuple(values), ignore_case=fold),
        _FIELDS,
        st.lists(st.one_of(_VALUES, st.just("")), min_size=1, max_size=3),
        st.booleans(),
    ),
    st.builds(
        lambda field, modifier, value: Condition(field=field, modifier=modifier, value=value),
        _FIELDS,
        st.sampled_from(["lt", "le", "gt", "ge"]),
        _NUMBERS,
    ),
    st.builds(
        lambda field, values: Condition(field=field, modifier="cidr", value=tuple(values)),
        _FIELDS,
        st.lists(_NETWORKS, min_size=1, max_size=2),
    ),
    st.builds(lambda field: Condition(field=field, modifier="exists"), _FIELDS),
    st.builds(lambda field, value: Condition(field=field, modifier="regex", value=value), _FIELDS, _PATTERNS),
)
_TREE = st.recursive(
    _LEAF,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda each: Condition(any_=tuple(each))),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: Condition(all_=tuple(each))),
        inner.map(lambda each: Condition(not_=each)),
        st.lists(inner, min_size=1, max_size=4).flatmap(
            lambda each: st.integers(1, len(each)).map(lambda n: Condition(count=Count(at_least=n, of=tuple(each))))
        ),
    ),
    max_leaves=6,
)
_CATCHING = Condition(
    any_=(
        Condition(field="message", modifier="regex", value=r"^(?P<user>\S+) from (?P<source_ip>\S+)$"),
        Condition(field="raw", modifier="regex", value=r"(?P<user>a+b?)"),
    )
)
#: Half of them catch groups first, so that what follows can test them.
_CONDITIONS = st.tuples(st.sampled_from([(), (_CATCHING,)]), st.lists(_TREE, min_size=1, max_size=2)).map(
    lambda parts: [*parts[0], *parts[1]]
)
_LINES = st.lists(
    st.tuples(
        st.sampled_from([b"", b"Nov  3 10:00:00 web1 sshd[1]: ", b"<34>1 - web1 app 1 - - ", b"<34>Nov  3 10:00:00 "]),
        st.lists(
            st.sampled_from(
                [
                    b"a",
                    b"b",
                    b"ab",
                    b"A",
                    b" ",
                    b"\xe9",
                    b"\xc3\xa9",
                    b"\xff",
                    b"\r",
                    b"\0",
                    b"1",
                    b" from ::1",
                    b"10.0.0.1",
                ]
            ),
            max_size=6,
        ).map(b"".join),
    ).map(b"".join),
    max_size=4,
)


@settings(max_examples=800, deadline=None)
@given(st.lists(_CONDITIONS, min_size=1, max_size=4), _LINES)
def test_it_agrees_with_every_rule_on_every_line(trees: list[list[Condition]], lines: list[bytes]) -> None:
    rules = []
    for number, tree in enumerate(trees):
        with contextlib.suppress(ConditionFault):  # it tests a group that nothing before it catches
            rules.append(made(f"r{number}", compile_all(tree)))
    for format_ in ("auto", "syslog", "plain"):
        assert shape(Matcher(rules).match(lines, format_)[0]) == shape(match_slowly(rules, lines, format_))


def test_a_thousand_rules_cost_little_more_than_ten() -> None:
    def matcher(count: int) -> Matcher:
        own = [simple(f"[{{field: message, modifier: contains, value: marker-{n}-x}}]", f"r{n}") for n in range(count)]
        return Matcher([*bundled(), *own])

    lines = [failed(n) for n in range(50)] + [b"Nov  3 10:00:00 web1 cron[1]: job %d done" % n for n in range(950)]

    def seconds(of: Matcher) -> float:
        def once() -> float:
            begin = time.perf_counter()
            of.match(lines)
            return time.perf_counter() - begin

        return min(once() for _ in range(20))

    few, many = matcher(10), matcher(1000)
    assert seconds(many) < 2 * seconds(few)  # the benchmark holds the real target; this one runs beside other tests
