"""The line of every key of a TOML document, which TOML parsers don't tell."""

from __future__ import annotations

import bisect
import re
import tomllib
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

KeyPath = tuple[str | int, ...]

DEEPEST: Final = 64
"""Keys nested deeper get no line: a path for each part of a very long dotted key would fill the memory."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)+")
_KEY: Final = re.compile(
    r"""[ \t]*(?:"(?P<basic>(?:[^"\\\n]|\\.)*)"|'(?P<literal>[^'\n]*)'|(?P<bare>[^\s"'.=\[\]#]+))[ \t]*"""
)
# Strings first, because brackets, hashes and line ends in them mean nothing.
_TOKEN: Final = re.compile(
    r'''"""(?:[^\\]|\\.)*?""""{0,2}'''
    r"""|'''.*?''''{0,2}"""
    r'''|"(?:[^"\\\n]|\\.)*"'''
    r"""|'[^'\n]*'"""
    r"|\#[^\n]*"
    r"|(?P<open>[\[{])|(?P<close>[\]}])|(?P<end>\n)|.",
    re.DOTALL,
)


def line_of(text: str) -> Mapping[KeyPath, int]:
    """Key path → line, counted from 1; keys inside inline tables and arrays have none. Never raises."""
    return _Scanner(text).scan()


@attrs.define
class _Scanner:
    """Reads statement by statement; whatever is not TOML is skipped to the end of its line."""

    text: str
    at: int = 0
    lines: dict[KeyPath, int] = attrs.field(factory=dict)
    counts: dict[KeyPath, int] = attrs.field(factory=dict)
    table: KeyPath = ()
    ends: list[int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.ends = [match.start() for match in re.finditer("\n", self.text)]

    def scan(self) -> Mapping[KeyPath, int]:
        while True:
            blank = _BLANK.match(self.text, self.at)
            self.at = blank.end() if blank else self.at
            if self.at >= len(self.text):
                return self.lines
            line = bisect.bisect_left(self.ends, self.at) + 1
            if self.text[self.at] == "[":
                self._header(line)
            else:
                self._note(self.table, self._keys(), line)
            self._skip_value()

    def _header(self, line: int) -> None:
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        keys = self._keys()
        if is_array and keys:
            parent = self._note((), keys[:-1], line)
            array = (*parent, keys[-1])
            self.counts[array] = self.counts.get(array, -1) + 1
        self.table = self._note((), keys, line)
        # Past the brackets, or they would count as the beginning of a value.
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end

    def _note(self, path: KeyPath, keys: list[str], line: int) -> KeyPath:
        """Give each key on the way its line unless it has one; return the path, with the indices of arrays."""
        for key in keys[:DEEPEST]:
            path = (*path, key)
            self.lines.setdefault(path, line)
            if path in self.counts:
                path = (*path, self.counts[path])
                self.lines.setdefault(path, line)
        return path

    def _keys(self) -> list[str]:
        keys: list[str] = []
        while match := _KEY.match(self.text, self.at):
            self.at = match.end()
            keys.append(_key_text(match))
            if not self.text.startswith(".", self.at):
                break
            self.at += 1
        return keys

    def _skip_value(self) -> None:
        """Go to the end of the line on which the value ends."""
        depth = 0
        while token := _TOKEN.match(self.text, self.at):
            self.at = token.end()
            depth += (token["open"] is not None) - (token["close"] is not None)
            if token["end"] is not None and depth <= 0:
                return


def _key_text(match: re.Match[str]) -> str:
    basic = match["basic"]
    if basic is None:
        return match["bare"] or match["literal"] or ""
    try:
        return str(tomllib.loads(f'key = "{basic}"')["key"])
    except ValueError:
        return basic
