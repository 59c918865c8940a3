"""Syslog lines: RFC 5424, RFC 3164 as it is really written, and the ISO-dated files of rsyslog and Debian 12.

Nothing here raises or loops on any bytes: a line is either read or answered with None.
"""

from __future__ import annotations

from ironpost_logpipe.event import NOTHING, Event
from ironpost_logpipe.quoting import closing_quote

_MONTHS = frozenset((b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"))
_LARGEST_PRI = 191
_BOM = b"\xef\xbb\xbf"
_MAX_PARAMS = 64
_REPEATED = b"message repeated "
#: No line stands for more, whatever number it names.
MAX_REPEATED = 1_000


def parse_syslog(raw: bytes) -> Event | None:
    """Read one line; None when it has neither a priority nor a time where syslog puts them.

    What a syslog daemon writes for lines that are the same, ``message repeated 5 times: [ text]``, is taken as that
    text, so many times. It must be the whole message, so that nobody writes it into a user's name.
    """
    if raw[:3] in _MONTHS and raw[9:16:3] == b":: " and raw[13:15].isdigit():
        # By far the most frequent kind, so it goes no other way than this: "Mmm dd hh:mm:ss host app[pid]: message".
        parts = raw[16:].split(b" ", 2)
        if len(parts) == 3 and parts[1][-2:] == b"]:" and parts[0][-1:] != b":":
            app, _, pid = parts[1][:-2].partition(b"[")
            if app[-1:] != b")" and not parts[2].startswith(_REPEATED):
                return Event(raw, parts[2], app, parts[0], pid, raw[:15])
    event = _parsed(raw)
    if event is not None and event.message.startswith(_REPEATED):
        _unfold(event)
    return event


def _unfold(event: Event) -> None:
    """Take a message for the one that it says was repeated, if it is of that form."""
    number, times, text = event.message[len(_REPEATED) :].partition(b" times: [ ")
    if times and text.endswith(b"]") and number.isdigit() and len(number) < 10 and int(number) > 0:
        event.message = text[:-1]
        event.repeated = min(int(number), MAX_REPEATED)


def _parsed(raw: bytes) -> Event | None:
    pri, start = _priority(raw)
    if pri >= 0 and raw[start : start + 2] == b"1 ":
        event = _rfc5424(raw, pri, start + 2)
        if event is not None:
            return event
    stamp_end = _bsd_time(raw, start) or _iso_time(raw, start)
    if not stamp_end:
        return None if pri < 0 else _headed(raw, pri, b"", start)
    return _headed(raw, pri, raw[start:stamp_end], stamp_end + 1)


def _priority(raw: bytes) -> tuple[int, int]:
    """The PRI part (RFC 3164, 4.1.1) and where it ends; -1 and 0 without one."""
    if raw[:1] != b"<":
        return -1, 0
    end = raw.find(b">", 1, 5)
    digits = raw[1:end] if end > 0 else b""
    if not digits.isdigit() or int(digits) > _LARGEST_PRI:
        return -1, 0
    return int(digits), end + 1


def _bsd_time(raw: bytes, at: int) -> int:
    """Where ``Mmm dd hh:mm:ss`` ends, 0 when it does not stand at `at`. Days come padded by a blank, a zero or not."""
    if raw[at : at + 3] not in _MONTHS:
        return 0
    if raw[at + 12 : at + 13] == b":" and raw[at + 9 : at + 10] == b":":
        end = at + 15
    elif raw[at + 11 : at + 12] == b":" and raw[at + 8 : at + 9] == b":":
        end = at + 14
    else:
        return 0
    return end if raw[end - 2 : end].isdigit() and raw[end : end + 1] in (b" ", b":", b"") else 0


def _iso_time(raw: bytes, at: int) -> int:
    """Where an RFC 3339 time ends, 0 when none stands at `at`."""
    if raw[at + 10 : at + 11] != b"T" or raw[at + 4 : at + 5] != b"-" or not raw[at : at + 4].isdigit():
        return 0
    end = raw.find(b" ", at, at + 40)
    return end if end > 0 else 0


def _headed(raw: bytes, pri: int, stamp: bytes, at: int) -> Event:
    """Host, tag and message (RFC 3164, 4.1.2 and 4.1.3); host or tag or both may be missing."""
    first_end = raw.find(b" ", at)
    if first_end < 0:
        return Event(raw, raw[at:], b"", b"", b"", stamp, pri)
    first = raw[at:first_end]
    if first.endswith(b":") and first.count(b":") == 1:  # two colons: an IPv6 address as the host
        return _tagged(raw, pri, stamp, b"", first[:-1], first_end + 1)
    if not stamp:
        # Without a time there is no telling a host from a message's first word.
        return Event(raw, raw[at:], b"", b"", b"", stamp, pri)
    second_end = raw.find(b" ", first_end + 1)
    second = raw[first_end + 1 : second_end] if second_end > 0 else raw[first_end + 1 :]
    if second.endswith(b":"):
        return _tagged(raw, pri, stamp, first, second[:-1], second_end + 1 if second_end > 0 else len(raw))
    colon = second.find(b"]:")
    if colon > 0:  # no blank behind the tag
        return _tagged(raw, pri, stamp, first, second[: colon + 1], first_end + 1 + colon + 2)
    return Event(raw, raw[first_end + 1 :], b"", first, b"", stamp, pri)


def _tagged(raw: bytes, pri: int, stamp: bytes, host: bytes, tag: bytes, at: int) -> Event:
    """``sshd[12]``, ``sshd(pam_unix)[12]``, ``postfix/smtpd[12]``, ``kernel``."""
    pid = b""
    if tag[-1:] == b"]":
        tag, _, pid = tag[:-1].partition(b"[")
    if tag[-1:] == b")":
        tag, _, component = tag[:-1].partition(b"(")
        return Event(raw, raw[at:], tag, host, pid, stamp, pri, {"component": component})
    return Event(raw, raw[at:], tag, host, pid, stamp, pri)


def _rfc5424(raw: bytes, pri: int, at: int) -> Event | None:
    """The header behind the version (RFC 5424, 6.2) and the structured data (6.3); "-" is no value."""
    parts = raw[at:].split(b" ", 5)
    if len(parts) != 6:
        return None
    stamp, host, app, pid, msgid, rest = parts
    if not (stamp == b"-" or stamp[:1].isdigit()) or not (host and app and pid and msgid):
        return None
    extra: dict[str, bytes] = {} if msgid == b"-" else {"msgid": msgid}
    if rest[:1] == b"-":
        end = 1
    else:
        end = _structured_data(rest, extra)
    if end <= 0 or rest[end : end + 1] not in (b" ", b""):
        return None
    message = rest[end + 1 :].removeprefix(_BOM)
    return Event(raw, message, _value(app), _value(host), _value(pid), _value(stamp), pri, extra or NOTHING)


def _value(field: bytes) -> bytes:
    return b"" if field == b"-" else field


def _structured_data(text: bytes, into: dict[str, bytes]) -> int:
    """Read ``[id name="value" …]…``; where it ends, or 0 when it is broken. Only the first parameters are kept."""
    at = 0
    while text[at : at + 1] == b"[":
        end = at + 1
        while text[end : end + 1] not in (b" ", b"]", b"["):
            if end >= len(text):
                return 0
            end += 1
        name = text[at + 1 : end]
        at = _parameters(text, end, name, into) if name else 0
        if not at:
            return 0
    return at


def _parameters(text: bytes, at: int, element: bytes, into: dict[str, bytes]) -> int:
    """Read the parameters of one element; where the element ends, or 0 when it is broken."""
    while text[at : at + 1] == b" ":
        equals = text.find(b'="', at, at + 300)
        if equals < 0:
            return 0
        name = text[at + 1 : equals]
        value, at = _quoted(text, equals + 2)
        if not at:
            return 0
        if len(into) < _MAX_PARAMS:
            into[f"sd.{element.decode('latin-1')}.{name.decode('latin-1')}"] = value
    return at + 1 if text[at : at + 1] == b"]" else 0


def _quoted(text: bytes, at: int) -> tuple[bytes, int]:
    """A parameter's value with its escapes (RFC 5424, 6.3.3) undone, and the place behind its quote; 0 without one."""
    end = closing_quote(text, at)
    return (b"", 0) if end < 0 else (_unescaped(text[at:end]), end + 1)


def _unescaped(value: bytes) -> bytes:
    if b"\\" not in value:
        return value
    pieces = value.split(b"\\\\")  # an escaped backslash first, so that it escapes nothing itself
    return b"\\".join(piece.replace(b'\\"', b'"').replace(b"\\]", b"]") for piece in pieces)
