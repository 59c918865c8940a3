"""Checks for settings. Each raises a ValueError that says what was expected; None is never checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from ironpost_core.wording import any_of, did_you_mean, joined, quoted, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], object]


class UnfitError(ValueError):
    """A value is of the right type, but not one of those allowed.

    Attributes:
        found: the value.
        expected: what is allowed, as the end of "expected …".
        hint: what the user may have meant, or nothing.
        at: where it stands inside the setting, when that is a list or a table.
    """

    def __init__(
        self, name: str, found: object, expected: str, *, hint: str = "", at: tuple[str | int, ...] = ()
    ) -> None:
        super().__init__(joined(f"{name}: expected {expected}, found {shown(found)}", hint))
        self.name = name
        self.found = found
        self.expected = expected
        self.hint = hint
        self.at = at


def between(lo: float, hi: float) -> Validator:
    """The value is at least `lo` and at most `hi`."""

    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None and not lo <= value <= hi:
            raise UnfitError(attribute.name, value, f"a value from {lo} to {hi}")

    return check


def non_empty() -> Validator:
    """The text holds more than blanks, the list or table at least one item."""

    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None and not (value.strip() if isinstance(value, str) else value):
            raise UnfitError(attribute.name, value, "something that is not empty")

    return check


def starts_with(prefix: str) -> Validator:
    """The text starts with `prefix`."""

    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None and not str(value).startswith(prefix):
            raise UnfitError(attribute.name, value, f"a text that starts with {quoted(prefix)}")

    return check


def matches(description: str, regex: str | re.Pattern[str]) -> Validator:
    """The whole text matches `regex`; `description` says so in words, after "expected"."""
    pattern = re.compile(regex)

    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None and not pattern.fullmatch(str(value)):
            raise UnfitError(attribute.name, value, description)

    return check


def one_of(*allowed: object) -> Validator:
    """The value is one of those given."""

    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None and value not in allowed:
            hint = did_you_mean(str(value), [str(choice) for choice in allowed])
            raise UnfitError(attribute.name, value, any_of(allowed), hint=hint)

    return check


def each(*validators: Validator) -> Validator:
    """Every item of the list, or every value of the table, passes all `validators`."""

    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        items: Iterable[tuple[str | int, Any]] = value.items() if isinstance(value, Mapping) else enumerate(value or ())
        for key, item in items:
            for validator in validators:
                _check_item(validator, instance, attribute, key, item)

    return check


def _check_item(
    validator: Validator, instance: object, attribute: attrs.Attribute[Any], key: str | int, item: object
) -> None:
    try:
        validator(instance, attribute, item)
    except UnfitError as error:
        at = (key, *error.at)
        raise UnfitError(error.name, error.found, error.expected, hint=error.hint, at=at) from None
    except ValueError as error:
        raise ValueError(f"{shown(item)}: {error}") from None


def when_enabled(*validators: Validator) -> Validator:
    """All `validators`, but only when the section's `enabled` is true or it has none."""

    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if getattr(instance, "enabled", True):
            for validator in validators:
                validator(instance, attribute, value)

    return check


def together_with(other: str) -> Validator:
    """This setting and `other` are both set or both left out."""

    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if (value is None) != (getattr(instance, other) is None):
            raise ValueError(f"{attribute.name} and {other} are only of use together: set both or neither")

    return check
