"""How a line is read and which conditions of which rules hold, where, and why not: `ironpost rules explain`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from ironpost_logpipe.comparisons import COMPARISONS
from ironpost_logpipe.conditions import Captures, Condition, Groups, compile_condition
from ironpost_logpipe.counting import words as threshold_words
from ironpost_logpipe.event import Event, getter
from ironpost_logpipe.exemptions import Exemption
from ironpost_logpipe.parsers import parse
from ironpost_logpipe.rules import Rule

_SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def explain(rules: Iterable[Rule], line: str, format_: str = "auto", *, now: datetime | None = None) -> dict[str, Any]:
    """The line's fields, and each rule with its conditions, JSON-able; rules that match come first.

    Args:
        rules: which are explained.
        line: the line, its end left out.
        format_: the parser's name.
        now: decides which exceptions are over; without it, all are taken to be in force.
    """
    event = parse(line.encode("utf-8", "surrogateescape"), format_)
    if event is None:
        return {"parsed": False, "fields": {}, "repeated": 1, "rules": []}
    explained = [_rule(rule, event, now) for rule in rules]
    explained.sort(key=lambda each: (not each["matches"], -each["held"], each["id"]))
    return {
        "parsed": True,
        "fields": {name: _text(value) for name, value in event.fields().items()},
        "repeated": event.repeated,
        "rules": explained,
    }


def _rule(rule: Rule, event: Event, now: datetime | None) -> dict[str, Any]:
    captures: Captures = {}
    matches = rule.detection.test(event, captures)
    conditions = list(_all_steps(rule.document.detection.conditions, event, {}, frozenset(), 0))
    exceptions = [_exemption(each, event, captures, now, matches) for each in rule.exemptions]
    return {
        "id": rule.id,
        "status": rule.document.status,
        "matches": matches,
        "held": sum(step["holds"] for step in conditions if step["depth"] == 0),
        "captures": {name: _text(value) for name, value in captures.items()} if matches else {},
        "conditions": conditions,
        "threshold": threshold_words(rule.document.threshold),
        "overridden_by": list(rule.overridden),
        "exceptions": exceptions,
        "excepted": any(each["drops"] for each in exceptions),
    }


def _all_steps(
    conditions: Iterable[Condition], event: Event, captures: Captures, scope: Groups, depth: int
) -> Iterator[dict[str, Any]]:
    """The steps of a list in which all must hold; what one caught, those after it can test."""
    for condition in conditions:
        yield from _steps(condition, event, captures, scope, depth)
        compiled = compile_condition(condition, scope)
        compiled.test(event, captures)
        scope |= compiled.groups


def _steps(
    condition: Condition, event: Event, captures: Captures, scope: Groups, depth: int
) -> Iterator[dict[str, Any]]:
    holds = compile_condition(condition, scope).test(event, captures.copy())
    step = {"depth": depth, "condition": words(condition), "holds": holds}
    if condition.field is not None and not holds:
        step["why"] = _why_not(condition, event, captures, scope)
    yield step
    if condition.all_ is not None:
        yield from _all_steps(condition.all_, event, captures.copy(), scope, depth + 1)
    for each in _alternatives(condition):
        yield from _steps(each, event, captures.copy(), scope, depth + 1)


def _alternatives(condition: Condition) -> tuple[Condition, ...]:
    """The conditions inside of one that do not see what each other caught."""
    if condition.count is not None:
        return condition.count.of
    return (*(condition.any_ or ()), *((condition.not_,) if condition.not_ is not None else ()))


def _why_not(condition: Condition, event: Event, captures: Captures, scope: Groups) -> str:
    name = condition.field or ""
    if name in scope and name not in captures:
        return f"nothing was caught as {name}"
    text = captures[name] if name in scope else getter(name)(event)
    if condition.modifier == "regex":
        return f"{_text(text)!r} does not match"
    comparison = COMPARISONS[condition.modifier]
    return comparison.why_not(text, comparison.read(condition.value))


def _exemption(
    exemption: Exemption, event: Event, captures: Captures, now: datetime | None, matches: bool
) -> dict[str, Any]:
    over = now is not None and not exemption.in_force(now.timestamp())
    holding = exemption.holding(event, captures) if matches else [False] * len(exemption.tests)
    return listed(exemption) | {"over": over, "holds": holding, "drops": not over and any(holding)}


def listed(exemption: Exemption) -> dict[str, Any]:
    """An override's exceptions as JSON-able data."""
    until = None if exemption.until is None else datetime.fromtimestamp(exemption.until, UTC)
    return {
        "override": exemption.override,
        "conditions": [words(each) for each in exemption.conditions],
        "until": None if until is None else until.isoformat(),
        "reason": exemption.reason,
    }


def words(condition: Condition) -> str:
    """A condition in a few words; of those around others, only which they are."""
    if condition.field is not None:
        if condition.modifier == "exists":
            return f"{condition.field} exists"
        fold = " (ignoring case)" if condition.ignore_case else ""
        value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
        return f"{condition.field} {_SIGNS.get(condition.modifier, condition.modifier)} {value!r}{fold}"
    if condition.count is not None:
        return f"at least {condition.count.at_least} of"
    return "any of" if condition.any_ is not None else "all of" if condition.all_ is not None else "not"


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
