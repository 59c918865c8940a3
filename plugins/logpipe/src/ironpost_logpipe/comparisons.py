"""How a field's text is compared with what a rule says: one entry for each modifier but `regex`.

Each reads its operand from what is written, once, and makes a function of the field's bytes of it. None ever raises on
a line, and none takes more than linear time.
"""

from __future__ import annotations

import functools
import ipaddress
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import attrs

from ironpost_core.alerts import canonical_address
from ironpost_core.settings import UnfitError
from ironpost_core.wording import quoted
from ironpost_logpipe.patterns import compile_pattern

Scalar: TypeAlias = str | int | float
Value: TypeAlias = Scalar | tuple[Scalar, ...]
#: Reads the text that is tested from an event, or from what groups caught.
Read: TypeAlias = Callable[[Any], bytes]
#: The second argument is not used: so a test of events is a condition's test as it is, without a call in between.
Compare: TypeAlias = Callable[[Any, Any], bool]

#: A longer text is no number: converting it would take more than linear time.
_LONGEST_NUMBER = 64
#: No address is longer, its zone included; a longer text must not fill the cache.
_LONGEST_ADDRESS = 64
_MOST_VALUES = 10_000
_NUMBER = compile_pattern(r"\A[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?\z")


@attrs.frozen(kw_only=True)
class Comparison:
    """One modifier.

    Attributes:
        read: the operand that a written value stands for; a ValueError says what was expected.
        make: how the text is read and the operand → a function that says whether it fits.
        texts: the operand → texts of which one stands in every field's text that fits; none when none is certain.
        why_not: the field's text and the operand → why the one does not fit the other.
        folds: whether `ignore_case` can be used.
    """

    read: Callable[[Value | None], Any]
    make: Callable[[Read, Any], Compare]
    texts: Callable[[Any], tuple[bytes, ...]]
    why_not: Callable[[bytes, Any], str]
    folds: bool = False

    def folded(self, read: Read, operand: Any) -> Compare:
        """As `make`, but A to Z count as a to z on both sides; no other character is folded."""
        lower = operand.lower() if isinstance(operand, bytes) else frozenset(text.lower() for text in operand)
        return self.make(lambda subject: read(subject).lower(), lower)


def number_in(text: bytes) -> int | float | None:
    """The number that a text is: digits with a sign, a fraction, an exponent if any. None for anything else."""
    if len(text) > _LONGEST_NUMBER:
        return None
    if text.isdigit():
        return int(text)
    if _NUMBER.search(text) is None:
        return None
    return int(text) if text[1:].isdigit() else float(text)


def address_number(text: bytes) -> tuple[int, int] | None:
    """Version and number of the address that a text is, mapped ones unwrapped; None for anything else."""
    return _address_number(text) if len(text) <= _LONGEST_ADDRESS else None


@functools.lru_cache(maxsize=16_384)
def _address_number(text: bytes) -> tuple[int, int] | None:
    try:
        address = ipaddress.ip_address(canonical_address(text.decode("ascii")))
    except ValueError:
        return None
    return address.version, int(address)


# -- what is written → operand ------------------------------------------------------------------------------------


def _unfit(value: object, expected: str, hint: str = "", at: tuple[int, ...] = ()) -> UnfitError:
    return UnfitError("value", value, expected, hint=hint, at=at)


def _text(value: Value | None, at: tuple[int, ...] = ()) -> bytes:
    if isinstance(value, tuple):
        raise _unfit(value, "one text", "for several, use the modifier in, or any around several conditions", at)
    if isinstance(value, float):
        raise _unfit(value, "a text or a whole number", "put it in quotes", at)
    return str(_given(value)).encode("utf-8")


def _given(value: Value | None) -> Value:
    if value is None:
        raise ValueError("value is missing: what the field is compared with")
    return value


def _some_text(value: Value | None) -> bytes:
    text = _text(value)
    if not text:
        raise ValueError("an empty value holds for every line here; for a field that is there, use exists")
    return text


def _number(value: Value | None) -> int | float:
    if isinstance(_given(value), (int, float)):
        return value  # type: ignore[return-value]  # the line above says so
    found = number_in(value.encode("utf-8")) if isinstance(value, str) else None
    if found is None:
        raise _unfit(value, "a number")
    return found


def _several(value: Value | None) -> tuple[Scalar, ...]:
    values = _given(value)
    values = values if isinstance(values, tuple) else (values,)
    if not 0 < len(values) <= _MOST_VALUES:
        raise _unfit(value, f"one to {_MOST_VALUES} values")
    return values


def _texts(value: Value | None) -> frozenset[bytes]:
    if value is not None and not isinstance(value, tuple):
        raise _unfit(value, "a list of texts", "write it in brackets: […]")
    return frozenset(_text(each, (index,)) for index, each in enumerate(_several(value)))


