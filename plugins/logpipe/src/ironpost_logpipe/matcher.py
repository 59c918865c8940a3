"""All rules against all lines, in one pass over each line however many rules there are.

One `re2.Set` over what the rules need (`conditions.Compiled.needs`) says which rules could match a raw line. Only
these are evaluated, on the parsed line. A rule that needs nothing in particular is evaluated on every line.

A field's text stands in the raw line as it is unless something in it is escaped. So the set also finds backslashes: a
line with one is parsed and searched again, its escapes undone (`Event.searchable`). All others cost nothing for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from ironpost_logpipe.conditions import Captures, Test
from ironpost_logpipe.event import Event
from ironpost_logpipe.literals import Literal
from ironpost_logpipe.parsers import CHECKS, DECODED, LINE_ENDS, PARSERS, PINNED
from ironpost_logpipe.patterns import literal_pattern, search_set
from ironpost_logpipe.rules import Rule

_CACHED_CHOICES = 4096
_ESCAPE = Literal(b"\\")
_Choice: TypeAlias = tuple[tuple[Rule, Test], ...]


class Hit(NamedTuple):
    """A line that a rule matched. `line` is its place in the chunk."""

    line: int
    rule: Rule
    event: Event
    captures: Captures


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
        self._choices: dict[tuple[int, ...], _Choice | None] = {}

    @property
    def unfiltered(self) -> tuple[Rule, ...]:
        """The rules that are evaluated on every line."""
        return tuple(self.rules[index] for index in self._always)

    def match(self, lines: Sequence[bytes], format_: str = "auto") -> tuple[list[Hit], int]:
        """The hits among `lines`, in order, and how many lines the format's parser refused."""
        if format_ in PINNED or self._always:
            return self._match_all(lines, format_)
        search, parse = self._search, PARSERS[format_]
        hits: list[Hit] = []
        errors = 0
        for index, line in enumerate(lines):
            found = search(line)
            if found is None:
                continue
            event = parse(line.rstrip(LINE_ENDS))
            if event is None:
                errors += 1
                continue
            chosen = self._chosen(found)
            for rule, test in self._decoded(event) if chosen is None else chosen:
                captures: Captures = {}
                if test(event, captures):
                    hits.append(Hit(index, rule, event, captures))
        return hits, errors

    def _match_all(self, lines: Sequence[bytes], format_: str) -> tuple[list[Hit], int]:
        """The same, but every line is looked at, and parsed if a rule may match it."""
        search, parse, decoded = self._search, PARSERS[format_], format_ in DECODED
        check = CHECKS.get(format_, parse)
        all_may_match = decoded or bool(self._always)
        hits: list[Hit] = []
        errors = 0
        for index, line in enumerate(lines):
            found = None if decoded else search(line)
            if found is None and not all_may_match:
                errors += check(line.rstrip(LINE_ENDS)) is None
                continue
            event = parse(line.rstrip(LINE_ENDS))
            if event is None:
                errors += 1
                continue
            chosen = None if decoded else self._chosen(found or [])
            for rule, test in self._decoded(event) if chosen is None else chosen:
                captures: Captures = {}
                if test(event, captures):
                    hits.append(Hit(index, rule, event, captures))
        return hits, errors

    def _decoded(self, event: Event) -> _Choice:
        """The rules to evaluate on a line in which something is escaped."""
        found = self._search(event.searchable()) or []
        return self._chosen([literal for literal in found if literal != self._escaped]) or ()

    def _chosen(self, found: list[int]) -> _Choice | None:
        """The rules to evaluate with their tests, in their own order; None when the line has escapes."""
        key = tuple(found)
        try:
            return self._choices[key]
        except KeyError:
            pass
        if len(self._choices) >= _CACHED_CHOICES:
            self._choices.clear()
        chosen = self._choices[key] = None if self._escaped in found else self._rules_for(found)
        return chosen

    def _rules_for(self, found: Iterable[int]) -> _Choice:
        indexes = set(self._always)
        for literal in found:
            indexes.update(self._rules_of[literal])
        return tuple((self.rules[index], self.rules[index].detection.test) for index in sorted(indexes))


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
