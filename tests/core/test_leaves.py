from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest

from ironpost_core.leaves import LEAVES, MisfitError, describe, from_text, leaf_of
from ironpost_core.schema import SCALARS
from ironpost_core.secret import Secret
from ironpost_core.settings import Duration, Size


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@attrs.frozen
class Table:
    key: int = 0


def read(kind: Any, value: object) -> Any:
    leaf = leaf_of(kind)
    assert leaf is not None
    return leaf.read(value)


@pytest.mark.parametrize(
    ("kind", "value", "meant"),
    [
        (bool, True, True),
        (int, 5, 5),
        (float, 5, 5.0),
        (float, 0.5, 0.5),
        (str, "", ""),
        (Path, "/x", Path("/x")),
        (Duration, "5m", Duration(300)),
        (Size, "1KiB", Size(1024)),
        (Size, 7, Size(7)),
        (Secret, "abc", Secret("abc")),
        (Secret, {"file": "/x"}, Secret("/x", "file")),
        (Secret, {"env": "X"}, Secret("X", "env")),
        (IPv4Address, "10.0.0.1", IPv4Address("10.0.0.1")),
        (IPv6Address, "::1", IPv6Address("::1")),
        (IPv4Network, "10.0.0.0/8", IPv4Network("10.0.0.0/8")),
        (IPv6Network, "fe80::/10", IPv6Network("fe80::/10")),
        (Level, "high", Level.HIGH),
        (Literal["a", 1], 1, 1),
    ],
)
def test_each_type_is_read(kind: Any, value: object, meant: object) -> None:
    result = read(kind, value)
    assert result == meant
    assert type(result) is type(meant)


@pytest.mark.parametrize(
    ("kind", "value", "hint"),
    [
        (bool, "false", "remove the quotes"),
        (bool, 1, ""),
        (int, "9100", "remove the quotes"),
        (int, True, ""),
        (int, 1.0, ""),
        (int, "x", ""),
        (float, "0.5", "remove the quotes"),
        (float, True, ""),
        (float, float("nan"), ""),
        (float, float("inf"), ""),
        (float, 10**400, ""),
        (str, 5, "put it in quotes"),
        (str, datetime(2026, 1, 1, tzinfo=UTC), "put it in quotes"),
        (str, [], ""),
        (str, "\udc80", "it is not UTF-8"),
        (Path, "", ""),
        (Path, "a\0b", ""),
        (Path, "~/x", "~ is not expanded; write the whole path"),
        (Duration, 300, 'did you mean "300s"?'),
        (Duration, True, "put it in quotes"),
        (Duration, "5", ""),
        (Size, True, "put it in quotes"),
        (Size, -1, ""),
        (Size, "1M", ""),
        (Secret, "***", "this is what a masked secret looks like; write the secret itself"),
        (Secret, "", "an empty one protects nothing"),
        (Secret, {"file": "/x", "env": "X"}, ""),
        (Secret, {"path": "/x"}, ""),
        (Secret, {"file": 5}, "put it in quotes"),
        (IPv4Address, "10.0.0.256", ""),
        (IPv4Address, 1, "put it in quotes"),
        (IPv4Network, "10.0.0.1/8", 'did you mean "10.0.0.0/8"?'),
        (IPv4Network, "10.0.0.0/64", ""),
        (Level, "hihg", 'did you mean "high"?'),
        (Level, 2, ""),
        (Literal[1], True, ""),
    ],
)
def test_what_does_not_fit_is_refused_with_a_hint(kind: Any, value: object, hint: str) -> None:
    with pytest.raises(MisfitError) as caught:
        read(kind, value)
    assert caught.value.hint == hint


def test_every_scalar_has_a_leaf() -> None:
    assert set(LEAVES) == SCALARS
    assert leaf_of(Table) is None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (int, "a whole number"),
        (int | None, "a whole number"),
        (Level, '"low" or "high"'),
        (IPv4Network | IPv6Network, "an IPv4 network or an IPv6 network"),
        (tuple[int, ...], "a list, each item a whole number"),
        (tuple[Table, ...], "an array of tables"),
        (Table, "a table"),
        (Mapping[str, int], "a table"),
        (Any, "a value"),
    ],
)
def test_each_type_is_described(kind: Any, expected: str) -> None:
    assert describe(kind) == expected


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (bool, "Yes", True),
        (bool, "off", False),
        (bool, "maybe", "maybe"),
        (int, "9100", 9100),
        (int, "tcp://10.0.0.1:9100", "tcp://10.0.0.1:9100"),
        (float, "0.5", 0.5),
        (str, "5", "5"),
        (Size, "5", 5),
        (Size, "5MiB", "5MiB"),
        (Literal["a", 1], "1", 1),
        (Literal["a", 1], "x", "x"),
        (int | str, "x", "x"),
        (int | None, "", None),
        (tuple[int, ...], "1, 2,", [1, 2]),
        (tuple[str, ...], "", []),
    ],
)
def test_a_text_is_turned_into_the_toml_value_it_stands_for(kind: Any, text: str, value: object) -> None:
    assert from_text(kind, text) == value
