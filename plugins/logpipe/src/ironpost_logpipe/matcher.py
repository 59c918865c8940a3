"""All rules against all lines, in one pass over each line however many rules there are.

One `re2.Set` over what the rules need (`conditions.Compiled.needs`) says which rules could match a raw line. Only
these are evaluated, on the parsed line. A rule that needs nothing in particular is evaluated on every line.

A field's text stands in the raw line as it is unless something in it is escaped. So the set also finds backslashes: a
line with one is parsed and searched again, its escapes undone (`Event.searchable`). All others cost nothing for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ironpost_logpipe.conditions import Captures, Test
from ironpost_logpipe.event import Event
from ironpost_logpipe.literals import Literal
from ironpost_logpipe.parsers import CHECKS, DECODED, LINE_ENDS, PARSERS, PINNED
from ironpost_logpipe.patterns import literal_pattern, search_set
from ironpost_logpipe.rules import Rule

_CACHED_CHOICES = 4096
_ESCAPE = Literal(b"\\")
#: Tests to make of a line, each with the rules that match when it holds.
_Choice: TypeAlias = tuple[tuple[Test, tuple[Rule, ...]], ...]


class Hit:
    """A line that a rule matched. A plain class with slots, as `Event`.

    Attributes:
        line: its place in the chunk.
        rule: the rule.
        event: the line, parsed.
        captures: what the rule's named groups caught; shared by rules with the same conditions.
    """

    __slots__ = ("captures", "event", "line", "rule")

    def __init__(self, line: int, rule: Rule, event: Event, captures: Captures) -> None:
        self.line = line
        self.rule = rule
        self.event = event
        self.captures = captures


class Matcher:
    """The rules in force, compiled together. Immutable, so that a reload builds another one aside and swaps."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rule for rule in rules if rule.document.status != "disabled")
        needs = sorted(
            {literal for rule in self.rules for literal in rule.detection.needs or ()},
            key=lambda literal: (literal.text, literal.fold),
        )
        at = {literal: index for index, literal in enumerate(needs)}
        self._rules_of: list[list[int]] = [[] for _ in needs]
        self._always: list[int] = []
        for index, rule in enumerate(self.rules):
            if rule.detection.needs is None:
                self._always.append(index)
            for literal in rule.detection.needs or ():
                self._rules_of[at[literal]].append(index)
        self._escaped = len(needs)
        self._search = search_set([literal_pattern(literal) for literal in (*needs, _ESCAPE)] if needs else [])
        self._choices: dict[tuple[int, ...], _Choice] = {}

    @property
    def unfiltered(self) -> tuple[Rule, ...]:
        """The rules that are evaluated on every line."""
        return tuple(self.rules[index] for index in self._always)

    def match(self, lines: Sequence[bytes], format_: str = "auto") -> tuple[list[Hit], int]:
        """The hits among `lines`, in order, and how many lines the format's parser refused."""
        if format_ in PINNED or self._always:
            return self._match_all(lines, format_)
        search, parse, choices = self._search, PARSERS[format_], self._choices
        hits: list[Hit] = []
        errors = 0
        for index, line in enumerate(lines):
            found = search(line)
            if not found:
                continue
            event = parse(line.rstrip(LINE_ENDS))
            if event is None:
                errors += 1
                continue
            chosen = choices.get(tuple(found))
            for test, rules in self._choose(found, event) if chosen is None else chosen:
                captures: Captures = {}
                if test(event, captures):
                    for rule in rules:
                        hits.append(Hit(index, rule, event, captures))
        return hits, errors

    def _match_all(self, lines: Sequence[bytes], format_: str) -> tuple[list[Hit], int]:
        """The same, but every line is looked at, and parsed if a rule may match it."""
        search, parse, choices = self._search, PARSERS[format_], self._choices
        check, always = CHECKS.get(format_, parse), self._always
        decoded = [self._escaped] if format_ in DECODED else []
        hits: list[Hit] = []
        errors = 0
        for index, line in enumerate(lines):
            found = decoded or search(line)
            if not found and not always:
                errors += check(line.rstrip(LINE_ENDS)) is None
                continue
            event = parse(line.rstrip(LINE_ENDS))
            if event is None:
                errors += 1
                continue
            chosen = choices.get(tuple(found))
            for test, rules in self._choose(found, event) if chosen is None else chosen:
                captures: Captures = {}
                if test(event, captures):
                    for rule in rules:
                        hits.append(Hit(index, rule, event, captures))
        return hits, errors

    def _choose(self, found: list[int], event: Event) -> _Choice:
        """What to test, when these texts were not found together before or something in the line is escaped."""
        if self._escaped in found:
            found = [literal for literal in self._search(event.searchable()) if literal != self._escaped]
        chosen = self._choices.get(tuple(found))
        if chosen is None:
            if len(self._choices) >= _CACHED_CHOICES:
                self._choices.clear()
            chosen = self._choices[tuple(found)] = self._tests_for(found)
        return chosen

    def _tests_for(self, found: Iterable[int]) -> _Choice:
        """In the rules' own order; rules with the same test stand together at the first one's place."""
        indexes = set(self._always)
        for literal in found:
            indexes.update(self._rules_of[literal])
        rules: dict[Test, list[Rule]] = {}
        for index in sorted(indexes):
            rules.setdefault(self.rules[index].detection.test, []).append(self.rules[index])
        return tuple((test, tuple(same)) for test, same in rules.items())


def match_slowly(rules: Iterable[Rule], lines: Sequence[bytes], format_: str = "auto") -> list[Hit]:
    """Every rule on every line: what `Matcher.match` must agree with."""
    hits: list[Hit] = []
    for index, line in enumerate(lines):
        event = PARSERS[format_](line.rstrip(LINE_ENDS))
        for rule in rules:
            captures: Captures = {}
            if event is not None and rule.document.status != "disabled" and rule.detection.test(event, captures):
                hits.append(Hit(index, rule, event, captures))
    return hits
