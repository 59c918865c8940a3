"""Alerts: the only thing that plugins say to each other, and what sinks and the history carry.

Neighbours: `hookspecs.Publisher` takes them in, `hookspecs.Plugin.ironpost_alert` gets them delivered.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import ipaddress
import itertools
import json
import socket
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TypeVar

import attrs

_T = TypeVar("_T")

SCHEMA = 1
MAX_MESSAGE = 2_000
MAX_EVIDENCE = 10
MAX_EVIDENCE_LINE = 1_000
MAX_TAGS = 32
MAX_VALUE = 500
#: Of ids, names of rules, plugins and hosts.
MAX_WORD = 300
MAX_COUNT = 2**63 - 1
#: The bus delivers no alert deeper than this, so that responders can't answer each other for ever.
MAX_DEPTH = 1


class _Ordered(enum.Enum):
    """An enumeration whose members are ordered as they are written, each with its name for users as its value."""

    def __init__(self, _value: str) -> None:
        self._rank = len(type(self).__members__)

    # All four by hand: functools.total_ordering makes the commonest comparison, "at least", three times slower.
    def __lt__(self, other: object) -> bool:
        return self._rank < other._rank if isinstance(other, type(self)) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self._rank <= other._rank if isinstance(other, type(self)) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self._rank > other._rank if isinstance(other, type(self)) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self._rank >= other._rank if isinstance(other, type(self)) else NotImplemented

    def __str__(self) -> str:
        return str(self.value)


class Severity(_Ordered):
    """How bad it is, rising."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Trust(_Ordered):
    """Who vouches for an observable, rising. What each word promises stands in docs/architecture.md, "Trust".

    CLAIMED: anybody could have said it. NETWORK: an authenticated sender said it. LOCAL: only the service or root
    could have written it. KERNEL: seen by the kernel after a completed TCP handshake.
    """

    CLAIMED = "claimed"
    NETWORK = "network"
    LOCAL = "local"
    KERNEL = "kernel"


class Key(enum.Enum):
    """The closed set of things that an alert can be about."""

    SOURCE_IP = "source_ip"
    DESTINATION_IP = "destination_ip"
    DESTINATION_PORT = "destination_port"
    USER = "user"
    PROCESS = "process"
    CONTAINER_ID = "container_id"
    CONTAINER_NAME = "container_name"
    IMAGE = "image"
    FILE = "file"
    PACKAGE = "package"
    VULNERABILITY = "vulnerability"

    def __str__(self) -> str:
        return self.value


@functools.lru_cache(maxsize=4096)
def canonical_address(text: str) -> str:
    """An IP address in its one canonical form: IPv4-mapped unwrapped, zone dropped; names are never resolved.

    Raises:
        ValueError: not an address.
    """
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        # By its number, because its text would keep the zone.
        return str(address.ipv4_mapped or ipaddress.IPv6Address(int(address)))
    return str(address)


def readable(raw: bytes | str, limit: int = MAX_EVIDENCE_LINE) -> str:
    """Hostile text made safe to store and show: unprintable and invalid characters escaped, the length bounded.

    What was cut ends in "…". Doing it again changes nothing.
    """
    if isinstance(raw, bytes):
        raw = raw[: limit * 4 + 4].decode("utf-8", "backslashreplace")
    if len(raw) <= limit and raw.isprintable():
        return raw
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in raw[:limit])
    return text if len(text) <= limit and len(raw) <= limit else text[: limit - 1] + "…"


@attrs.frozen
class Observable:
    """A thing that an alert is about, with who vouches for it.

    Raises:
        ValueError: a source or destination IP that is no address, a port outside 1 to 65535, an empty value.
        TypeError: a key or trust given as text.
    """

    key: Key = attrs.field(validator=attrs.validators.instance_of(Key))
    value: str
    trust: Trust = attrs.field(default=Trust.CLAIMED, validator=attrs.validators.instance_of(Trust))

    def __attrs_post_init__(self) -> None:
        value = str(self.value)
        if self.key in _ADDRESSES:
            value = canonical_address(value)
        elif self.key is Key.DESTINATION_PORT:
            value = _port(value)
        value = readable(value, MAX_VALUE)
        if not value:
            raise ValueError(f"{self.key}: empty")
        object.__setattr__(self, "value", value)


_ADDRESSES = frozenset((Key.SOURCE_IP, Key.DESTINATION_IP))


def _port(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 0 < int(text) < 65536):
        raise ValueError(f"{text[:20]!r}: a port is a number from 1 to 65535")
    return str(int(text))


def _by_key(
    observables: Iterable[Observable] | Mapping[Key, Observable],
) -> Mapping[Key, Observable]:
    given = observables.values() if isinstance(observables, Mapping) else observables
    return MappingProxyType({observable.key: observable for observable in given})


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        raise ValueError("an alert's times carry their zone (UTC)")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{moment.isoformat()}: outside the years 1 to 9999 in UTC") from None


def _optional_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else _utc(moment)


def _evidence(lines: Iterable[str | bytes]) -> tuple[str, ...]:
    return tuple([readable(line) for line in _several(lines, MAX_EVIDENCE)])


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple([readable(tag, 100) for tag in _several(tags, MAX_TAGS)])


def _several(texts: Iterable[_T], limit: int) -> Iterable[_T]:
    if isinstance(texts, str | bytes):
        raise TypeError(f"a list of texts is expected, not the one text {texts[:60]!r}")
    return itertools.islice(texts, limit)


def _title(text: str) -> str:
    return readable(text, MAX_VALUE)


def _message(text: str) -> str:
    return readable(text, MAX_MESSAGE)


def _word(text: str) -> str:
    return readable(text, MAX_WORD)


