r"""RE2 as ironpost uses it: bytes, Latin-1, linear time, silent.

By default RE2 fails on one byte that is not UTF-8, so that a user name with ``\xff`` would evade every rule; read as
Latin-1 every byte is a character.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import re2

from ironpost_logpipe.literals import Literal

#: Where the whole match and each group begin and end; (-1, -1) for a group that took no part. None: no match.
SpanFinder: TypeAlias = Callable[[bytes], Sequence[tuple[int, int]] | None]
_MEMORY = 8 << 20
_SET_MEMORY = 32 << 20
_SET_MEMORY_LIMIT = 1 << 30


class PatternError(ValueError):
    """A pattern that RE2 does not take; the text says why."""


class Pattern(Protocol):
    """A compiled pattern."""

    @property
    def pattern(self) -> bytes:
        """As it was written."""

    @property
    def groupindex(self) -> dict[bytes, int]:
        """Named group → its number."""

    def search(self, text: bytes) -> Any:
        """The leftmost match anywhere in `text`, or None."""


def _options(memory: int) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.max_mem = memory
    return options


@functools.lru_cache(maxsize=64)  # a rule's patterns are compiled to check what is written, and again to use it
def compile_pattern(pattern: str) -> Pattern:
    """Compile what a rule says.

    Raises:
        PatternError: RE2 does not take it (it has no look-around and no back-references).
    """
    try:
        compiled: Pattern = re2.compile(pattern.encode("utf-8"), _options(_MEMORY))
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(text) from None
    return compiled


def span_finder(pattern: Pattern) -> SpanFinder:
    """The leftmost match anywhere in a text, as spans.

    The package's own match objects take twice the time of the search itself, so its inner search is used where it is
    as expected (1.0 to 1.1, at least); else the public one.
    """
    inner = getattr(getattr(pattern, "_regexp", None), "Match", None)
    unanchored = getattr(re2, "_Anchor", None)
    if inner is None or unanchored is None:
        return lambda text: _public_spans(pattern, text)
    anchor = unanchored.UNANCHORED

    def find(text: bytes) -> Sequence[tuple[int, int]] | None:
        spans: Sequence[tuple[int, int]] = inner(anchor, text, 0, len(text))
        return None if spans[0][0] < 0 else spans

    return find


def _public_spans(pattern: Pattern, text: bytes) -> Sequence[tuple[int, int]] | None:
    match = pattern.search(text)
    if match is None:
        return None
    return [match.span(group) for group in range(max(pattern.groupindex.values(), default=0) + 1)]


def search_set(patterns: Sequence[bytes]) -> Callable[[bytes], list[int]]:
    """A function that answers which of `patterns` a text matches, in one pass however many there are."""
    if not patterns:
        return lambda _: []
    memory = _SET_MEMORY
    while True:
        # A set has no slower engine to fall back on: with too little memory it would miss matches, so that
        # Compile() fails at once, and it gets more.
        found = re2.Set.SearchSet(_options(memory))
        for pattern in patterns:
            found.Add(pattern)
        try:
            found.Compile()
        except re2.error as error:
            memory *= 2
            if memory > _SET_MEMORY_LIMIT:
                raise PatternError(f"{len(patterns)} patterns together need more than 1 GiB") from error
            continue
        return _set_matcher(found)


def _set_matcher(compiled: Any) -> Callable[[bytes], list[int]]:
    """The package's inner function where it is as expected, as in `span_finder`; else the public one."""
    inner: Callable[[bytes], list[int]] | None = getattr(getattr(compiled, "_set", None), "Match", None)
    return (lambda text: compiled.Match(text) or []) if inner is None else inner


def literal_pattern(literal: Literal) -> bytes:
    """The pattern that finds a literal."""
    escaped: bytes = re2.escape(literal.text)
    return b"(?i:" + escaped + b")" if literal.fold else escaped
