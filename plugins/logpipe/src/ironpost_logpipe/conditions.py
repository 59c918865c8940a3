"""Conditions of rules: as they are written, and compiled to functions of an event.

A compiled condition also knows which texts a line must contain for it to hold; that is what makes a thousand rules
cost what ten do.

A condition may test what a named group caught, if a condition before it in the same list, or in a list around it,
catches that group. A name that is both then means the group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias
from typing import Literal as Choice

import attrs

from ironpost_core.settings import UnfitError, between, non_empty, setting
from ironpost_core.toml_lines import KeyPath
from ironpost_core.wording import did_you_mean
from ironpost_logpipe.anchors import source_pattern_fault
from ironpost_logpipe.comparisons import COMPARISONS, Value
from ironpost_logpipe.event import DERIVED, FIELDS, Event, getter, is_field
from ironpost_logpipe.literals import Literal, required
from ironpost_logpipe.patterns import Pattern, PatternError, compile_pattern, span_finder

Modifier: TypeAlias = Choice[
    "exact", "contains", "startswith", "endswith", "regex", "in", "lt", "le", "gt", "ge", "cidr", "exists"
]
#: Filled by a condition with what its named groups caught.
Captures: TypeAlias = dict[str, bytes]
Test: TypeAlias = Callable[[Event, Captures], bool]
Groups: TypeAlias = frozenset[str]

_NONE: Groups = frozenset()
_KINDS = {"field": "field", "any_": "any", "all_": "all", "not_": "not", "count": "count"}


class ConditionFault(ValueError):  # noqa: N818 - it becomes a Problem, and is no error of its own
    """A condition that is well-formed and still can't work in its rule; `at` is the key path of the trouble."""

    def __init__(self, at: KeyPath, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.at = at
        self.what = what
        self.remedy = remedy


def _fits(instance: Any, _attribute: attrs.Attribute[Any], value: Value | None) -> None:
    """Check the value against the modifier, so that a mistake is reported at the value's own line."""
    if instance.field is None:
        if value is not None:
            raise ValueError("a value needs a field to compare it with")
    elif instance.modifier == "regex":
        try:
            compile_pattern(_pattern(value))
        except PatternError as error:
            raise ValueError(f"RE2 does not take this pattern: {error}; it has no look-around and no \\1") from None
    else:
        COMPARISONS[instance.modifier].read(value)


def _pattern(value: Value | None) -> str:
    if value is None or value == "":
        raise ValueError("value is missing or empty: the pattern that the field must match")
    if not isinstance(value, (str, int)):
        raise UnfitError("value", value, "one pattern")
    return str(value)


def _foldable(instance: Any, _attribute: attrs.Attribute[Any], value: bool) -> None:
    if not value:
        return
    if instance.field is None:
        raise ValueError("ignore_case belongs to a condition with a field")
    if instance.modifier == "regex":
        raise ValueError("for regex, write (?i) at the pattern's beginning instead")
    if not COMPARISONS[instance.modifier].folds:
        raise ValueError(f"{instance.modifier} knows no case")


@attrs.frozen(kw_only=True)
class Condition:
    """One condition as written: a test of a field, or one of `any`, `all`, `not` and `count` around others."""

    field: str | None = setting(
        default=None,
        help="The field that is tested, or a group that a condition before this one catches.",
        example="source_ip",
    )
    modifier: Modifier = setting(
        default="exact", help="How the field's text is compared with the value.", example="cidr"
    )
    value: Value | None = setting(
        default=None,
        help="What it is compared with: a text, a number, a list; for regex, an RE2 pattern.",
        check=_fits,
        example=("10.0.0.0/8",),
    )
    ignore_case: bool = setting(
        default=False, help="Whether A to Z count as a to z; no other letters do.", check=_foldable
    )
    any_: tuple[Condition, ...] | None = setting(default=None, help="Holds when one of these does.", check=non_empty())
    all_: tuple[Condition, ...] | None = setting(default=None, help="Holds when all of these do.", check=non_empty())
    not_: Condition | None = setting(default=None, help="Holds when this does not.")
    count: Count | None = setting(default=None, help="Holds when enough of several conditions do.")

    def __attrs_post_init__(self) -> None:
        given = [key for name, key in _KINDS.items() if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"; there are {' and '.join(given)}" if given else ""
            raise ValueError(f"give exactly one of field, any, all, not and count{found}")


@attrs.frozen(kw_only=True)
class Count:
    """So many of several conditions."""

    at_least: int = setting(help="How many must hold.", check=between(1, 1000), example=2)
    of: tuple[Condition, ...] = setting(help="The conditions.", check=non_empty())

    def __attrs_post_init__(self) -> None:
        if self.at_least > len(self.of):
            raise ValueError(f"at_least {self.at_least} of {len(self.of)} conditions never holds")


@attrs.frozen
class Compiled:
    """A condition ready to be tested.

    Attributes:
        test: whether it holds for an event; fills in what named groups caught.
        needs: texts of which the line, its escapes undone, contains at least one whenever the condition holds; None
            when unknown.
        groups: the names of its groups that can be caught (not those under `not`).
        patterns: its regular expressions, for checks.
        reads_groups: whether it tests what groups caught, and so must come after what catches them.
    """

    test: Test
    needs: frozenset[Literal] | None
    groups: Groups = _NONE
    patterns: tuple[Pattern, ...] = ()
    reads_groups: bool = False


def compile_condition(condition: Condition, scope: Groups = _NONE, at: KeyPath = ()) -> Compiled:
    """Compile one condition.

    Args:
        condition: what is written.
        scope: the groups that are caught before it is tested.
        at: its key path, for faults.

    Raises:
        ConditionFault: a field that is none, a pattern that may not accuse.
    """
    if condition.any_ is not None:
        parts = [compile_condition(each, scope, (*at, "any", place)) for place, each in enumerate(condition.any_)]
        return _some(parts, 1)
    if condition.count is not None:
        inside = enumerate(condition.count.of)
        parts = [compile_condition(each, scope, (*at, "count", "of", place)) for place, each in inside]
        return _some(parts, condition.count.at_least)
    if condition.all_ is not None:
        return compile_all(condition.all_, scope, (*at, "all"))
    if condition.not_ is not None:
        return _not(compile_condition(condition.not_, scope, (*at, "not")))
    return _regex(condition, scope, at) if condition.modifier == "regex" else _plain(condition, scope, at)


def compile_all(conditions: Iterable[Condition], scope: Groups = _NONE, at: KeyPath = ()) -> Compiled:
    """Compile conditions that must all hold; the cheap ones are tested first. Raises as `compile_condition`."""
    parts: list[Compiled] = []
    for place, condition in enumerate(conditions):
        parts.append(compile_condition(condition, scope, (*at, place)))
        scope |= parts[-1].groups
    parts.sort(key=lambda part: (part.reads_groups, 0 if part.reads_groups else len(part.patterns)))
    tests = [part.test for part in parts]
    needs = [part.needs for part in parts if part.needs is not None]

    def holds(event: Event, captures: Captures) -> bool:
        for test in tests:  # noqa: SIM110 - all() with a generator costs twice the time on the hottest path
            if not test(event, captures):
                return False
        return True

    return _merged(
        _both(*tests) if len(tests) == 2 else tests[0] if len(tests) == 1 else holds,
        max(needs, key=_selectivity, default=None),
        parts,
    )


def _both(first: Test, second: Test) -> Test:
    """By far the most frequent number of conditions, without a loop."""
    return lambda event, captures: first(event, captures) and second(event, captures)


def _some(parts: list[Compiled], least: int) -> Compiled:
    """At least so many of the conditions."""
    tests = [part.test for part in parts]
    reads = any(part.reads_groups for part in parts)
    spare = len(tests) - least

    def holds(event: Event, captures: Captures) -> bool:
        caught: Captures = {}
        held = failed = 0
        for test in tests:
            # What a condition caught before it failed must not be left behind: it would accuse somebody.
            tried: Captures = captures.copy() if reads else {}
            if test(event, tried):
                caught.update(tried)
                held += 1
                if held == least:
                    captures.update(caught)
                    return True
            else:
                failed += 1
                if failed > spare:
                    return False
        return False

    return _merged(holds, _needed(parts, spare + 1), parts)


def _needed(parts: list[Compiled], enough: int) -> frozenset[Literal] | None:
    """Of any `enough` conditions one holds whenever enough do in all; so the best of those that need anything do."""
    known = sorted((part.needs for part in parts if part.needs is not None), key=_selectivity, reverse=True)
    return frozenset().union(*known[:enough]) if len(known) >= enough else None


def _not(inner: Compiled) -> Compiled:
    test, reads = inner.test, inner.reads_groups

    def holds(event: Event, captures: Captures) -> bool:
        return not test(event, captures.copy() if reads else {})

    return Compiled(holds, None, patterns=inner.patterns, reads_groups=reads)


def _merged(test: Test, needs: frozenset[Literal] | None, parts: list[Compiled]) -> Compiled:
    groups = frozenset().union(*(part.groups for part in parts))
    patterns = tuple(pattern for part in parts for pattern in part.patterns)
    return Compiled(test, needs, groups, patterns, any(part.reads_groups for part in parts))


def _selectivity(needs: frozenset[Literal]) -> tuple[int, int]:
    """A long text is rarer than a short one, one text rarer than several."""
    return min((len(literal.text) for literal in needs), default=0), -len(needs)


def _reader(name: str, scope: Groups, at: KeyPath) -> Callable[[Any], bytes]:
    """Reads the text of a field, or what a group of `scope` caught; nothing when it took no part."""
    if name in scope:
        return lambda captures: captures.get(name, b"")
    if not is_field(name):
        known = [*FIELDS, *sorted(scope)]
        remedy = did_you_mean(name, known) or f"there are {', '.join(known)}"
        what = f"no field is named {name!r}, and no condition before this one catches a group of that name"
        raise ConditionFault((*at, "field"), what, remedy)
    return getter(name)


def _plain(condition: Condition, scope: Groups, at: KeyPath) -> Compiled:
    name, fold = condition.field or "", condition.ignore_case
    comparison = COMPARISONS[condition.modifier]
    operand = comparison.read(condition.value)
    make = comparison.folded if fold else comparison.make
    test = make(_reader(name, scope, at), operand)
    if name in scope:
        return Compiled(lambda _, captures: test(captures, None), None, reads_groups=True)
    texts = comparison.texts(operand) if name not in DERIVED else ()
    needs = frozenset(Literal(text, fold) for text in texts) if texts and all(texts) else None
    return Compiled(test, needs)


def _regex(condition: Condition, scope: Groups, at: KeyPath) -> Compiled:
    name = condition.field or ""
    from_group = name in scope
    read = _reader(name, scope, at)
    pattern = compile_pattern(_pattern(condition.value))
    _check_source(pattern, from_group, (*at, "value"))
    find = span_finder(pattern)
    groups = [(group.decode("ascii"), index) for group, index in pattern.groupindex.items()]

    def holds(event: Event, captures: Captures) -> bool:
        text = read(captures if from_group else event)
        spans = find(text)
        if spans is None:
            return False
        for group, index in groups:
            start, end = spans[index]
            if start >= 0:
                captures[group] = text[start:end]
        return True

    needs = required(pattern.pattern) if name not in DERIVED and not from_group else None
    return Compiled(holds, needs, frozenset(group for group, _ in groups), (pattern,), from_group)


def _check_source(pattern: Pattern, from_group: bool, at: KeyPath) -> None:
    if b"source_ip" not in pattern.groupindex:
        return
    if from_group:
        what = "a pattern that catches source_ip must test a field: a group's text has no ends that nobody can choose"
        raise ConditionFault(at, what, "catch source_ip where the group is caught")
    if fault := source_pattern_fault(pattern):
        raise ConditionFault(at, fault, f"the pattern is {pattern.pattern.decode('utf-8', 'replace')}")
