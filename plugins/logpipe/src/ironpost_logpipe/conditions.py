"""Conditions of rules: as they are written, and compiled to functions of an event.

A compiled condition also knows which texts a line must contain for it to hold; that is what makes a thousand rules
cost what ten do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal as Choice
from typing import TypeAlias

import attrs

from ironpost_core.settings import setting
from ironpost_core.wording import did_you_mean
from ironpost_logpipe.event import FIELDS, Event, getter, is_field
from ironpost_logpipe.literals import Literal, required
from ironpost_logpipe.patterns import Pattern, PatternError, compile_pattern, span_finder

Modifier: TypeAlias = Choice["exact", "contains", "startswith", "endswith", "regex"]
#: Filled by a condition with what its named groups caught.
Captures: TypeAlias = dict[str, bytes]
Test: TypeAlias = Callable[[Event, Captures], bool]

#: Fields whose bytes stand in the raw line as they are, so that the raw line can be searched for them.
_VERBATIM = frozenset(("raw", "message", "app", "pid", "component", "host", "msgid", "time"))
_QUANTIFIERS = (b"*", b"?", b"{")
_UNGREEDY = compile_pattern(r"\(\?[a-zA-Z]*U[a-zA-Z-]*[:)]")
_LINE_MODE = compile_pattern(r"\(\?[a-zA-Z]*m[a-zA-Z-]*[:)]")


@attrs.frozen(kw_only=True)
class Condition:
    """One condition as written: a test of a field, or one of `any`, `all` and `not` around others."""

    field: str | None = setting(default=None, help="The field that is tested.")
    modifier: Modifier = setting(default="exact", help="How the field's text is compared with the value.")
    value: str | int | None = setting(default=None, help="What it is compared with; for regex, an RE2 pattern.")
    any_: tuple[Condition, ...] | None = setting(default=None, help="Holds when one of these does.")
    all_: tuple[Condition, ...] | None = setting(default=None, help="Holds when all of these do.")
    not_: Condition | None = setting(default=None, help="Holds when this does not.")

    def __attrs_post_init__(self) -> None:
        given = [name for name in ("field", "any_", "all_", "not_") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of field, any, all and not")
        if self.any_ == () or self.all_ == ():
            raise ValueError("any and all need a condition at least: an empty list holds never or for every line")
        if self.field is None:
            if self.value is not None:
                raise ValueError("a value needs a field to compare it with")
            return
        if not is_field(self.field):
            hint = did_you_mean(self.field, FIELDS)
            raise ValueError(f"no field is named {self.field!r}; {hint or 'there are ' + ', '.join(FIELDS)}")
        if self.value is None:
            raise ValueError("value is missing: what the field is compared with")
        if self.modifier != "exact" and self.value == "":
            raise ValueError(f"an empty value with {self.modifier} holds for every line")


@attrs.frozen
class Compiled:
    """A condition ready to be tested.

    Attributes:
        test: whether it holds for an event; fills in what named groups caught.
        needs: texts of which the raw line contains at least one whenever the condition holds; None when unknown.
        groups: the names of its groups that can be caught (not those under `not`).
        patterns: its regular expressions, for checks.
    """

    test: Test
    needs: frozenset[Literal] | None
    groups: frozenset[str] = frozenset()
    patterns: tuple[Pattern, ...] = ()


def compile_condition(condition: Condition) -> Compiled:
    """Compile one condition.

    Raises:
        PatternError: a regular expression that RE2 does not take.
    """
    if condition.any_ is not None:
        return _any([compile_condition(each) for each in condition.any_])
    if condition.all_ is not None:
        return compile_all(condition.all_)
    if condition.not_ is not None:
        inner = compile_condition(condition.not_)
        return Compiled(lambda event, _: not inner.test(event, {}), None, patterns=inner.patterns)
    if condition.modifier == "regex":
        return _regex(condition)
    return _plain(condition)


def compile_all(conditions: Iterable[Condition]) -> Compiled:
    """Compile conditions that must all hold; the cheap ones are tested first. Raises as `compile_condition`."""
    parts = sorted((compile_condition(each) for each in conditions), key=lambda part: len(part.patterns))
    tests = [part.test for part in parts]
    needs = [part.needs for part in parts if part.needs is not None]

    def holds(event: Event, captures: Captures) -> bool:
        for test in tests:  # noqa: SIM110 - all() with a generator costs twice the time on the hottest path
            if not test(event, captures):
                return False
        return True

    return _merged(tests[0] if len(tests) == 1 else holds, max(needs, key=_selectivity, default=None), parts)


def _any(parts: list[Compiled]) -> Compiled:
    tests = [part.test for part in parts]

    def holds(event: Event, captures: Captures) -> bool:
        for test in tests:
            # What an alternative caught before it failed must not be left behind: it would accuse somebody.
            caught: Captures = {}
            if test(event, caught):
                captures.update(caught)
                return True
        return False

    needs: set[Literal] = set()
    for part in parts:
        if part.needs is None:
            return _merged(holds, None, parts)
        needs |= part.needs
    return _merged(holds, frozenset(needs), parts)


def _merged(test: Test, needs: frozenset[Literal] | None, parts: list[Compiled]) -> Compiled:
    groups = frozenset().union(*(part.groups for part in parts))
    return Compiled(test, needs, groups, tuple(pattern for part in parts for pattern in part.patterns))


def _selectivity(needs: frozenset[Literal]) -> tuple[int, int]:
    """A long text is rarer than a short one, one text rarer than several."""
    return min((len(literal.text) for literal in needs), default=0), -len(needs)


def _plain(condition: Condition) -> Compiled:
    name = condition.field or ""
    value = str(condition.value).encode("utf-8")
    needs = frozenset((Literal(value),)) if value and name in _VERBATIM else None
    return Compiled(_comparison(condition.modifier, getter(name), value), needs)


def _comparison(modifier: Modifier, read: Callable[[Event], bytes], value: bytes) -> Test:
    tests: dict[str, Test] = {
        "exact": lambda event, _: read(event) == value,
        "contains": lambda event, _: value in read(event),
        "startswith": lambda event, _: read(event).startswith(value),
        "endswith": lambda event, _: read(event).endswith(value),
    }
    return tests[modifier]


def _regex(condition: Condition) -> Compiled:
    name = condition.field or ""
    read = getter(name)
    pattern = compile_pattern(str(condition.value))
    find = span_finder(pattern)
    groups = [(group.decode("ascii"), index) for group, index in pattern.groupindex.items()]

    def holds(event: Event, captures: Captures) -> bool:
        text = read(event)
        spans = find(text)
        if spans is None:
            return False
        for group, index in groups:
            start, end = spans[index]
            if start >= 0:
                captures[group] = text[start:end]
        return True

    needs = required(pattern.pattern) if name in _VERBATIM else None
    return Compiled(holds, needs, frozenset(group for group, _ in groups), (pattern,))


def source_pattern_fault(pattern: Pattern) -> str:
    """Why a pattern may not feed `source_ip`, or nothing.

    It must be anchored at both ends and hold in one way only, or an attacker who chooses a part of the line chooses
    whom it accuses.
    """
    body = pattern.pattern
    if body.startswith((b"(?i)", b"(?s)", b"(?is)", b"(?si)")):
        body = body.partition(b")")[2]
    ends = body.endswith(b"\\z") or (body.endswith(b"$") and not body.endswith(b"\\$"))
    if not body.startswith((b"^", b"\\A")) or not ends:
        return "a pattern that catches source_ip must be anchored: begin it with ^ and end it with $"
    if _LINE_MODE.search(body) is not None:
        return "a pattern that catches source_ip must not use (?m): ^ and $ then hold inside of the text, too"
    if body[1:2] in _QUANTIFIERS or (body[2:3] in _QUANTIFIERS and body.startswith(b"\\A")):
        return "a pattern that catches source_ip must not repeat its first ^: it would hold anywhere then"
    if b"\\Q" in body or _UNGREEDY.search(body) is not None:
        return "a pattern that catches source_ip must use neither \\Q nor (?U): they change what $ and * mean"
    if _alternates(body):
        return "a pattern that catches source_ip must not have | outside of brackets: ^ and $ hold for one side only"
    return ""


def _alternates(body: bytes) -> bool:
    depth, at, in_class = 0, 0, False
    while at < len(body):
        char = body[at : at + 1]
        if char == b"\\":
            at += 1
        elif in_class:
            in_class = char != b"]"
        elif char == b"[":
            in_class = True
            at += 2 if body[at + 1 : at + 3] == b"^]" else 1 if body[at + 1 : at + 2] == b"]" else 0
        elif char == b"|" and depth == 0:
            return True
        else:
            depth += (char == b"(") - (char == b")")
        at += 1
    return False


__all__ = [
    "Captures",
    "Compiled",
    "Condition",
    "Modifier",
    "PatternError",
    "Test",
    "compile_all",
    "compile_condition",
    "source_pattern_fault",
]
