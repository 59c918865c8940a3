"""Running the examples that rules carry: `ironpost rules test`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC

import attrs

from ironpost_core.alerts import Alert, Key, Trust
from ironpost_logpipe.chunks import Chunk, Source
from ironpost_logpipe.conditions import Captures
from ironpost_logpipe.judge import Judge, address_in
from ironpost_logpipe.linking import preceding
from ironpost_logpipe.matcher import Matcher
from ironpost_logpipe.parsers import parse
from ironpost_logpipe.rules import AlertExample, Rule
from ironpost_logpipe.thresholds import Windows
from ironpost_logpipe.times import TimeReader

#: The clock of the examples, for times without a year: 2026-01-01 12:00 UTC.
_NOW = 1_767_268_800.0
_KEYS = 1_000


@attrs.frozen
class Failure:
    """An example that does not hold."""

    rule: str
    kind: str
    line: str
    why: str


def failures(rule: Rule, others: Iterable[Rule] = ()) -> Iterator[Failure]:
    """The examples of a rule that do not hold. `others` are those among which the rules are that it comes after."""
    examples = rule.document.tests
    for line in examples.match:
        if captures_of(rule, line) is None:
            yield Failure(rule.id, "match", line, "does not match")
        elif "source_ip" in rule.keys and accused(rule, line) is None:
            yield Failure(rule.id, "match", line, "matches, but names no source_ip, by which the threshold counts")
    for line in examples.no_match:
        if captures_of(rule, line) is not None:
            yield Failure(rule.id, "no_match", line, "matches")
    for attack in examples.injection:
        found = accused(rule, attack.line)
        wanted = None if attack.source_ip is None else address_in(attack.source_ip.encode())
        if found != wanted:
            yield Failure(rule.id, "injection", attack.line, f"accuses {found or 'nobody'}, not {wanted or 'nobody'}")
    for example in examples.alerts:
        why = _alerts_fault(example, [alert for alert in _alerts(rule, others, example) if alert.rule == rule.id])
        if why:
            yield Failure(rule.id, "alerts", example.lines[-1], why)


def count(rule: Rule) -> int:
    """How many examples a rule has."""
    examples = rule.document.tests
    return len(examples.match) + len(examples.no_match) + len(examples.injection) + len(examples.alerts)


def _alerts(rule: Rule, others: Iterable[Rule], example: AlertExample) -> list[Alert]:
    """What the lines raise when they stand in a file, whatever status the rules have."""
    used = (*preceding(rule, {each.id: each for each in others}), rule)
    enabled = [attrs.evolve(each, document=attrs.evolve(each.document, status="enabled")) for each in used]
    judge = Judge(Windows(_KEYS), TimeReader(lambda: _NOW, UTC))
    lines = [line.encode("utf-8", "surrogateescape") for line in example.lines]
    chunk = Chunk(Source(name="examples", trust=Trust.LOCAL), lines, _NOW)
    hits, _ = Matcher(enabled).match(lines)
    return [alert for hit in hits if (alert := judge.alert(hit, chunk)) is not None]


def _alerts_fault(example: AlertExample, alerts: list[Alert]) -> str:
    if len(alerts) != example.count:
        return f"raises {len(alerts)} alerts, not {example.count}"
    for key, wanted in ((Key.SOURCE_IP, example.source_ip), (Key.USER, example.user)):
        found = alerts[-1].observable(key) if alerts else None
        if wanted is not None and found != wanted:
            return f"the last alert has {found or 'none'} as {key}, not {wanted}"
    return ""


def captures_of(rule: Rule, line: str) -> Captures | None:
    """What the rule catches in a line; None when it does not match."""
    event = parse(line.encode("utf-8", "surrogateescape"))
    captures: Captures = {}
    return captures if event is not None and rule.detection.test(event, captures) else None


def accused(rule: Rule, line: str) -> str | None:
    """The source address that the rule gets from a line, if any."""
    event = parse(line.encode("utf-8", "surrogateescape"))
    captures: Captures = {}
    if event is None or not rule.detection.test(event, captures):
        return None
    # Without a group of that name it is the line's own field, as in `Judge`.
    caught = captures.get("source_ip") if "source_ip" in rule.detection.groups else event.field("source_ip")
    return address_in(caught) if caught else None
