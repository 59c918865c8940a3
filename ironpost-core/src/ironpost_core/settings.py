"""What a plugin author declares a configuration class with: `setting`, its types and its checks.

>>> @attrs.frozen(kw_only=True)
... class BeaconConfig:
...     enabled: bool = setting(default=True, help="Whether it runs.")
...     every: Duration = setting(default=Duration.parse("5m"), help="Time between two signals.")
...     port: int = setting(default=9999, help="The port it sends to.", check=between(1, 65535))
>>> str(BeaconConfig().every)
'5m'
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, overload

import attrs

from ironpost_core.quantities import Duration, Size
from ironpost_core.secret import MASK, Secret
from ironpost_core.validators import (
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

__all__ = [
    "Duration",
    "Meta",
    "Secret",
    "Size",
    "UnfitError",
    "Validator",
    "between",
    "each",
    "matches",
    "meta_of",
    "non_empty",
    "one_of",
    "setting",
    "starts_with",
    "together_with",
    "when_enabled",
]

T = TypeVar("T")
_KEY: Final = "ironpost"


@attrs.frozen(kw_only=True)
class Meta:
    """What `setting` was told about a key, for documentation and messages."""

    help: str = ""
    unit: str = ""
    example: Any = None
    secret: bool = False


@overload
def setting(
    *,
    default: T,
    help: str,
    unit: str = ...,
    check: Validator | Sequence[Validator] | None = ...,
    example: Any = ...,
    secret: bool = ...,
) -> T: ...
@overload
def setting(
    *,
    factory: Callable[[], T],
    help: str,
    unit: str = ...,
    check: Validator | Sequence[Validator] | None = ...,
    example: Any = ...,
    secret: bool = ...,
) -> T: ...
@overload
def setting(
    *,
    help: str,
    unit: str = ...,
    check: Validator | Sequence[Validator] | None = ...,
    example: Any = ...,
    secret: bool = ...,
) -> Any: ...
def setting(
    *,
    default: Any = attrs.NOTHING,
    factory: Callable[[], Any] | None = None,
    help: str,
    unit: str = "",
    check: Validator | Sequence[Validator] | None = None,
    example: Any = None,
    secret: bool = False,
) -> Any:
    """Declare one key of a configuration class.

    An attribute's name is the key's; one trailing underscore is dropped, for keys that are words of Python (`except_`).

    Args:
        default: the value when no one sets it; without it and `factory` the key is required.
        factory: makes the default, when it should not be shared or is a nested table (then: its class).
        help: what it does, in a sentence for operators.
        unit: what a number counts, when the type does not say so.
        check: validators; `Validator` and the functions beside it.
        example: a value for the generated example file, when the default says little.
        secret: mask it wherever it is shown, though its type is not Secret (a web address with a token in it).
    """
    return attrs.field(
        default=default if factory is None else attrs.Factory(factory),
        validator=list(check) if isinstance(check, Sequence) else check,
        kw_only=True,
        repr=(lambda _: MASK) if secret else True,
        metadata={_KEY: Meta(help=help, unit=unit, example=example, secret=secret)},
    )


def meta_of(attribute: attrs.Attribute[Any]) -> Meta:
    """What was said about an attribute; an empty one when it was not declared with `setting`."""
    found = attribute.metadata.get(_KEY)
    return found if isinstance(found, Meta) else Meta()
