"""All rules against all lines, in one pass over each line however many rules there are.

One `re2.Set` over what the rules need (`conditions.Compiled.needs`) says which rules could match a raw line. Only
these are evaluated, on the parsed line. A rule that needs nothing in particular is evaluated on every line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from ironpost_logpipe.conditions import Captures, Test
from ironpost_logpipe.event import Event
from ironpost_logpipe.parsers import LINE_ENDS, PARSERS, PINNED
from ironpost_logpipe.patterns import literal_pattern, search_set
from ironpost_logpipe.rules import Rule

_CACHED_CHOICES = 4096
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
        self._search = search_set([literal_pattern(literal) for literal in needs])
        self._choices: dict[tuple[int, ...], _Choice] = {}

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
            for rule, test in self._chosen(found):
                captures: Captures = {}
                if test(event, captures):
                    hits.append(Hit(index, rule, event, captures))
        return hits, errors

    def _match_all(self, lines: Sequence[bytes], format_: str) -> tuple[list[Hit], int]:
        """The same, but every line is parsed."""
        search, parse = self._search, PARSERS[format_]
        hits: list[Hit] = []
        errors = 0
        for index, line in enumerate(lines):
            event = parse(line.rstrip(LINE_ENDS))
            if event is None:
                errors += 1
                continue
            for rule, test in self._chosen(search(line) or []):
                captures: Captures = {}
                if test(event, captures):
                    hits.append(Hit(index, rule, event, captures))
        return hits, errors

    def _chosen(self, found: list[int]) -> _Choice:
        """The rules to evaluate with their tests, in their own order."""
        key = tuple(found)
        chosen = self._choices.get(key)
        if chosen is None:
            indexes = set(self._always)
            for literal in found:
                indexes.update(self._rules_of[literal])
            chosen = tuple((self.rules[index], self.rules[index].detection.test) for index in sorted(indexes))
            if len(self._choices) >= _CACHED_CHOICES:
                self._choices.clear()
            self._choices[key] = chosen
        return chosen


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
