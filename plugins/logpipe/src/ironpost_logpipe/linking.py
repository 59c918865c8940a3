"""What rules have to do with each other: those that come after another one, and those that look for the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import attrs

from ironpost_core.errors import Problem
from ironpost_core.settings import Duration
from ironpost_core.wording import did_you_mean
from ironpost_logpipe.conditions import Compiled
from ironpost_logpipe.rules import Detection, Rule


def shared(rules: Iterable[Rule]) -> dict[str, Rule]:
    """The rules by id; those with the same conditions get the same compiled ones, which are then tested once a line."""
    first: dict[Detection, Compiled] = {}
    return {
        rule.id: attrs.evolve(rule, detection=first.setdefault(rule.document.detection, rule.detection))
        for rule in rules
    }


def linked(rules: Iterable[Rule]) -> tuple[list[Rule], list[Problem]]:
    """The rules, without those that come after one that is not there or can't come before them, and why.

    A disabled rule that another one comes after is put to the test: evaluated and counted, without alerts of its own.
    """
    by_id = {rule.id: rule for rule in rules}
    problems: list[Problem] = []
    faulty: set[str] = set()
    needed: set[str] = set()
    for rule in by_id.values():
        if rule.document.status == "disabled":
            continue
        before = list(preceding(rule, by_id))
        fault = next(filter(None, (_fault(each, by_id) for each in (rule, *before))), None)
        if fault is None:
            needed.update(each.id for each in before)
        else:
            problems.append(_problem(rule, *fault))
            faulty.add(rule.id)
    return [_tested(rule) if rule.id in needed else rule for rule in by_id.values() if rule.id not in faulty], problems


def preceding(rule: Rule, by_id: Mapping[str, Rule]) -> Iterator[Rule]:
    """The rule that comes before this one, the one before that, and so on; ends where there is none, or a loop."""
    seen = {rule.id}
    while (threshold := rule.document.threshold) is not None and threshold.after is not None:
        before = by_id.get(threshold.after.rule)
        if before is None or before.id in seen:
            return
        seen.add(before.id)
        yield before
        rule = before


def _fault(rule: Rule, by_id: Mapping[str, Rule]) -> tuple[str, str] | None:
    """Why a rule can never fire, and the cure; nothing for one that comes after none."""
    threshold = rule.document.threshold
    if threshold is None or threshold.after is None:
        return None
    before = by_id.get(threshold.after.rule)
    if before is None:
        return f"comes after {threshold.after.rule!r}, and no rule is named so", did_you_mean(
            threshold.after.rule, by_id
        )
    if rule.id in (before.id, *(each.id for each in preceding(before, by_id))):
        return f"{rule.id!r} comes after itself", "break the circle"
    reached = before.document.threshold
    if reached is None or reached.first_seen is not None:
        return f"comes after {before.id!r}, which counts nothing", "give that rule a threshold with a count"
    if before.keys != rule.keys:
        keys = f"{', '.join(before.keys) or 'nothing'}, this one by {', '.join(rule.keys) or 'nothing'}"
        return f"comes after {before.id!r}, which counts by {keys}", "count both by the same"
    if threshold.after.within < reached.span:
        timeframe = Duration(reached.span)
        return f"within is shorter than {timeframe}, in which {before.id!r} fires once", f"make it {timeframe} or more"
    return None


def _problem(rule: Rule, what: str, remedy: str) -> Problem:
    file, _, line = rule.origin.rpartition(":")
    return Problem(
        where="threshold.after", what=what, remedy=remedy, file=file or None, line=int(line) if line else None
    )


def _tested(rule: Rule) -> Rule:
    if rule.document.status != "disabled":
        return rule
    return attrs.evolve(rule, document=attrs.evolve(rule.document, status="test"))
