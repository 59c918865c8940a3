"""A rule as it is written, and as it works: compiled, checked, with overrides applied."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from typing import Literal as Choice
from typing import TypeAlias

import attrs

from ironpost_core.alerts import Key, Severity
from ironpost_core.errors import Problem
from ironpost_core.settings import Duration, between, each, matches, non_empty, setting
from ironpost_core.wording import did_you_mean, dotted
from ironpost_logpipe.conditions import (
    Compiled,
    Condition,
    ConditionFault,
    compile_all,
)
from ironpost_logpipe.counting import MAX_COUNT, Threshold
from ironpost_logpipe.event import FIELDS, is_field
from ironpost_logpipe.exemptions import Exemption, check_moment, compile_exemption, unusable

Status: TypeAlias = Choice["enabled", "disabled", "test"]
#: Named groups that become observables. Containers are not among them: who writes a log line must not choose which
#: container it accuses.
OBSERVABLE_GROUPS = {
    key.value: key
    for key in (
        *(Key.SOURCE_IP, Key.DESTINATION_IP, Key.DESTINATION_PORT, Key.USER, Key.PROCESS, Key.FILE),
        *(Key.PACKAGE, Key.VULNERABILITY),
    )
}
_FORBIDDEN_GROUPS = frozenset((Key.CONTAINER_ID.value, Key.CONTAINER_NAME.value, Key.IMAGE.value))


@attrs.frozen(kw_only=True)
class Detection:
    """What a rule looks for."""

    conditions: tuple[Condition, ...] = setting(help="Conditions that must all hold.", check=non_empty())


@attrs.frozen(kw_only=True)
class Injection:
    """A line in which an attacker chose a part of the text, and the only source that may come of it."""

    line: str = setting(help="The line.")
    source_ip: str | None = setting(default=None, help="The true source; left out: the rule must not accuse anyone.")


@attrs.frozen(kw_only=True)
class AlertExample:
    """Lines in their order, and the alerts of this rule that come of them."""

    lines: tuple[str, ...] = setting(help="The lines; their own times count.", check=non_empty())
    count: int = setting(default=1, help="How many alerts this rule raises.", check=between(0, MAX_COUNT))
    source_ip: str | None = setting(default=None, help="The source that the last alert accuses.")
    user: str | None = setting(default=None, help="The user that the last alert names.")


@attrs.frozen(kw_only=True)
class Examples:
    """A rule's own tests, run by `ironpost rules test`."""

    match: tuple[str, ...] = setting(default=(), help="Lines that it must match.")
    no_match: tuple[str, ...] = setting(default=(), help="Lines that it must not match.")
    injection: tuple[Injection, ...] = setting(default=(), help="Attacks on the rule.")
    alerts: tuple[AlertExample, ...] = setting(default=(), help="Lines and the alerts that come of them together.")


@attrs.frozen(kw_only=True)
class RuleDocument:
    """One YAML document: a rule as its author writes it."""

    id: str = setting(
        help="Unique, lower case with dashes.",
        check=matches("lower-case words joined by dashes", r"[a-z0-9]+(-[a-z0-9]+)*"),
    )
    title: str = setting(help="What it means, in a line for people.", check=non_empty())
    description: str = setting(default="", help="What it looks for and why that matters.")
    severity: Severity = setting(help="How bad a hit is.")
    status: Status = setting(default="enabled", help="`test` evaluates and counts, but raises nothing.")
    detection: Detection = setting(help="What it looks for.")
    threshold: Threshold | None = setting(default=None, help="How often it takes to raise an alert; none: each time.")
    tags: tuple[str, ...] = setting(default=(), help="Such as attack.t1110.001.", check=each(non_empty()))
    tests: Examples = setting(factory=Examples, help="Lines that show what it does.")


@attrs.frozen(kw_only=True)
class ThresholdChange:
    """What an override changes of a threshold."""

    count: int | None = setting(default=None, help="How many events fire.", check=between(1, MAX_COUNT))
    timeframe: Duration | None = setting(
        default=None, help="The sliding window they must lie in.", check=between(0.001, 31 * 86400)
    )


@attrs.frozen(kw_only=True)
class Override:
    """A change to rules that are not yours to edit."""

    rule: str = setting(help="Which rules: an id, or a pattern with * and ?.", check=non_empty(), example="ssh-*")
    status: Status | None = setting(default=None, help="The status they get.")
    severity: Severity | None = setting(default=None, help="The severity they get.")
    threshold: ThresholdChange | None = setting(default=None, help="What changes in their thresholds.")
    except_: tuple[Condition, ...] = setting(
        default=(), help="A hit for which one of these holds is dropped before it counts."
    )
    until: str | None = setting(
        default=None,
        help="When the exceptions end, with the zone.",
        check=check_moment,
        example="2026-12-01T00:00:00Z",
    )
    reason: str = setting(default="", help="Why, for whoever reads this later; shown by `ironpost rules explain`.")

    def __attrs_post_init__(self) -> None:
        if self.until is not None and not self.except_:
            raise ValueError("until says when the exceptions end, but there is no except")


