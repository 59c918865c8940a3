r"""RE2 patterns as trees, for checks of what a pattern can match.

Sets of bytes are whole numbers with a bit for each byte. Where RE2 knows more than is told apart here (``\pL``), a set
is too large, never too small, but for letters beyond ASCII whose case is folded.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import attrs

ALL = (1 << 256) - 1
NEWLINE = 1 << 10
_COUNTED = re.compile(rb"\{(\d+)(,?)(\d*)\}")
_FLAGS = re.compile(rb"\(\?([a-zA-Z-]*)([:)])")
_NAMED = re.compile(rb"\(\?P?<(\w+)>")
_HEX = re.compile(rb"\\x(?:\{([0-9a-fA-F]+)\}|([0-9a-fA-F]{2}))")
_OCTAL = re.compile(rb"\\([0-7]{1,3})")
_UNICODE = re.compile(rb"\\[pP](?:\{[^}]*\}|.)", re.DOTALL)


def chars(text: str) -> int:
    """The set of some characters."""
    return sum(1 << code for code in set(text.encode("latin-1")))


def span(first: int, last: int) -> int:
    """The set of the bytes from `first` to `last`."""
    return (1 << (last + 1)) - (1 << first)


DIGITS = span(48, 57)
LOWER = span(97, 122)
UPPER = span(65, 90)
WORD = DIGITS | LOWER | UPPER | chars("_")
SPACE = chars("\t\n\f\r ")
_CLASSES = {b"d": DIGITS, b"w": WORD, b"s": SPACE, b"C": ALL}
_CLASSES |= {name.upper(): ALL ^ each for name, each in _CLASSES.items() if name != b"C"}
_CONTROLS = {b"a": 7, b"f": 12, b"n": 10, b"r": 13, b"t": 9, b"v": 11}
_PUNCTUATION = span(33, 126) & ~(DIGITS | LOWER | UPPER)
_POSIX = {
    b"alnum": DIGITS | LOWER | UPPER,
    b"alpha": LOWER | UPPER,
    b"ascii": span(0, 127),
    b"blank": chars("\t "),
    b"cntrl": span(0, 31) | 1 << 127,
    b"digit": DIGITS,
    b"graph": span(33, 126),
    b"lower": LOWER,
    b"print": span(32, 126),
    b"punct": _PUNCTUATION,
    b"space": SPACE | chars("\v"),
    b"upper": UPPER,
    b"word": WORD,
    b"xdigit": DIGITS | chars("abcdefABCDEF"),
}


class UnreadableError(ValueError):
    """A pattern, valid for RE2 or not, that is not understood here."""


@attrs.frozen
class Chars:
    """One byte of a set."""

    of: int


@attrs.frozen
class Edge:
    r"""A place: ``^`` and ``\A`` are "start", ``$`` and ``\z`` "end", the rest "word"."""

    kind: str


@attrs.frozen
class Seq:
    """One after the other."""

    parts: tuple[Node, ...]


@attrs.frozen
class Alt:
    """One of several."""

    branches: tuple[Node, ...]


@attrs.frozen
class Repeat:
    """From `least` to `most` (None: any number) times."""

    node: Node
    least: int
    most: int | None
    greedy: bool


@attrs.frozen
class Group:
    """A group that catches; `name` is empty for one that has none."""

    node: Node
    name: str


Node: TypeAlias = Chars | Edge | Seq | Alt | Repeat | Group


def read(pattern: bytes) -> Node:
    """The tree of a pattern that RE2 takes.

    Raises:
        UnreadableError: it uses what is not understood here: ``(?m)``, ``(?U)``, ``\\Q``.
    """
    reader = _Reader(pattern)
    node = reader.alternatives(b"")
    if reader.at < len(pattern):
        raise UnreadableError("has a ) too many")
    return node


class _Reader:
    def __init__(self, pattern: bytes) -> None:
        self._text = pattern
        self.at = 0

    def alternatives(self, flags: bytes) -> Node:
        branches: list[Node] = []
        parts: list[Node] = []
        while self.at < len(self._text) and self._peek() != b")":
            if self._peek() == b"|":
                self.at += 1
                branches.append(Seq(tuple(parts)))
                parts = []
            elif (found := _FLAGS.match(self._text, self.at)) and found[2] == b")":
                self.at = found.end()
                flags = _changed(flags, found[1])
            else:
                parts.append(self._repeated(self._item(flags)))
        branches.append(Seq(tuple(parts)))
        return Alt(tuple(branches)) if len(branches) > 1 else branches[0]

    def _peek(self) -> bytes:
        return self._text[self.at : self.at + 1]

    def _item(self, flags: bytes) -> Node:
        char = self._peek()
        if char == b"(":
            return self._group(flags)
        if char == b"[":
            return Chars(_folded(self._class(), flags))
        if char == b"\\":
            return self._escape(flags)
        if self._quantifier() is not None:
            raise UnreadableError("repeats flags")  # RE2 lets it repeat what stands before them
        self.at += 1
        if char in (b"^", b"$"):
            return Edge("start" if char == b"^" else "end")
        if char == b".":
            return Chars(ALL if b"s" in flags else ALL ^ NEWLINE)
        return Chars(_folded(1 << char[0], flags))

    def _repeated(self, node: Node) -> Node:
        while (bounds := self._quantifier()) is not None:
            greedy = self._peek() != b"?"
            self.at += not greedy
            node = Repeat(node, *bounds, greedy)
        return node

    def _quantifier(self) -> tuple[int, int | None] | None:
        char = self._peek()
        if char in (b"*", b"+", b"?") and char:
            self.at += 1
            return (1 if char == b"+" else 0), (1 if char == b"?" else None)
        if found := _COUNTED.match(self._text, self.at):
            self.at = found.end()
            least = int(found[1])
            return least, (int(found[3]) if found[3] else None) if found[2] else least
        return None

    def _group(self, flags: bytes) -> Node:
        name: str | None = ""
        if named := _NAMED.match(self._text, self.at):
            self.at, name = named.end(), named[1].decode("ascii")
        elif plain := _FLAGS.match(self._text, self.at):
            self.at, name, flags = plain.end(), None, _changed(flags, plain[1])
        else:
            self.at += 1
        node = self.alternatives(flags)
        if self._peek() != b")":
            raise UnreadableError("lacks a )")
        self.at += 1
        return node if name is None else Group(node, name)

    def _escape(self, flags: bytes) -> Node:
        char = self._text[self.at + 1 : self.at + 2]
        if char in (b"A", b"z", b"b", b"B"):
            self.at += 2
            return Edge({b"A": "start", b"z": "end"}.get(char, "word"))
        return Chars(_folded(self._escaped(), flags))

    def _escaped(self) -> int:
        char = self._text[self.at + 1 : self.at + 2]
        for pattern in (_HEX, _OCTAL):
            if found := pattern.match(self._text, self.at):
                self.at = found.end()
                code = int(found[1] or found[2], 16) if pattern is _HEX else int(found[1], 8)
                return 1 << code if code < 256 else ALL
        if found := _UNICODE.match(self._text, self.at):
            self.at = found.end()
            return ALL
        self.at += 2
        if char in _CLASSES:
            return _CLASSES[char]
        if char in _CONTROLS:
            return 1 << _CONTROLS[char]
        if not char or char.isalnum():
            raise UnreadableError(f"uses \\{char.decode('latin-1')}")
        return 1 << char[0]

    def _class(self) -> int:
        self.at += 1
        negated = self._peek() == b"^"
        self.at += negated
        found, first = 0, True
        while first or self._peek() != b"]":
            found |= self._range()
            first = False
        self.at += 1
        return ALL ^ found if negated else found

    def _range(self) -> int:
        """One member of a class: a character, a range of them, or a named class."""
        if self._text.startswith(b"[:", self.at) and (close := self._text.find(b":]", self.at)) > 0:
            name = self._text[self.at + 2 : close]
            self.at = close + 2
            named = _POSIX.get(name.removeprefix(b"^"), ALL)
            return ALL ^ named if name.startswith(b"^") else named
        low = self._member()
        if self._peek() != b"-" or self._text[self.at + 1 : self.at + 2] in (b"]", b"") or low.bit_count() != 1:
            return low
        self.at += 1
        high = self._member()
        return span(low.bit_length() - 1, high.bit_length() - 1) if high.bit_count() == 1 else ALL

    def _member(self) -> int:
        char = self._peek()
        if not char:
            raise UnreadableError("lacks a ]")
        if char == b"\\":
            return self._escaped()
        self.at += 1
        return 1 << char[0]


def _changed(flags: bytes, given: bytes) -> bytes:
    on, _, off = given.partition(b"-")
    if set(on) - set(b"is") or set(off) - set(b"isUm"):
        raise UnreadableError(f"uses (?{given.decode('latin-1')})")
    return bytes(flag for flag in {*flags, *on} if flag not in off)


def _folded(of: int, flags: bytes) -> int:
    if b"i" not in flags:
        return of
    return of | (of & LOWER) >> 32 | (of & UPPER) << 32
