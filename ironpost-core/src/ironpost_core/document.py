"""A TOML document from bytes, with the line of every key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

from ironpost_core.errors import ConfigError, Problem
from ironpost_core.toml_lines import KeyPath, line_of

_PLACE: Final = re.compile(r" \((?:at line (?P<line>\d+), column (?P<column>\d+)|at end of document)\)$")


def parse(text: bytes, file: str | None) -> tuple[dict[str, Any], Mapping[KeyPath, int]]:
    """A TOML document and the lines of its keys; ConfigError when it isn't one."""
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        what, remedy = "this is not UTF-8", "save the file in the encoding UTF-8"
        raise ConfigError([Problem(where="", what=what, remedy=remedy, file=file, line=line)]) from None
    try:
        return tomllib.loads(decoded), line_of(decoded)
    except (ValueError, RecursionError) as error:
        raise ConfigError([_syntax_problem(str(error), file, decoded)]) from None


def _syntax_problem(message: str, file: str | None, text: str) -> Problem:
    what, line = f"this is not TOML: {message}", None
    if place := _PLACE.search(message):
        what = what.removesuffix(place[0]) + (f" in column {place['column']}" if place["column"] else " at the end")
        line = int(place["line"] or text.count("\n") + 1)
    return Problem(where="", what=what, file=file, line=line)
