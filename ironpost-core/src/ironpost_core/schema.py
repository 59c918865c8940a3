"""What a configuration class says about itself: its keys, their types, and which of them are plain values."""

from __future__ import annotations

import enum
import functools
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

from ironpost_core.settings import Duration, Meta, Secret, Size, meta_of

if TYPE_CHECKING:
    from ironpost_core.former import FormerKeys

C_co = TypeVar("C_co", covariant=True)
SCALARS: Final = frozenset(
    {bool, int, float, str, Path, Duration, Size, Secret, IPv4Address, IPv4Network, IPv6Address, IPv6Network}
)


@attrs.frozen
class Section(Generic[C_co]):
    """One section of the configuration file.

    Attributes:
        name: as it stands in brackets.
        type: the attrs class of its values.
        help: a line for operators.
        former: puts keys that the section had once into today's terms; see `ironpost_core.former`.
    """

    name: str
    type: type[C_co]
    help: str = ""
    former: Callable[[FormerKeys], object] | None = None


@attrs.frozen(kw_only=True)
class Field:
    """One key of a configuration class."""

    key: str
    kind: Any
    attribute: attrs.Attribute[Any]
    meta: Meta

    @property
    def name(self) -> str:
        """The attribute's name."""
        return self.attribute.name

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.attribute.default is attrs.NOTHING

    def default(self) -> Any:
        """The default, newly made when a factory makes it; None for a required key."""
        default: Any = self.attribute.default
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, though typed as a function
            return default.factory()
        return None if self.required else default


def fields_of(cls: Any) -> tuple[Field, ...]:
    """The keys of an attrs class in their order of declaration."""
    return _fields_of(cls)


@functools.cache
def _fields_of(cls: Any) -> tuple[Field, ...]:
    hints = get_type_hints(cls)
    return tuple(
        Field(
            key=attribute.name.removesuffix("_"),
            kind=hints[attribute.name],
            attribute=attribute,
            meta=meta_of(attribute),
        )
        for attribute in attrs.fields(cls)
        if attribute.init
    )


def members(kind: Any) -> tuple[Any, ...]:
    """The types a union allows, without None; for another type just that."""
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(member for member in get_args(kind) if member is not type(None))
    return (kind,)


def is_optional(kind: Any) -> bool:
    """Whether None is allowed."""
    return type(None) in get_args(kind)


def item_of(kind: Any) -> Any | None:
    """The type of the items when `kind` is a list type (or an optional one), else None."""
    only = members(kind)
    if len(only) != 1:
        return None
    origin, arguments = get_origin(only[0]), get_args(only[0])
    if origin is tuple:
        return arguments[0] if len(arguments) == 2 and arguments[1] is Ellipsis else None
    return arguments[0] if origin in (list, frozenset, Sequence) else None


def value_of(kind: Any) -> Any | None:
    """The type of the values when `kind` is a table with free keys, else None."""
    return get_args(kind)[1] if get_origin(kind) in (dict, Mapping) else None


def is_enum(kind: Any) -> bool:
    """Whether `kind` is an enumeration."""
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def is_scalar(kind: Any) -> bool:
    """Whether a single TOML value holds it, or one of its forms (a secret's text)."""
    return all(
        (isinstance(member, type) and member in SCALARS) or is_enum(member) or get_origin(member) is Literal
        for member in members(kind)
    )


def is_plain(kind: Any) -> bool:
    """Whether it is a scalar or a list of scalars: what a variable or an option can set."""
    item = item_of(kind)
    return is_scalar(kind) or (item is not None and is_scalar(item))


def table_of(kind: Any) -> type[Any] | None:
    """The attrs class when `kind` is exactly one (or an optional one), else None."""
    only = members(kind)
    return only[0] if len(only) == 1 and is_table(only[0]) else None


def is_table(kind: Any) -> bool:
    """Whether `kind` is an attrs class."""
    return isinstance(kind, type) and attrs.has(kind)


def keys_of(cls: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Field]]:
    """Every key of a class and of the tables in it, with its path; arrays of tables are one key."""
    for field in fields_of(cls):
        table = table_of(field.kind)
        if table is None:
            yield (*at, field.key), field
        else:
            yield from keys_of(table, (*at, field.key))


def tags_of(cls: Any) -> tuple[str, ...]:
    """The values of the `type` key that choose this class in a union of tables."""
    return next((get_args(field.kind) for field in fields_of(cls) if field.key == "type"), ())


def enum_names(kind: type[enum.Enum]) -> Mapping[str, enum.Enum]:
    """What a user writes → member: the values when they are texts, else the names in lower case."""
    return {enum_text(member): member for member in kind}


def enum_text(member: enum.Enum) -> str:
    """What a user writes for a member."""
    return member.value if isinstance(member.value, str) else member.name.lower()
