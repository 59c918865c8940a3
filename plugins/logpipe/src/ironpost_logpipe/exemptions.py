"""Exceptions from rules: hits that operators know and that are dropped before they count."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import attrs

from ironpost_logpipe.conditions import Captures, Condition, ConditionFault, Groups, Test, compile_condition
from ironpost_logpipe.event import Event


def moment(text: str) -> datetime:
    """The time that a text such as ``2026-12-01T00:00:00Z`` names.

    Raises:
        ValueError: anything else; a time without its zone, too.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError('expected a time with its zone, such as "2026-12-01T00:00:00Z" or "2026-12-01T00:00:00+01:00"')
    return found


def check_moment(_instance: object, _attribute: attrs.Attribute[Any], value: str | None) -> None:
    """For settings that hold a time."""
    if value is not None:
        moment(value)


@attrs.frozen(kw_only=True, eq=False)
class Exemption:
    """One override's exceptions, as far as they can hold for a rule.

    Attributes:
        conditions: as written.
        tests: the same compiled, in the same order.
        until: from then on (seconds since 1970) it is over.
        reason: the operator's words.
        override: which rules the override names.
    """

    conditions: tuple[Condition, ...]
    tests: tuple[Test, ...]
    until: float | None = None
    reason: str = ""
    override: str = ""

    def in_force(self, now: float) -> bool:
        """Whether it is not over yet."""
        return self.until is None or now < self.until

    def holding(self, event: Event, captures: Captures) -> list[bool]:
        """Which of its conditions hold. What they catch is not kept: an exception accuses nobody."""
        return [test(event, captures.copy()) for test in self.tests]


def compile_exemption(
    conditions: Iterable[Condition], groups: Groups, *, until: str | None, reason: str, override: str
) -> Exemption | None:
    """The conditions that can hold for a rule that catches `groups`; None when none can."""
    usable = []
    for condition in conditions:
        try:
            usable.append((condition, compile_condition(condition, groups).test))
        except ConditionFault:  # it tests a group that this rule does not catch; `unusable` tells when none does
            continue
    if not usable:
        return None
    return Exemption(
        conditions=tuple(condition for condition, _ in usable),
        tests=tuple(test for _, test in usable),
        until=None if until is None else moment(until).timestamp(),
        reason=reason,
        override=override,
    )


def unusable(condition: Condition, groups_of_rules: Iterable[Groups]) -> ConditionFault | None:
    """Why a condition can hold for none of the rules that catch these groups; None when it can for one."""
    last = None
    for groups in groups_of_rules:
        try:
            compile_condition(condition, groups)
        except ConditionFault as fault:
            last = fault
        else:
            return None
    return last


def exempt(exemptions: Iterable[Exemption], event: Event, captures: Captures, now: float) -> bool:
    """Whether a hit is to be dropped: an exception that is not over holds for it."""
    return any(each.in_force(now) and any(each.holding(event, captures)) for each in exemptions)