def _optional_word(text: str | None) -> str | None:
    return None if text is None else readable(text, MAX_WORD)


def _fresh_id() -> str:
    return uuid.uuid4().hex


def _at_least(least: int) -> Callable[[object, attrs.Attribute[int], object], None]:
    def check(_alert: object, attribute: attrs.Attribute[int], value: object) -> None:
        if type(value) is not int or not least <= value <= MAX_COUNT:
            raise ValueError(f"{attribute.name} is {value!r:.60}; expected a whole number from {least}")

    return check


@attrs.frozen(kw_only=True)
class Alert:
    """Something that happened, as told to sinks, the history and the other plugins.

    Only `rule`, `title`, `severity` and `time` must be given; `plugin` and `host` are set by the publisher. All text
    is bounded and made printable, because much of it comes from an attacker.

    Attributes:
        id: unique. One made from a stored position is derived with `deterministic_id`, so that a repetition is seen.
        time: when it happened (UTC): event time for what is read from files, else arrival.
        host: the machine it happened on.
        plugin: who raised it.
        rule: id of the rule or detector, kebab-case.
        title: one line for people.
        severity: how bad it is.
        message: what was seen, at most 2,000 characters.
        count: how many events it stands for.
        first_seen, last_seen: the span of those events (UTC).
        tags: such as MITRE ATT&CK techniques.
        evidence: at most 10 lines of 1,000 characters.
        observables: what it is about, one per key, each with its trust.
        cause: id of the alert that this one answers.
        depth: 0 for a first alert, 1 for an answer to one.
    """

    rule: str = attrs.field(converter=_word)
    title: str = attrs.field(converter=_title)
    severity: Severity = attrs.field(validator=attrs.validators.instance_of(Severity))
    time: datetime = attrs.field(converter=_utc)
    id: str = attrs.field(factory=_fresh_id, converter=_word)
    host: str = attrs.field(default="", converter=_word)
    plugin: str = attrs.field(default="", converter=_word)
    message: str = attrs.field(default="", converter=_message)
    count: int = attrs.field(default=1, validator=_at_least(1))
    first_seen: datetime | None = attrs.field(default=None, converter=_optional_utc)
    last_seen: datetime | None = attrs.field(default=None, converter=_optional_utc)
    tags: tuple[str, ...] = attrs.field(default=(), converter=_tags)
    evidence: tuple[str, ...] = attrs.field(default=(), converter=_evidence)
    observables: Mapping[Key, Observable] = attrs.field(factory=dict, converter=_by_key)
    cause: str | None = attrs.field(default=None, converter=_optional_word)
    depth: int = attrs.field(default=0, validator=_at_least(0))

    def observable(self, key: Key, at_least: Trust = Trust.CLAIMED) -> str | None:
        """The value of this key, or None when the alert has none that is trusted `at_least` so far."""
        found = self.observables.get(key)
        return found.value if found is not None and found.trust >= at_least else None

    def follow_up(self, **changes: Any) -> Alert:
        """An answer to this alert: a new id, `cause` set, one deeper, no evidence; `changes` as in attrs.evolve."""
        fresh: dict[str, Any] = {"id": _fresh_id(), "plugin": "", "evidence": (), "count": 1}
        return attrs.evolve(self, **(fresh | changes | {"cause": self.id, "depth": self.depth + 1}))

    def to_json(self) -> str:
        """The alert as one line of JSON with its schema version."""
        return _ENCODER.encode(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The alert as JSON-able data; `from_dict` undoes it."""
        data: dict[str, Any] = {"schema": SCHEMA}
        for name in _FIELDS:
            data[name] = getattr(self, name)
        data["severity"] = self.severity.value
        for moment in _MOMENTS:
            data[moment] = _stamp(data[moment])
        data["tags"] = list(self.tags)
        data["evidence"] = list(self.evidence)
        data["observables"] = {
            key.value: {"value": item.value, "trust": item.trust.value} for key, item in self.observables.items()
        }
        return data

    @classmethod
    def from_json(cls, text: str | bytes) -> Alert:
        """Read what `to_json` wrote.

        Raises:
            ValueError: broken JSON, another schema, or a value that an alert can't have.
        """
        try:
            data = json.loads(text)
        except RecursionError:
            raise ValueError("not an alert: nested too deeply") from None
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Alert:
        """Read what `to_dict` wrote; raises as `from_json`."""
        if not isinstance(data, Mapping):
            raise ValueError(f"not an alert but a {type(data).__name__}")
        if data.get("schema") != SCHEMA:
            raise ValueError(f"alert schema {data.get('schema')!r:.60}; this ironpost reads schema {SCHEMA}")
        try:
            values = {name: data[name] for name in _FIELDS}
            values["severity"] = Severity(values["severity"])
            for moment in _MOMENTS:
                values[moment] = None if values[moment] is None else datetime.fromisoformat(values[moment])
            values["observables"] = [
                Observable(Key(key), item["value"], Trust(item["trust"])) for key, item in data["observables"].items()
            ]
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an alert: {error!r:.200}") from error


_FIELDS = tuple(field.name for field in attrs.fields(Alert))
_MOMENTS = ("time", "first_seen", "last_seen")
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().removesuffix("+00:00") + "Z"


def deterministic_id(*parts: bytes | str | int) -> str:
    """An alert id from what makes the alert itself (rule, key, file fingerprint, offset, raw line).

    The same parts give the same id after a crash, so that the history sees a repetition. 128 bits of BLAKE2b; each
    part is length-prefixed, so that moving a byte between parts changes the id.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()


@functools.cache
def this_host() -> str:
    """The machine's own name, for `Alert.host`."""
    return socket.gethostname()