@attrs.frozen(eq=False, kw_only=True)
class Rule:
    """A rule that works.

    Attributes:
        document: as written, overrides applied.
        detection: compiled.
        keys: the fields or groups of the threshold's key.
        origin: the file it is from, line included.
        overridden: the patterns of the overrides that changed it.
        exemptions: which of its hits are dropped.
        counts: count, timeframe and `distinct` of a threshold that only counts, at hand for the hot path; else None.
    """

    document: RuleDocument
    detection: Compiled
    keys: tuple[str, ...] = ()
    origin: str = ""
    overridden: tuple[str, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    counts: tuple[int, float, str | None] | None = attrs.field(init=False, repr=False)

    @counts.default
    def _counts(self) -> tuple[int, float, str | None] | None:
        threshold = self.document.threshold
        if threshold is None or threshold.count is None or threshold.after is not None:
            return None
        return threshold.count, threshold.span, threshold.distinct

    @property
    def id(self) -> str:
        """The rule's id."""
        return self.document.id


class RuleFault(ValueError):  # noqa: N818 - it becomes a Problem, and is no error of its own
    """A rule that is well-formed and still can't work; `at` is the key path of the trouble."""

    def __init__(self, at: tuple[str | int, ...], what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.at = at
        self.what = what
        self.remedy = remedy


def compile_rule(document: RuleDocument, origin: str = "") -> Rule:
    """Compile and check one rule.

    Raises:
        RuleFault: a pattern, group or key that can't work, or is not safe.
    """
    at = ("detection", "conditions")
    try:
        detection = compile_all(document.detection.conditions)
    except ConditionFault as fault:
        raise RuleFault((*at, *fault.at), fault.what, fault.remedy) from None
    if forbidden := sorted(detection.groups & _FORBIDDEN_GROUPS):
        raise RuleFault(at, f"a pattern catches {forbidden[0]}", "only the source says that, never a message")
    keys = _threshold_keys(document.threshold, detection)
    return Rule(document=document, detection=detection, keys=keys, origin=origin)


def _threshold_keys(threshold: Threshold | None, detection: Compiled) -> tuple[str, ...]:
    """What makes the key, once all that the threshold names is known to be there."""
    if threshold is None:
        return ()
    at, distinct = ("threshold",), threshold.distinct
    for name in threshold.keys if distinct is None else (*threshold.keys, distinct):
        if name not in detection.groups and not is_field(name):
            hint = did_you_mean(name, [*detection.groups, *FIELDS])
            raise RuleFault(at, f"{name!r} is neither a field nor a named group of this rule", hint)
    if distinct in threshold.keys:
        raise RuleFault(at, f"{distinct!r} is part of the key, so that a key has one value of it", "take it out of by")
    if distinct is not None and threshold.events < 2:
        raise RuleFault(at, "one different value is any event", "give distinct a count of 2 at least")
    return threshold.keys


def apply_overrides(rule: Rule, overrides: Sequence[Override]) -> Rule:
    """The rule as the operator wants it; later overrides win, exceptions add up."""
    used = [override for override in overrides if fnmatch.fnmatchcase(rule.id, override.rule)]
    if not used:
        return rule
    document = rule.document
    for override in used:
        document = attrs.evolve(
            document,
            status=override.status or document.status,
            severity=override.severity or document.severity,
            threshold=_changed(document.threshold, override.threshold),
        )
    exemptions = [_exemption(rule, override) for override in used]
    return attrs.evolve(
        rule,
        document=document,
        overridden=tuple(override.rule for override in used),
        exemptions=tuple(each for each in exemptions if each is not None),
    )


def _changed(threshold: Threshold | None, change: ThresholdChange | None) -> Threshold | None:
    if threshold is None or change is None:
        return threshold
    return threshold.changed(change.count, change.timeframe)


def _exemption(rule: Rule, override: Override) -> Exemption | None:
    return compile_exemption(
        override.except_,
        rule.detection.groups,
        until=override.until,
        reason=override.reason,
        override=override.rule,
    )


def idle_overrides(rules: Sequence[Rule], overrides: Sequence[Override]) -> list[Problem]:
    """What in overrides changes no rule: most likely a misspelt id, field or group."""
    problems: list[Problem] = []
    for index, override in enumerate(overrides):
        fitting = [rule for rule in rules if fnmatch.fnmatchcase(rule.id, override.rule)]
        if fitting:
            problems += _idle_exceptions(index, override, fitting)
        else:
            hint = did_you_mean(override.rule, [rule.id for rule in rules])
            where = f"log_pipeline.override[{index}].rule"
            problems.append(Problem(where=where, what=f"no rule is named {override.rule!r}", remedy=hint))
    return problems


def _idle_exceptions(index: int, override: Override, rules: Sequence[Rule]) -> Iterator[Problem]:
    groups = {rule.detection.groups for rule in rules}
    for place, condition in enumerate(override.except_):
        if fault := unusable(condition, groups):
            at = dotted(("log_pipeline", "override", index, "except", place, *fault.at))
            what = f"for no rule that fits {override.rule!r} this can hold: {fault.what}"
            yield Problem(where=at, what=what, remedy=fault.remedy)
