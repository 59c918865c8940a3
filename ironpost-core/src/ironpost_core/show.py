"""Configuration for people: the example file, the effective configuration, the reference in the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

import attrs

from ironpost_core.environment import name_of
from ironpost_core.leaves import describe
from ironpost_core.plain import as_json, shown_value, toml
from ironpost_core.schema import Field, Section, fields_of, is_plain, is_table, item_of, members
from ironpost_core.wording import dotted

__all__ = ["as_json", "reference_markdown", "render_toml"]


def render_toml(sections: Sequence[Section[Any]], values: Mapping[str, Any], *, comments: bool) -> str:
    """The configuration as a TOML file.

    Args:
        sections: in the order in which they are written.
        values: section → configuration.
        comments: True for a file to edit: every key with its help, keys at their default commented out as ``#key``
            (``# key`` where there is no default or it is an example). False for the effective values alone.
    """
    blocks: list[str] = []
    for section in sections:
        value = values.get(section.name)
        if comments:
            lines = [f"# {section.help}"] if section.help else []
            lines += [f"[{section.name}]", *_commented(section.type, value, None, (section.name,))]
            blocks.append("\n".join(lines))
        elif value is not None:
            blocks.append("\n".join(_table(value, (section.name,), "[{}]")))
    return "\n\n".join(blocks) + "\n" if blocks else ""


def _table(value: Any, path: tuple[str, ...], header: str) -> list[str]:
    """A table with its keys, then the tables and arrays of tables in it."""
    lines = [header.format(dotted(path))]
    inner: list[str] = []
    for field in fields_of(type(value)):
        each = getattr(value, field.name)
        if each is None:
            continue
        tables = _tables(each, (*path, field.key))
        if tables:
            inner += tables
        else:
            lines.append(_pair(field, shown_value(field, each)))
    return lines + inner


def _tables(value: Any, path: tuple[str, ...]) -> list[str]:
    """The lines of a value that is one table or several; none for other values."""
    if attrs.has(type(value)):
        return ["", *_table(value, path, "[{}]")]
    if isinstance(value, (list, tuple)) and value and all(attrs.has(type(each)) for each in value):
        return [line for each in value for line in ["", *_table(each, path, "[[{}]]")]]
    return []


def _pair(field: Field, plain: Any) -> str:
    return f"{dotted([field.key])} = {toml(plain)}"


def _commented(cls: Any, value: Any, base: Any, path: tuple[str, ...]) -> list[str]:
    """The body of a table for a file to edit; `base` holds its defaults where they aren't the class's own."""
    lines: list[str] = []
    inner: list[str] = []
    for field in fields_of(cls):
        at = (*path, field.key)
        default = field.default() if base is None else getattr(base, field.name)
        current = default if value is None else getattr(value, field.name)
        if _kinds_of_tables(field):
            inner += ["", *_help(field, ()), *_commented_tables(field, current, default, at)]
        else:
            lines += ["", *_help(field, at), _commented_pair(field, current, default)]
    return lines + inner


def _commented_tables(field: Field, current: Any, default: Any, at: tuple[str, ...]) -> list[str]:
    if attrs.has(type(current)):
        base = default if type(default) is type(current) else None
        return [f"[{dotted(at)}]", *_commented(type(current), current, base, at)]
    if current != default:
        return _tables(current, at)[1:]
    header = "[[{}]]" if item_of(field.kind) is not None else "[{}]"
    examples = [_example(cls, at, header) for cls in _kinds_of_tables(field)]
    return [line for example in examples for line in ["", *example]][1:]


def _kinds_of_tables(field: Field) -> tuple[Any, ...]:
    """The classes of the tables a key holds, one or in an array; none for a key of another kind."""
    item = item_of(field.kind)
    return tuple(filter(is_table, members(field.kind if item is None else item)))


def _commented_pair(field: Field, current: Any, default: Any) -> str:
    if current is None:
        return f"# {_pair(field, shown_value(field, _sample(field)))}"
    text = _pair(field, shown_value(field, current))
    return text if current != default else f"#{text}"


def _example(cls: Any, at: tuple[str, ...], header: str, around: tuple[Any, ...] = ()) -> list[str]:
    """A table as comments only; a key's help stands behind it. One that can hold itself is shown once."""
    lines = [f"# {header.format(dotted(at))}"]
    inner: list[str] = []
    for field in fields_of(cls):
        classes = _kinds_of_tables(field)
        if not classes:
            note = "" if field.key == "type" else f"  # {field.meta.help}" + (" Required." if field.required else "")
            lines.append(f"# {_pair(field, shown_value(field, _sample(field)))}{note}")
        for each in classes:
            if each not in (*around, cls):
                nested = "[[{}]]" if item_of(field.kind) is not None else "[{}]"
                inner += _example(each, (*at, field.key), nested, (*around, cls))
    return lines + inner


def _sample(field: Field) -> Any:
    """A value to show for a key: its example, its default, or something of its shape."""
    for known in (field.meta.example, field.default()):
        if known is not None:
            return known
    item = item_of(field.kind)
    kind = members(field.kind if item is None else item)[0]
    sample = get_args(kind)[0] if get_origin(kind) is not None and get_args(kind) else "…"
    return sample if item is None else [sample]


def _help(field: Field, at: tuple[str, ...]) -> list[str]:
    lines = [f"# {line}" for line in field.meta.help.splitlines()]
    if field.meta.unit:
        lines.append(f"# Unit: {field.meta.unit}.")
    if at and is_plain(field.kind):
        lines.append(f"# Environment: {name_of(at)}")
    return lines


def reference_markdown(sections: Sequence[Section[Any]]) -> str:
    """The sections' keys as Markdown tables, for the documentation."""
    blocks = []
    for section in sections:
        blocks += [f"## `[{section.name}]`", *([section.help] if section.help else [])]
        blocks += _reference(section.type, (section.name,), variables=True)
    return "\n\n".join(blocks) + "\n"


def _reference(cls: Any, path: tuple[str, ...], *, variables: bool, around: tuple[Any, ...] = ()) -> Iterator[str]:
    rows = ["| key | type | default | unit | environment | meaning |", "|---|---|---|---|---|---|"]
    rows += [_row(field, (*path, field.key), variables=variables) for field in fields_of(cls)]
    yield "\n".join(rows)
    for field in fields_of(cls):
        is_array = item_of(field.kind) is not None
        at = dotted((*path, field.key))
        classes = _kinds_of_tables(field)
        for each in classes:
            if each in (*around, cls):  # a table that can hold itself; its keys are those above
                continue
            tag = next((kind.kind for kind in fields_of(each) if kind.key == "type"), None)
            title = f"### `[[{at}]]`" if is_array else f"### `[{at}]`"
            yield title + (f" with `type` {describe(tag)}" if tag is not None and len(classes) > 1 else "")
            yield from _reference(each, (*path, field.key), variables=variables and not is_array, around=(*around, cls))


def _row(field: Field, at: tuple[str, ...], *, variables: bool) -> str:
    default = field.default()
    shown = "required" if field.required else "not set" if default is None else f"`{toml(shown_value(field, default))}`"
    variable = f"`{name_of(at)}`" if variables and is_plain(field.kind) else ""
    cells = [f"`{field.key}`", describe(field.kind), shown, field.meta.unit, variable, field.meta.help]
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
