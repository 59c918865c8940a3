from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal, Optional

import attrs
import pytest

from ironpost_core import schema
from ironpost_core.settings import Duration, Secret, setting


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Colour(enum.Enum):
    RED = "dark-red"


@attrs.frozen(kw_only=True)
class Inner:
    type: Literal["a", "b"] = setting(default="a", help="Which.")
    depth: int = setting(default=3, help="How deep.")


@attrs.frozen(kw_only=True)
class Outer:
    name: str = setting(help="Its name.")
    except_: tuple[str, ...] = setting(factory=tuple, help="What not.")
    inner: Inner = setting(factory=Inner, help="A table.")
    maybe: Inner | None = setting(default=None, help="A table or none.")
    many: tuple[Inner, ...] = setting(default=(), help="Tables.")
    computed: int = attrs.field(init=False, default=1)


def test_keys_are_the_attributes_without_a_trailing_underscore() -> None:
    assert [field.key for field in schema.fields_of(Outer)] == ["name", "except", "inner", "maybe", "many"]
    assert [field.name for field in schema.fields_of(Outer)][1] == "except_"


def test_defaults() -> None:
    name, except_, inner, maybe, _ = schema.fields_of(Outer)
    assert name.required
    assert name.default() is None
    assert not except_.required
    assert except_.default() == ()
    assert inner.default() == Inner()
    assert maybe.default() is None


def test_keys_of_tables_have_their_path() -> None:
    paths = [path for path, _ in schema.keys_of(Outer, ("outer",))]
    assert paths == [
        ("outer", "name"),
        ("outer", "except"),
        ("outer", "inner", "type"),
        ("outer", "inner", "depth"),
        ("outer", "maybe", "type"),
        ("outer", "maybe", "depth"),
        ("outer", "many"),
    ]


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        (tuple[int, ...], int),
        (list[int], int),
        (frozenset[str], str),
        (Sequence[str], str),
        (tuple[int, ...] | None, int),
        (tuple[int, str], None),
        (tuple[int], None),
        (int, None),
        (int | tuple[int, ...], None),
        (Mapping[str, int], None),
    ],
)
def test_items_of_lists(kind: Any, item: Any) -> None:
    assert schema.item_of(kind) is item


def test_values_of_tables_with_free_keys() -> None:
    assert schema.value_of(Mapping[str, int]) is int
    assert schema.value_of(dict[str, str]) is str
    assert schema.value_of(int) is None


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        (int, True),
        (Optional[int], True),  # noqa: UP045  # plugin authors write this, too
        (Literal["a"], True),
        (Level, True),
        (IPv4Address | IPv6Address, True),
        (tuple[Duration, ...], True),
        (Secret | None, True),
        (Inner, False),
        (tuple[Inner, ...], False),
        (Mapping[str, str], False),
        (Any, False),
        (int | tuple[int, ...], False),
    ],
)
def test_what_a_single_text_can_set(kind: Any, plain: bool) -> None:
    assert schema.is_plain(kind) is plain


def test_unions() -> None:
    assert schema.members(int | str | None) == (int, str)
    assert schema.is_optional(int | None)
    assert not schema.is_optional(int)
    assert schema.table_of(Inner | None) is Inner
    assert schema.table_of(int) is None
    assert schema.table_of(Inner | Outer) is None


def test_tags() -> None:
    assert schema.tags_of(Inner) == ("a", "b")
    assert schema.tags_of(Outer) == ()


def test_enumerations_are_written_by_value_or_by_name() -> None:
    assert list(schema.enum_names(Level)) == ["low", "high"]
    assert list(schema.enum_names(Colour)) == ["dark-red"]
