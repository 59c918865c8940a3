"""Running the examples that rules carry: `ironpost rules test`."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from ironpost_logpipe.conditions import Captures
from ironpost_logpipe.judge import address_in
from ironpost_logpipe.parsers import parse
from ironpost_logpipe.rules import Rule


@attrs.frozen
class Failure:
    """An example that does not hold."""

    rule: str
    kind: str
    line: str
    why: str


def failures(rule: Rule) -> Iterator[Failure]:
    """The examples of a rule that do not hold."""
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


def count(rule: Rule) -> int:
    """How many examples a rule has."""
    examples = rule.document.tests
    return len(examples.match) + len(examples.no_match) + len(examples.injection)


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
