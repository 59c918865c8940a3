from __future__ import annotations

import doctest
from pathlib import Path

import attrs
import pytest

from ironpost_core import settings
from ironpost_core.settings import Meta, between, meta_of, non_empty, setting, starts_with


@attrs.frozen(kw_only=True)
class Example:
    name: str = setting(help="Its name.")
    port: int = setting(default=9100, help="The port.", unit="port", check=between(1, 65535), example=80)
    hosts: tuple[str, ...] = setting(factory=tuple, help="Hosts.")
    endpoint: str = setting(default="/m", help="The path.", check=[non_empty(), starts_with("/")])
    folder: Path = setting(default=Path("/var"), help="The folder.")
    url: str = setting(default="", help="An address with a token in it.", secret=True)
    bare: int = 0


def test_a_class_is_made_with_its_defaults() -> None:
    example = Example(name="a")
    assert (example.port, example.hosts, example.folder) == (9100, (), Path("/var"))


def test_direct_construction_is_checked() -> None:
    with pytest.raises(ValueError, match="port: expected a value from 1 to 65535, found 0"):
        Example(name="a", port=0)
    with pytest.raises(ValueError, match="endpoint: expected something that is not empty"):
        Example(name="a", endpoint="")
    with pytest.raises(ValueError, match="endpoint: expected a text that starts with"):
        Example(name="a", endpoint="m")


def test_what_was_said_about_a_key_is_kept() -> None:
    fields = attrs.fields(Example)
    assert meta_of(fields.port) == Meta(help="The port.", unit="port", example=80)
    assert meta_of(fields.bare) == Meta()


def test_a_key_declared_secret_is_not_printed() -> None:
    assert "token" not in repr(Example(name="a", url="https://x/token"))


def test_the_example_in_the_documentation_works() -> None:
    results = doctest.testmod(settings, extraglobs={"attrs": attrs})
    assert (results.attempted, results.failed) == (2, 0)
