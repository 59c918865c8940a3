from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from ironpost_core.settings import (
    Duration,
    UnfitError,
    Validator,
    between,
    each,
    matches,
    non_empty,
    one_of,
    starts_with,
    together_with,
    when_enabled,
)


def make(value: object, *checks: Validator, **others: object) -> object:
    cls = attrs.make_class("Thing", [*others, "key"], frozen=True)
    attribute = attrs.fields(cls).key
    thing = cls(**others, key=value)
    for check in checks:
        check(thing, attribute, value)
    return thing


GOOD: list[tuple[Validator, Any]] = [
    (between(1, 3), 1),
    (between(1, 3), 3),
    (non_empty(), "x"),
    (non_empty(), [0]),
    (starts_with("/"), "/metrics"),
    (matches("lower case", "[a-z]+"), "abc"),
    (one_of("a", 2), 2),
    (each(between(1, 3)), [1, 2]),
    (each(between(1, 3)), {"x": 1}),
    (each(non_empty()), None),
    *[(check, None) for check in (between(1, 3), non_empty(), starts_with("/"), matches("", "a"), one_of(1))],
]


@pytest.mark.parametrize(("check", "value"), GOOD)
def test_what_is_allowed_passes_and_none_is_never_checked(check: Validator, value: object) -> None:
    make(value, check)


BAD: list[tuple[Validator, Any, str]] = [
    (between(1, 65535), 0, "key: expected a value from 1 to 65535, found 0"),
    (between(0, 1), float("nan"), "key: expected a value from 0 to 1, found nan"),
    (between(Duration(1), Duration(60)), Duration(90), "key: expected a value from 1s to 1m, found 90s"),
    (non_empty(), " ", 'key: expected something that is not empty, found " "'),
    (non_empty(), (), "key: expected something that is not empty, found an empty list"),
    (starts_with("/"), "x", 'key: expected a text that starts with "/", found "x"'),
    (matches("lower-case letters", "[a-z]+"), "a1", 'key: expected lower-case letters, found "a1"'),
    (one_of("oldest", "newest"), "newst", 'key: expected "oldest" or "newest", found "newst"; did you mean "newest"?'),
]


@pytest.mark.parametrize(("check", "value", "message"), BAD)
def test_what_is_not_allowed_is_answered_with_what_was_expected(check: Validator, value: object, message: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        make(value, check)
    assert str(caught.value) == message


@pytest.mark.parametrize(("value", "at"), [([1, 9], (1,)), ({"x": 1, "y": 9}, ("y",))])
def test_an_item_is_named_by_its_place(value: list[int] | Mapping[str, int], at: tuple[object, ...]) -> None:
    with pytest.raises(UnfitError) as caught:
        make(value, each(between(1, 3)))
    assert caught.value.at == at
    assert caught.value.found == 9


def test_an_authors_own_message_about_an_item_names_the_item() -> None:
    def odd(instance: object, attribute: object, value: int) -> None:
        if value % 2 == 0:
            raise ValueError("must be odd")

    with pytest.raises(ValueError, match=r"^4: must be odd$"):
        make([1, 4], each(odd))


def test_checks_for_enabled_sections_rest_when_it_is_not() -> None:
    check = when_enabled(between(1, 3), between(2, 3))
    make(9, check, enabled=False)
    for others in ({"enabled": True}, {}):
        with pytest.raises(ValueError, match="from 2 to 3"):
            make(1, check, **others)


def test_two_settings_that_belong_together() -> None:
    check = together_with("other")
    make("a", check, other="b")
    make(None, check, other=None)
    for value, other in (("a", None), (None, "b")):
        with pytest.raises(ValueError, match=r"^key and other are only of use together: set both or neither$"):
            make(value, check, other=other)
