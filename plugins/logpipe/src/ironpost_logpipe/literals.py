"""What a line must contain for a pattern to match: the prefilter's material.

`required` errs on the safe side only: when in doubt it says "nothing", which costs time and never a match.
"""

from __future__ import annotations

import re

import attrs

_REPEATS = b"*?{"
#: RE2 takes any other brace for itself: "x{|y}" is "x{" or "y}".
_COUNTED = re.compile(rb"\{\d*,?\d*\}")
_SPECIAL = b"\\[(.^$|*+?)"


@attrs.frozen
class Literal:
    """A text that must occur; `fold` when its case does not matter."""

    text: bytes
    fold: bool = False


def required(pattern: bytes) -> frozenset[Literal] | None:
    """Texts of which one at least occurs in whatever `pattern` (valid RE2) matches; None when none is certain."""
    body, fold = _without_flags(pattern)
    if b"\\Q" in body:
        return None
    found: set[Literal] = set()
    for branch in _Reader(body).branches():
        longest = max(branch, key=len, default=b"")
        if not longest:
            return None
        found.add(Literal(longest, fold))
    return frozenset(found)


def _without_flags(pattern: bytes) -> tuple[bytes, bool]:
    """Strip leading ``(?i)``-like flags; whether they make the case irrelevant."""
    fold = False
    while pattern.startswith(b"(?"):
        flags, closed, rest = pattern[2:].partition(b")")
        if not closed or not flags.replace(b"-", b"").isalpha():
            break
        fold = fold or b"i" in flags
        pattern = rest
    return pattern, fold


class _Reader:
    """Walks a pattern's outermost level and collects the runs of plain characters in each of its alternatives."""

    def __init__(self, pattern: bytes) -> None:
        self._text = pattern
        self._at = 0
        self._run = bytearray()
        self._runs: list[bytes] = []
        self._fold_later = False

    def branches(self) -> list[list[bytes]]:
        """The runs of each top-level alternative."""
        done: list[list[bytes]] = []
        while self._at < len(self._text):
            char = self._text[self._at : self._at + 1]
            if char == b"|":
                self._end_run()
                done.append(self._runs)
                self._runs = []
                self._at += 1
            else:
                self._step(char)
        self._end_run()
        return [*done, [] if self._fold_later else self._runs]

    def _step(self, char: bytes) -> None:
        if char == b"\\":
            self._escape()
        elif char == b"[":
            self._end_run()
            self._at = _after_class(self._text, self._at)
        elif char == b"(":
            self._end_run()
            # Flags in the middle, (?i), change what follows: from there on nothing is certain any more.
            if self._text[self._at + 1 : self._at + 2] == b"?" and _is_flags(self._text[self._at + 2 :]):
                self._fold_later = True
            self._at = _after_group(self._text, self._at)
        elif char in _REPEATS and (char != b"{" or _COUNTED.match(self._text, self._at)):
            del self._run[-1:]  # the character before may be absent
            self._end_run()
            self._skip_repeat(char)
        elif char in _SPECIAL:
            self._end_run()
            self._at += 1
        else:
            self._run += char
            self._at += 1

    def _skip_repeat(self, char: bytes) -> None:
        close = self._text.find(b"}", self._at) if char == b"{" else -1
        self._at = close + 1 if close > 0 else self._at + 1

    def _escape(self) -> None:
        char = self._text[self._at + 1 : self._at + 2]
        if not char.isalnum():
            self._run += char
            self._at += 2
            return
        self._end_run()
        self._at = _after_escape(self._text, self._at)

    def _end_run(self) -> None:
        if self._run:
            self._runs.append(bytes(self._run))
            self._run.clear()


def _is_flags(text: bytes) -> bool:
    flags, closed, _ = text.partition(b")")
    return bool(closed) and flags.replace(b"-", b"").isalpha()


def _after_escape(text: bytes, at: int) -> int:
    r"""Behind an escape that stands for something else than itself: ``\d``, ``\x41``, ``\x{41}``, ``\pN``, ``\101``."""
    char = text[at + 1 : at + 2]
    at += 2
    if char in (b"p", b"P", b"x") and text[at : at + 1] == b"{":
        close = text.find(b"}", at)
        return close + 1 if close > 0 else len(text)
    if char in (b"p", b"P"):
        return at + 1
    if char == b"x":
        return at + 2
    while char.isdigit() and text[at : at + 1].isdigit():
        at += 1
    return at


def _after_class(text: bytes, at: int) -> int:
    at += 2 if text[at + 1 : at + 2] == b"^" else 1
    at += 1 if text[at : at + 1] == b"]" else 0
    while at < len(text) and text[at : at + 1] != b"]":
        if text[at : at + 1] == b"\\":
            at += 2
        elif text[at : at + 2] == b"[:":
            close = text.find(b":]", at + 2)
            at = close + 2 if close > 0 else at + 1
        else:
            at += 1
    return at + 1


def _after_group(text: bytes, at: int) -> int:
    depth = 0
    while at < len(text):
        char = text[at : at + 1]
        if char == b"\\":
            at += 2
            continue
        if char == b"[":
            at = _after_class(text, at)
            continue
        depth += (char == b"(") - (char == b")")
        at += 1
        if depth == 0:
            break
    return at
