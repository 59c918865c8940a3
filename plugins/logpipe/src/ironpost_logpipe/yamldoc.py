"""YAML documents as plain data with the line of every key: safe, strict and bounded.

Only the composer of PyYAML is used, so that nothing is ever constructed: no tags, no anchors (a few aliases make
gigabytes), no duplicate keys, and texts stay as they were written (``no`` is not false where a text is expected).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import yaml

from ironpost_core.errors import Problem, RuleError
from ironpost_core.toml_lines import KeyPath

MAX_SIZE = 1 << 20
MAX_DEPTH = 24
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@attrs.frozen
class Document:
    """One document.

    Attributes:
        data: dicts, lists, texts, whole numbers, truth values and None.
        lines: the line of each key path, from 1.
        line: where it begins.
    """

    data: Any
    lines: dict[KeyPath, int]
    line: int


def read_documents(file: str, content: bytes) -> list[Document]:
    """All documents of a file.

    Raises:
        RuleError: not UTF-8, not YAML, too large or too deep.
    """
    if len(content) > MAX_SIZE:
        raise _error(file, None, "is larger than 1 MiB", "split it")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _error(file, line, "is not UTF-8", "save it in that encoding") from None
    documents = []
    try:
        _bounded(file, text)
        for node in yaml.compose_all(text, _LOADER):
            if node is not None:
                documents.append(_document(file, node))
    except yaml.YAMLError as error:
        raise _broken(file, error, content) from None
    return documents


def _bounded(file: str, text: str) -> None:
    """Look at the events before anything is nested: refuse depth and aliases while it costs nothing."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _error(file, _line(event), f"is nested deeper than {MAX_DEPTH} levels", "no rule needs that")
        if isinstance(event, yaml.AliasEvent):
            raise _error(file, _line(event), "uses an alias (*name)", "write the value out")


def _document(file: str, node: yaml.Node) -> Document:
    lines: dict[KeyPath, int] = {}
    data = _value(file, node, (), lines)
    return Document(data, lines, _line(node))


def _value(file: str, node: yaml.Node, at: KeyPath, lines: dict[KeyPath, int]) -> Any:
    lines[at] = lines.get(at, _line(node))
    if isinstance(node, yaml.SequenceNode):
        return [_value(file, item, (*at, index), lines) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return dict(_items(file, node, at, lines))
    return _scalar(node)


def _items(file: str, node: yaml.MappingNode, at: KeyPath, lines: dict[KeyPath, int]) -> Iterator[tuple[str, Any]]:
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _error(file, _line(key), "has a key that is not a text", "put it in quotes")
        path = (*at, key.value)
        if path in lines:
            raise _error(file, _line(key), f"has the key {key.value!r} twice", "remove one")
        lines[path] = _line(key)
        yield key.value, _value(file, value, path, lines)


def _scalar(node: yaml.Node) -> Any:
    text: str = node.value
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("true", "yes", "on") if text.lower() in ("true", "false") else text
    if kind == "int" and text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() and len(text) < 19:
        return int(text)
    return text


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _broken(file: str, error: yaml.YAMLError, content: bytes) -> RuleError:
    if isinstance(error, yaml.reader.ReaderError):  # a control character; it has a place, but no mark
        line = content[: error.position].count(b"\n") + 1
        return _error(file, line, f"is not YAML: {str(error).partition(chr(10))[0]}", "write it as an escape")
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return _error(file, mark.line + 1 if mark is not None else None, f"is not YAML: {what}", "")


def _error(file: str, line: int | None, what: str, remedy: str) -> RuleError:
    return RuleError([Problem(where="", what=what, remedy=remedy, file=file, line=line)])
