"""Single values: how each type is read from TOML and from a text, strictly, and what to say when it can't be."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Mapping
from datetime import date, time
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

import attrs

from ironpost_core.quantities import Duration, Size
from ironpost_core.schema import enum_names, is_enum, is_optional, is_table, item_of, members, value_of
from ironpost_core.secret import MASK, Secret
from ironpost_core.wording import any_of, did_you_mean, quoted

T = TypeVar("T")
_WORDS: Final = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


class MisfitError(ValueError):
    """A value is not of the type; `hint` says what the user may have meant."""

    def __init__(self, hint: str = "") -> None:
        super().__init__(hint)
        self.hint = hint


@attrs.frozen
class Leaf:
    """One type: what to expect, how to read a TOML value, and which TOML value a text stands for."""

    expected: str
    read: Callable[[Any], Any]
    from_text: Callable[[str], object] = str


def _number_in(text: str) -> object:
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    quotes = isinstance(value, str) and value in ("true", "false")
    raise MisfitError("remove the quotes" if quotes else "")


def _int(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    quotes = isinstance(value, str) and isinstance(_number_in(value), int)
    raise MisfitError("remove the quotes" if quotes else "")


def _float(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            raise MisfitError from None
        if math.isfinite(number):
            return number
        raise MisfitError
    quotes = isinstance(value, str) and not isinstance(_number_in(value), str)
    raise MisfitError("remove the quotes" if quotes else "")


def _str(value: object) -> str:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise MisfitError("it is not UTF-8") from None
        return value
    quotes = isinstance(value, (bool, int, float, date, time))  # a datetime is a date
    raise MisfitError("put it in quotes" if quotes else "")


def _path(value: object) -> Path:
    text = _str(value)
    if not text or "\0" in text:
        raise MisfitError
    if text.startswith("~"):
        raise MisfitError("~ is not expanded; write the whole path")
    return Path(text)


def _duration(value: object) -> Duration:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise MisfitError(f'did you mean "{value}s"?')
    return _parsed(Duration.parse, _str(value))


def _size(value: object) -> Size:
    if isinstance(value, int) and not isinstance(value, bool):
        return _parsed(Size, value)
    return _parsed(Size.parse, _str(value))


def _secret(value: object) -> Secret:
    if isinstance(value, Mapping):
        if len(value) == 1 and ("file" in value or "env" in value):
            ((kind, source),) = value.items()
            return Secret(str(_path(source)), kind)
        raise MisfitError
    text = _str(value)
    if text == MASK:
        raise MisfitError("this is what a masked secret looks like; write the secret itself")
    if not text:
        raise MisfitError("an empty one protects nothing")
    return Secret(text)


def _network(kind: Callable[..., Any]) -> Callable[[object], Any]:
    def read(value: object) -> Any:
        text = _str(value)
        try:
            return kind(text)
        except ValueError:
            widened = _parsed(lambda given: kind(given, strict=False), text)
        raise MisfitError(f"did you mean {quoted(str(widened))}?")

    return read


def _parsed(parse: Callable[[Any], T], value: int | str) -> T:
    try:
        return parse(value)
    except ValueError:
        raise MisfitError from None


def _address(kind: Callable[[str], Any]) -> Callable[[object], Any]:
    return lambda value: _parsed(kind, _str(value))


LEAVES: Final[Mapping[Any, Leaf]] = {
    bool: Leaf("true or false", _bool, lambda text: _WORDS.get(text.strip().lower(), text)),
    int: Leaf("a whole number", _int, _number_in),
    float: Leaf("a number", _float, _number_in),
    str: Leaf("a text", _str),
    Path: Leaf("a path", _path),
    Duration: Leaf(Duration.EXPECTED, _duration),
    Size: Leaf(Size.EXPECTED, _size, _number_in),
    Secret: Leaf(Secret.EXPECTED, _secret),
    ipaddress.IPv4Address: Leaf("an IPv4 address", _address(ipaddress.IPv4Address)),
    ipaddress.IPv6Address: Leaf("an IPv6 address", _address(ipaddress.IPv6Address)),
    ipaddress.IPv4Network: Leaf("an IPv4 network", _network(ipaddress.IPv4Network)),
    ipaddress.IPv6Network: Leaf("an IPv6 network", _network(ipaddress.IPv6Network)),
}


def leaf_of(kind: Any) -> Leaf | None:
    """How a type of single values is read, or None when it isn't one."""
    if is_enum(kind):
        return _choice(enum_names(kind))
    if get_origin(kind) is Literal:
        return _choice({choice: choice for choice in get_args(kind)})
    return LEAVES.get(kind)


def _choice(choices: Mapping[Any, Any]) -> Leaf:
    def read(value: object) -> Any:
        for written, meant in choices.items():
            if type(written) is type(value) and written == value:
                return meant
        hint = did_you_mean(value, [str(written) for written in choices]) if isinstance(value, str) else ""
        raise MisfitError(hint)

    def from_text(text: str) -> object:
        return next((written for written in choices if str(written) == text), text)

    return Leaf(any_of(choices), read, from_text)


def describe(kind: Any) -> str:
    """What a user has to write for a type."""
    if (item := item_of(kind)) is not None:
        return "an array of tables" if all(map(is_table, members(item))) else f"a list, each item {describe(item)}"
    several = members(kind)
    if len(several) > 1:
        return " or ".join(dict.fromkeys(describe(member) for member in several))
    leaf = leaf_of(several[0])
    if leaf is not None:
        return leaf.expected
    return "a table" if is_table(several[0]) or value_of(several[0]) else "a value"


def from_text(kind: Any, text: str) -> object:
    """The TOML value that a text from a variable or an option stands for; lists are comma-separated."""
    if is_optional(kind) and not text:
        return None
    item = item_of(kind)
    if item is not None:
        return [from_text(item, part.strip()) for part in text.split(",") if part.strip()]
    for leaf in filter(None, map(leaf_of, members(kind))):
        value = leaf.from_text(text)
        try:
            leaf.read(value)
        except MisfitError:
            continue
        return value
    return text
