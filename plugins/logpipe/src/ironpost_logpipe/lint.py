"""What is odd about rules that work: `ironpost rules lint`."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

import attrs

from ironpost_logpipe.anchors import free_texts
from ironpost_logpipe.examples import count
from ironpost_logpipe.parsers import parse
from ironpost_logpipe.rules import Rule

Weight: TypeAlias = Literal["warning", "note"]

_TACTICS = (
    *("reconnaissance", "resource-development", "initial-access", "execution", "persistence", "privilege-escalation"),
    *("defense-evasion", "credential-access", "discovery", "lateral-movement", "collection", "command-and-control"),
    *("exfiltration", "impact"),
)
_ATTACK = re.compile(rf"attack\.(?:t\d{{4}}(?:\.\d{{3}})?|[gs]\d{{4}}|{'|'.join(_TACTICS)})")
#: Lines as most logs are full of; what an unfiltered rule costs is measured on these and on the rule's own.
_USUAL = (
    "Nov  3 10:00:00 web1 CRON[812]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
    "Nov  3 10:00:00 web1 sshd[123]: Failed password for invalid user admin from 203.0.113.7 port 5022 ssh2",
    "Nov  3 10:00:00 web1 systemd[1]: Started Session 42 of User ops.",
    '203.0.113.7 - - [03/Nov/2026:10:00:00 +0000] "GET /index.html HTTP/1.1" 200 612 "-" "Mozilla/5.0"',
)
_MEASURED = 0.005
#: What a time takes in a checkpoint, and how much of it a rule may need when so many keys are counted at once.
_TIME_SIZE = 20
_ROOM = 60 << 20
_KEYS = 4096


@attrs.frozen(kw_only=True)
class Finding:
    """Something odd.

    Attributes:
        rule: the rule's id.
        origin: its file and line.
        check: which check found it.
        weight: a note says what to know, a warning what to mend.
        what: what is odd.
    """

    rule: str
    origin: str
    check: str
    weight: Weight
    what: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.rule}: {self.weight}: {self.what} [{self.check}]"


def lint(rules: Iterable[Rule]) -> list[Finding]:
    """All findings, rule by rule."""
    return [
        Finding(rule=rule.id, origin=rule.origin, check=name, weight=weight, what=what)
        for rule in rules
        for name, check in _CHECKS.items()
        for weight, what in check(rule)
    ]


_Found: TypeAlias = Iterator[tuple[Weight, str]]


def _tests(rule: Rule) -> _Found:
    examples = rule.document.tests
    if not count(rule):
        yield "warning", "it has no tests: add lines that it must match and lines that it must not"
    elif not examples.match:
        yield "warning", "its tests lack match: a rule that never matches would pass"
    elif not examples.no_match:
        yield "warning", "its tests lack no_match: a rule that always matches would pass"


def _injection(rule: Rule) -> _Found:
    if "source_ip" not in rule.detection.groups:
        return
    attacked = bool(rule.document.tests.injection)
    if not attacked:
        yield "warning", "it accuses source_ip and has no injection tests: add lines in which an attacker chose a part"
    for pattern in rule.detection.patterns:
        if b"source_ip" in pattern.groupindex and all(free_texts(pattern)):
            what = "free text stands before and behind source_ip, so who can choose what is behind it can accuse others"
            yield ("note" if attacked else "warning"), f"{what}: show by injection tests that nobody can"


def _tags(rule: Rule) -> _Found:
    for tag in rule.document.tags:
        if not _ATTACK.fullmatch(tag):
            yield "warning", f"the tag {tag!r} is none of ATT&CK: expected attack.t1110, attack.t1110.001 or a tactic"


def _memory(rule: Rule) -> _Found:
    threshold = rule.document.threshold
    if threshold is None:
        return
    fitting = _ROOM // (threshold.events * _TIME_SIZE)
    if fitting < _KEYS:
        yield (
            "warning",
            (
                f"with a count of {threshold.events}, a checkpoint holds about {fitting} keys: those unused longest "
                "are forgotten beyond that"
            ),
        )


def _cost(rule: Rule) -> _Found:
    if rule.detection.needs is not None or rule.document.status == "disabled":
        return
    price = f"it is evaluated on every line, at about {nanoseconds(rule)} ns, and every line is parsed for it"
    yield "note", f"no text is required, so that {price}: add a condition that a line must contain a text"


def nanoseconds(rule: Rule, lines: Sequence[str] = _USUAL) -> int:
    """What evaluating a rule costs on a parsed line, measured here and now, to two digits."""
    own = rule.document.tests
    events = [event for line in (*lines, *own.match, *own.no_match) if (event := parse(line.encode())) is not None]
    test, done = rule.detection.test, 0
    begin = time.perf_counter()
    while (spent := time.perf_counter() - begin) < _MEASURED:
        for event in events:
            test(event, {})
        done += len(events)
    found = spent / done * 1e9
    return int(float(f"{found:.1e}"))


_CHECKS = {"tests": _tests, "injection": _injection, "tags": _tags, "memory": _memory, "cost": _cost}