def _nothing(value: Value | None) -> None:
    if value is not None:
        raise ValueError("exists takes no value; for a field that is missing, put it under not")


@attrs.frozen
class Networks:
    """Networks, grouped so that a test costs one look-up for each length of a prefix, however many there are."""

    written: tuple[str, ...]
    groups: tuple[tuple[int, int, frozenset[int]], ...]

    def __contains__(self, address: tuple[int, int]) -> bool:
        version, number = address
        return any(wanted == version and number >> shift in prefixes for wanted, shift, prefixes in self.groups)


def _networks(value: Value | None) -> Networks:
    listed = isinstance(value, tuple)
    found: dict[tuple[int, int], set[int]] = {}
    for index, each in enumerate(_several(value)):
        network = _network(each, (index,) if listed else ())
        shift = network.max_prefixlen - network.prefixlen
        found.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)
    groups = tuple((version, shift, frozenset(prefixes)) for (version, shift), prefixes in found.items())
    return Networks(tuple(map(str, _several(value))), groups)


def _network(value: Scalar, at: tuple[int, ...]) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(value if isinstance(value, str) else "")
    except ValueError:
        raise _unfit(value, "a network such as 10.0.0.0/8, or an address", _widened(value), at) from None
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def _widened(value: Scalar) -> str:
    try:
        return f"did you mean {quoted(str(ipaddress.ip_network(str(value), strict=False)))}?"
    except ValueError:
        return ""


# -- operand → test -----------------------------------------------------------------------------------------------


def _inside(read: Read, networks: Networks) -> Compare:
    def compare(subject: Any, _: Any) -> bool:
        address = address_number(read(subject))
        return address is not None and address in networks

    return compare


def _ordered(order: Callable[[Any, Any], bool]) -> Callable[[Read, int | float], Compare]:
    def make(read: Read, limit: int | float) -> Compare:
        def compare(subject: Any, _: Any) -> bool:
            number = number_in(read(subject))
            return number is not None and order(number, limit)

        return compare

    return make


# -- words --------------------------------------------------------------------------------------------------------


def _shown(text: bytes) -> str:
    return repr(text.decode("utf-8", "backslashreplace"))


def _why(verb: str) -> Callable[[bytes, bytes], str]:
    return lambda text, operand: f"{_shown(text)} {verb} {_shown(operand)}"


def _why_not_among(text: bytes, operand: frozenset[bytes]) -> str:
    named = ", ".join(map(_shown, sorted(operand)[:5]))
    return f"{_shown(text)} is none of {named}{' …' if len(operand) > 5 else ''}"


def _why_not_inside(text: bytes, operand: Networks) -> str:
    if address_number(text) is None:
        return f"{_shown(text)} is no address"
    named = ", ".join(operand.written[:5])
    return f"{text.decode('ascii')} is not in {named}{' …' if len(operand.written) > 5 else ''}"


def _compared(sign: str, order: Callable[[Any, Any], bool]) -> Comparison:
    def why_not(text: bytes, limit: int | float) -> str:
        number = number_in(text)
        return f"{_shown(text)} is no number" if number is None else f"{number} is not {sign} {limit}"

    return Comparison(read=_number, make=_ordered(order), texts=lambda _: (), why_not=why_not)


def _worded(make: Callable[[Read, Any], Compare], read: Callable[[Value | None], bytes], verb: str) -> Comparison:
    return Comparison(read=read, make=make, texts=lambda text: (text,), why_not=_why(verb), folds=True)


#: Modifier → what it does.
COMPARISONS: Mapping[str, Comparison] = MappingProxyType(
    {
        "exact": _worded(lambda read, text: lambda subject, _: read(subject) == text, _text, "is not"),
        "contains": _worded(
            lambda read, text: lambda subject, _: text in read(subject), _some_text, "does not contain"
        ),
        "startswith": _worded(
            lambda read, text: lambda subject, _: read(subject).startswith(text), _some_text, "does not start with"
        ),
        "endswith": _worded(
            lambda read, text: lambda subject, _: read(subject).endswith(text), _some_text, "does not end with"
        ),
        "in": Comparison(
            read=_texts,
            make=lambda read, texts: lambda subject, _: read(subject) in texts,
            texts=tuple,
            why_not=_why_not_among,
            folds=True,
        ),
        "lt": _compared("<", operator.lt),
        "le": _compared("<=", operator.le),
        "gt": _compared(">", operator.gt),
        "ge": _compared(">=", operator.ge),
        "cidr": Comparison(read=_networks, make=_inside, texts=lambda _: (), why_not=_why_not_inside),
        "exists": Comparison(
            read=_nothing,
            make=lambda read, _operand: lambda subject, _: bool(read(subject)),
            texts=lambda _: (),
            why_not=lambda _text, _operand: "it is empty or missing",
        ),
    }
)
