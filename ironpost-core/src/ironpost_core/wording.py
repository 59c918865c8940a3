"""How values are named in messages: one way for every problem that a user reads."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST = 60
"""A longer text is cut in messages: what a user wrote by accident can be a whole file."""


def quoted(text: str) -> str:
    """`text` as a TOML basic string, with everything a terminal could act on escaped."""
    escaped = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escape(ord(char)) for char in escaped)


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def shown(value: object) -> str:
    """`value` as the user may have written it, cut to a readable length."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value if len(value) <= LONGEST else value[: LONGEST - 1] + "…")
    if value is None or isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return kind_of(value)
    return str(value)[:LONGEST]


def kind_of(value: object) -> str:
    """What sort of value it is, for places where the value itself must not be shown."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "a list" if value else "an empty list"
    return "a value of another type"


def any_of(choices: Iterable[object]) -> str:
    """``"a", "b" or "c"``."""
    names = [shown(choice) for choice in choices]
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean "port"?``, or nothing when no known word is close."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"did you mean {quoted(close[0])}?" if close else ""


def dotted(path: Sequence[str | int]) -> str:
    """A key path as TOML would name it: ``alerts.sinks[2].url``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = part.isascii() and part.replace("-", "_").replace("_", "a").isalnum()
            text += ("." if text else "") + (part if bare else quoted(part))
    return text


def joined(*parts: str) -> str:
    """The parts that say something, as one remedy."""
    return "; ".join(part for part in parts if part)
