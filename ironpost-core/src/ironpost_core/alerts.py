"""Alerts: the only thing that plugins say to each other, and what sinks and the history carry.

Neighbours: `hookspecs.Publisher` takes them in, `hookspecs.Plugin.ironpost_alert` gets them delivered.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import ipaddress
import json
import socket
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import attrs

SCHEMA = 1
MAX_MESSAGE = 2_000
MAX_EVIDENCE = 10
MAX_EVIDENCE_LINE = 1_000
MAX_TAGS = 32
MAX_VALUE = 500
#: The bus delivers no alert deeper than this, so that responders can't answer each other for ever.
MAX_DEPTH = 1


@functools.total_ordering
class _Ordered(enum.Enum):
    """An enumeration whose members are ordered as they are written, each with its name for users as its value."""

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        members = list(type(self))
        return members.index(self) < members.index(other)

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


def canonical_address(text: str) -> str:
    """An IP address in its one canonical form: IPv4-mapped unwrapped, zone dropped; names are never resolved.

    Raises:
        ValueError: not an address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def readable(raw: bytes | str, limit: int = MAX_EVIDENCE_LINE) -> str:
    """Hostile text made safe to store and show: unprintable and invalid characters escaped, the length bounded."""
    if isinstance(raw, bytes):
        raw = raw[: limit * 4].decode("utf-8", "backslashreplace")
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in raw[:limit])
    return text if len(text) <= limit else text[: limit - 1] + "…"


@attrs.frozen
class Observable:
    """A thing that an alert is about, with who vouches for it.

    Raises:
        ValueError: a source or destination IP that is no address, a port outside 1 to 65535, an empty value.
    """

    key: Key
    value: str
    trust: Trust = Trust.CLAIMED

    def __attrs_post_init__(self) -> None:
        value = str(self.value)
        if self.key in (Key.SOURCE_IP, Key.DESTINATION_IP):
            value = canonical_address(value)
        elif self.key is Key.DESTINATION_PORT and not (value.isascii() and value.isdigit() and 0 < int(value) < 65536):
            raise ValueError(f"{value!r}: a port is a number from 1 to 65535")
        value = readable(value, MAX_VALUE)
        if not value:
            raise ValueError(f"{self.key}: empty")
        object.__setattr__(self, "value", value)


def _by_key(
    observables: Iterable[Observable] | Mapping[Key, Observable],
) -> Mapping[Key, Observable]:
    given = observables.values() if isinstance(observables, Mapping) else observables
    return MappingProxyType({observable.key: observable for observable in given})


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("an alert's times carry their zone (UTC)")
    return moment.astimezone(UTC)


def _optional_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else _utc(moment)


def _evidence(lines: Iterable[str | bytes]) -> tuple[str, ...]:
    return tuple(readable(line) for line in list(lines)[:MAX_EVIDENCE])


def _title(text: str) -> str:
    return readable(text, MAX_VALUE)


def _message(text: str) -> str:
    return readable(text, MAX_MESSAGE)


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(readable(tag, 100) for tag in list(tags)[:MAX_TAGS])


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

    rule: str
    title: str = attrs.field(converter=_title)
    severity: Severity = attrs.field(validator=attrs.validators.instance_of(Severity))
    time: datetime = attrs.field(converter=_utc)
    id: str = attrs.field(factory=lambda: uuid.uuid4().hex)
    host: str = ""
    plugin: str = ""
    message: str = attrs.field(default="", converter=_message)
    count: int = 1
    first_seen: datetime | None = attrs.field(default=None, converter=_optional_utc)
    last_seen: datetime | None = attrs.field(default=None, converter=_optional_utc)
    tags: tuple[str, ...] = attrs.field(default=(), converter=_tags)
    evidence: tuple[str, ...] = attrs.field(default=(), converter=_evidence)
    observables: Mapping[Key, Observable] = attrs.field(factory=dict, converter=_by_key)
    cause: str | None = None
    depth: int = 0

    def observable(self, key: Key, at_least: Trust = Trust.CLAIMED) -> str | None:
        """The value of this key, or None when the alert has none that is trusted `at_least` so far."""
        found = self.observables.get(key)
        return found.value if found is not None and found.trust >= at_least else None

    def follow_up(self, **changes: Any) -> Alert:
        """An answer to this alert: a new id, `cause` set, one deeper, no evidence; `changes` as in attrs.evolve."""
        fresh: dict[str, Any] = {"id": uuid.uuid4().hex, "plugin": "", "evidence": (), "count": 1}
        return attrs.evolve(self, **(fresh | changes | {"cause": self.id, "depth": self.depth + 1}))

    def to_json(self) -> str:
        """The alert as one line of JSON with its schema version."""
        return json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"))

    def to_dict(self) -> dict[str, Any]:
        """The alert as JSON-able data; `from_dict` undoes it."""
        data: dict[str, Any] = {"schema": SCHEMA}
        for field in attrs.fields(Alert):
            data[field.name] = _plain(getattr(self, field.name))
        return data

    @classmethod
    def from_json(cls, text: str | bytes) -> Alert:
        """Read what `to_json` wrote.

        Raises:
            ValueError: broken JSON, another schema, or a value that an alert can't have.
        """
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Alert:
        """Read what `to_dict` wrote; raises as `from_json`."""
        if data.get("schema") != SCHEMA:
            raise ValueError(f"alert schema {data.get('schema')!r}; this ironpost reads schema {SCHEMA}")
        try:
            values = {field.name: data[field.name] for field in attrs.fields(cls)}
            values["severity"] = Severity(values["severity"])
            for moment in ("time", "first_seen", "last_seen"):
                values[moment] = None if values[moment] is None else datetime.fromisoformat(values[moment])
            values["observables"] = [
                Observable(Key(key), item["value"], Trust(item["trust"])) for key, item in data["observables"].items()
            ]
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an alert: {error!r}") from error


def _plain(value: object) -> object:
    if isinstance(value, Severity):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {key.value: {"value": item.value, "trust": item.trust.value} for key, item in value.items()}
    if isinstance(value, tuple):
        return list(value)
    return value


def deterministic_id(*parts: bytes | str | int) -> str:
    """An alert id from what makes the alert itself (rule, key, file fingerprint, offset, raw line).

    The same parts give the same id after a crash, so that the history sees a repetition. 128 bits of BLAKE2b; each
    part is length-prefixed, so that moving a byte between parts changes the id.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogateescape")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()


@functools.cache
def this_host() -> str:
    """The machine's own name, for `Alert.host`."""
    return socket.gethostname()
