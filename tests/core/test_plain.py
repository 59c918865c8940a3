from __future__ import annotations

import enum
import json
import tomllib
from collections.abc import Mapping
from datetime import date
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironpost_core.plain import as_json, toml
from ironpost_core.settings import Duration, Secret, Size, setting


class Level(enum.Enum):
    LOW = "low"


@attrs.frozen(kw_only=True)
class Config:
    url: str = setting(default="https://x/token", help="An address.", secret=True)
    except_: int | None = setting(default=None, help="A word of Python.")
    labels: Mapping[str, Any] = setting(factory=dict, help="Labels.")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (True, True),
        (5, 5),
        (0.5, 0.5),
        ("x", "x"),
        (None, None),
        (Duration(300), "5m"),
        (Size(1024), "1KiB"),
        (Path("/x"), "/x"),
        (IPv4Network("10.0.0.0/8"), "10.0.0.0/8"),
        (date(2025, 1, 2), "2025-01-02"),
        (Level.LOW, "low"),
        (Secret("hunter2"), "***"),
        (Secret("/x", "file"), {"file": "/x"}),
        (Secret("X", "env"), {"env": "X"}),
        ((1, Duration(1)), [1, "1s"]),
        (frozenset({"b", "a"}), ["a", "b"]),
        (Config(labels={"a": Secret("x")}), {"url": "***", "except": None, "labels": {"a": "***"}}),
        (Config(url=""), {"url": "", "except": None, "labels": {}}),
    ],
)
def test_each_value_has_a_plain_form(value: object, plain: object) -> None:
    assert as_json(value) == plain
    assert type(as_json(value)) is type(plain)
    json.dumps(as_json(value))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@given(PLAIN)
def test_plain_data_survives_being_written_as_toml(plain: Any) -> None:
    assert tomllib.loads(f"key = {toml(plain)}")["key"] == plain


def test_keys_without_a_value_are_left_out() -> None:
    assert toml({"a": None, "b": 1}) == "{ b = 1 }"
