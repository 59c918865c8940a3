"""How a line is read and which conditions of which rules hold: `ironpost rules explain`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ironpost_logpipe.conditions import Condition, compile_condition
from ironpost_logpipe.event import Event
from ironpost_logpipe.parsers import parse
from ironpost_logpipe.rules import Rule


def explain(rules: Iterable[Rule], line: str, format_: str = "auto") -> dict[str, Any]:
    """The line's fields, and each rule with its conditions, JSON-able; rules that match come first."""
    event = parse(line.encode("utf-8", "surrogateescape"), format_)
    if event is None:
        return {"parsed": False, "fields": {}, "rules": []}
    explained = [_rule(rule, event) for rule in rules]
    explained.sort(key=lambda each: (not each["matches"], -each["held"], each["id"]))
    return {
        "parsed": True,
        "fields": {name: _text(value) for name, value in event.fields().items()},
        "rules": explained,
    }


def _rule(rule: Rule, event: Event) -> dict[str, Any]:
    captures: dict[str, bytes] = {}
    matches = rule.detection.test(event, captures)
    conditions = [step for each in rule.document.detection.conditions for step in _steps(each, event, 0)]
    return {
        "id": rule.id,
        "status": rule.document.status,
        "matches": matches,
        "held": sum(step["holds"] for step in conditions if step["depth"] == 0),
        "captures": {name: _text(value) for name, value in captures.items()} if matches else {},
        "conditions": conditions,
        "overridden_by": list(rule.overridden),
    }


def _steps(condition: Condition, event: Event, depth: int) -> Iterator[dict[str, Any]]:
    holds = compile_condition(condition).test(event, {})
    yield {"depth": depth, "condition": _words(condition), "holds": holds}
    inner = (*(condition.any_ or ()), *(condition.all_ or ()), *((condition.not_,) if condition.not_ else ()))
    for each in inner:
        yield from _steps(each, event, depth + 1)


def _words(condition: Condition) -> str:
    if condition.field is not None:
        return f"{condition.field} {condition.modifier} {condition.value!r}"
    return "any of" if condition.any_ is not None else "all of" if condition.all_ is not None else "not"


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
