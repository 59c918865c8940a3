"""Configuration values as plain data and as TOML, with secrets masked."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs

from ironpost_core.quantities import Duration, Size
from ironpost_core.schema import Field, enum_text, fields_of
from ironpost_core.secret import MASK, Secret
from ironpost_core.wording import dotted, quoted


def as_json(value: Any) -> Any:
    """A tree that `json.dumps` takes: amounts with their units, secrets as their place or masked."""
    cls: Any = type(value)
    if attrs.has(cls):
        return {field.key: shown_value(field, getattr(value, field.name)) for field in fields_of(cls)}
    if isinstance(value, Mapping):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((as_json(each) for each in value), key=str)
    if isinstance(value, (list, tuple)):
        return [as_json(each) for each in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, Secret):
        return dict(value.place) if value.place else MASK
    if isinstance(value, enum.Enum):
        return enum_text(value)
    plain = value is None or (isinstance(value, (bool, int, float, str)) and not isinstance(value, (Duration, Size)))
    return value if plain else str(value)


def shown_value(field: Field, value: Any) -> Any:
    """A key's value as plain data, masked when the key was declared secret."""
    return MASK if field.meta.secret and value else as_json(value)


def toml(plain: Any) -> str:
    """One TOML value of plain data; tables are written inline, their keys without a value are left out."""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, str):
        return quoted(plain)
    if isinstance(plain, Mapping):
        pairs = [f"{dotted([key])} = {toml(each)}" for key, each in plain.items() if each is not None]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(plain, list):
        return f"[{', '.join(map(toml, plain))}]"
    return repr(plain)
