r"""JSON, one object a line.

Numbers are the texts that stand in the line, so that none is too large or changes its form; ``true``, ``false`` and
``null`` are these words. Escapes are undone: ``\u0046ailed`` is "Failed". Bytes that are not UTF-8 stay what they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ironpost_logpipe.event import Event
from ironpost_logpipe.wellknown import encoded, event_from

PREFIX = "json."
#: So deep are values read: json.a is the first level, and what lies deeper has no field.
MAX_DEPTH = 16
#: So many values of a line are fields, those of outer levels first.
MAX_FIELDS = 256
#: A longer path has no field.
MAX_PATH = 256
_WORDS: Mapping[Any, bytes] = {True: b"true", False: b"false", None: b"null"}
_decode = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False).raw_decode


def parse_json(line: bytes) -> Event | None:
    """Read one line; None when it is not one JSON object and nothing else."""
    found = document(line)
    return None if found is None else event_from(line, found, Fields(found))


def document(line: bytes) -> dict[str, Any] | None:
    """The object that a line is; None for anything else. Of a key that comes twice the last one counts."""
    text = line.strip(b" \t\r\n").decode("utf-8", "surrogateescape")
    try:
        value, end = _decode(text)
    except (ValueError, RecursionError):
        return None
    return value if type(value) is dict and end == len(text) else None


class Fields(Mapping[str, bytes]):
    """The values in a document by their dotted paths. They are laid out when the first one is asked for."""

    __slots__ = ("_document", "_flat")

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._flat: dict[str, bytes] | None = None

    def _all(self) -> dict[str, bytes]:
        if self._flat is None:
            self._flat = _laid_out(self._document)
        return self._flat

    def get(self, key: str, default: Any = None) -> Any:
        """As a dict's."""
        return self._all().get(key, default)

    def __getitem__(self, key: str) -> bytes:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def _laid_out(document: dict[str, Any]) -> dict[str, bytes]:
    """Level by level, so that a large inner part can't crowd out an outer one."""
    found: dict[str, bytes] = {}
    level: list[tuple[str, Any]] = [(PREFIX, document)]
    for _ in range(MAX_DEPTH):
        below: list[tuple[str, Any]] = []
        for prefix, node in level:
            for key, value in node.items() if type(node) is dict else enumerate(node):
                path = f"{prefix}{key}"
                if len(path) > MAX_PATH:
                    continue
                if type(value) is str:
                    found.setdefault(path, encoded(value))
                elif type(value) is dict or type(value) is list:
                    below.append((f"{path}.", value))
                else:
                    found.setdefault(path, _WORDS[value])
                if len(found) >= MAX_FIELDS:
                    return found
        level = below
    return found
