"""Keys that loggers name alike, for formats that are made of keys and values."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ironpost_logpipe.event import NO_FACILITY, Event

#: Field of an event → the keys that it is taken from; the first that has a text wins.
KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "message": ("message", "msg", "event", "log"),
        "time": ("time", "timestamp", "@timestamp", "ts"),
        "severity": ("severity", "level", "log.level", "levelname", "lvl"),
        "app": ("app", "program", "appname", "service"),
        "host": ("host", "hostname"),
        "pid": ("pid", "process.pid"),
    }
)
#: Key → the number of its field and its rank there.
_ROLES = {key: (number, rank) for number, keys in enumerate(KEYS.values()) for rank, key in enumerate(keys)}
_NO_RANK = 99
_TEXTS = (str, bytes)
_NAMES = (
    *(("emerg", "emergency", "panic"), ("alert",), ("crit", "critical", "fatal"), ("err", "error", "eror")),
    *(("warning", "warn"), ("notice",), ("info", "information", "informational"), ("debug", "dbug", "trace")),
)
#: Of pino and bunyan.
_TENS = {"60": 2, "50": 3, "40": 4, "30": 6, "20": 7, "10": 7}
_PRIORITIES: Mapping[bytes, int] = MappingProxyType(
    {
        **{name.encode(): number for number, names in enumerate(_NAMES) for name in names},
        **{str(number).encode(): number for number in range(8)},
        **{number.encode(): priority for number, priority in _TENS.items()},
        **{b"trace%d" % number: 7 for number in range(1, 9)},
    }
)
_LONGEST_LEVEL = 16


def priority_of(level: bytes) -> int:
    """The priority (`Event.pri`) without a facility that a logger's word or number stands for; -1 for none."""
    if len(level) > _LONGEST_LEVEL:
        return -1
    number = _PRIORITIES.get(level.lower(), -1)
    return number if number < 0 else NO_FACILITY + number


def event_from(raw: bytes, document: Mapping[str, Any], extra: Mapping[str, bytes]) -> Event:
    """The event of a line of keys and values, of which only texts are looked at."""
    found: list[Any] = [b""] * len(KEYS)
    ranks = [_NO_RANK] * len(KEYS)
    for key, value in document.items():
        role = _ROLES.get(key)
        if role is not None and role[1] < ranks[role[0]] and value and type(value) in _TEXTS:
            found[role[0]], ranks[role[0]] = value, role[1]
    message, stamp, level, app, host, pid = [encoded(each) if type(each) is str else each for each in found]
    return Event(raw, message or raw, app, host, pid, stamp, priority_of(level) if level else -1, extra)


def encoded(text: str) -> bytes:
    """A text that was decoded with "surrogateescape" as the bytes it was."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a character, escaped
        return text.encode("utf-8", "surrogatepass")
