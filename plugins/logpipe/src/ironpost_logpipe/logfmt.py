"""logfmt: ``key=value key="a quoted value"``, as Go's loggers and many others write it."""

from __future__ import annotations

from ironpost_logpipe.event import Event
from ironpost_logpipe.quoting import closing_quote, unescaped
from ironpost_logpipe.wellknown import event_from

PREFIX = "logfmt."
MAX_FIELDS = 256
_LONGEST_KEY = 128


def parse_logfmt(line: bytes) -> Event | None:
    """Read one line; None when there is no key with a value in it. Words without a value are passed over."""
    pairs = _pairs(line)
    if not pairs:
        return None
    return event_from(line, pairs, {PREFIX + key: value for key, value in pairs.items()})


def _pairs(line: bytes) -> dict[str, bytes]:
    """Of a key that comes twice the first one counts."""
    found: dict[str, bytes] = {}
    at = 0
    while len(found) < MAX_FIELDS:
        equals = line.find(b"=", at)
        if equals < 0:
            break
        begin = max(line.rfind(b" ", at, equals) + 1, at)
        key = line[begin:equals]
        value, at = _value(line, equals + 1)
        if key and len(key) <= _LONGEST_KEY:
            found.setdefault(key.decode("utf-8", "surrogateescape"), value)
    return found


def _value(line: bytes, at: int) -> tuple[bytes, int]:
    """A value, and where it ends."""
    if line[at : at + 1] == b'"':
        end = closing_quote(line, at + 1)
        if end >= 0:
            return unescaped(line[at + 1 : end]), end + 1
    end = line.find(b" ", at)
    end = len(line) if end < 0 else end
    return line[at:end], end
