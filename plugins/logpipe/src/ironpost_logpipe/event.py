"""One parsed log line. All text stays bytes: rules match bytes, and only alerts are ever decoded."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType

#: RFC 5424, table 1, with the names of syslog(3).
FACILITIES = (
    *(b"kern", b"user", b"mail", b"daemon", b"auth", b"syslog", b"lpr", b"news", b"uucp", b"cron", b"authpriv", b"ftp"),
    *(b"ntp", b"audit", b"alert", b"clock"),
    *(b"local%d" % number for number in range(8)),
)
#: RFC 5424, table 2.
SEVERITIES = (b"emerg", b"alert", b"crit", b"err", b"warning", b"notice", b"info", b"debug")

#: What a rule writes before the name of a field of the journal.
JOURNAL = "journal."

#: Every field a rule can name → what it holds. Names under ``sd.`` come from RFC 5424 structured data.
FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "raw": "the whole line as it came, without its line end",
        "message": "the text after the header; the whole line when it has none",
        "app": "the program's name: sshd, sudo, postfix/smtpd",
        "pid": "the process id, digits",
        "component": "what stood in brackets behind the program's name: pam_unix of sshd(pam_unix)",
        "host": "the host name in the line",
        "facility": "the syslog facility's name: auth, authpriv, cron",
        "severity": "the syslog severity's name: emerg, alert, crit, err, warning, notice, info, debug",
        "msgid": "RFC 5424's message id",
        "time": "the time as it is written in the line",
    }
)
_NOTHING: Mapping[str, bytes] = MappingProxyType({})


class Event:
    """A line and its fields. A plain class with slots, because one is made for every line that may match.

    Attributes:
        raw: the line without its end.
        message: what a rule's patterns are mostly about.
        app, host, pid, stamp: empty when the line has none; `stamp` is the time as written.
        pri: the syslog priority (facility * 8 + severity), -1 when there is none.
        extra: further fields by name.
    """

    __slots__ = ("app", "extra", "host", "message", "pid", "pri", "raw", "stamp")

    def __init__(
        self,
        raw: bytes,
        message: bytes,
        app: bytes = b"",
        host: bytes = b"",
        pid: bytes = b"",
        stamp: bytes = b"",
        pri: int = -1,
        extra: Mapping[str, bytes] = _NOTHING,
    ) -> None:
        self.raw = raw
        self.message = message
        self.app = app
        self.host = host
        self.pid = pid
        self.stamp = stamp
        self.pri = pri
        self.extra = extra

    @property
    def facility(self) -> bytes:
        """The facility's name, empty without a priority."""
        return FACILITIES[self.pri >> 3] if self.pri >= 0 else b""

    @property
    def severity(self) -> bytes:
        """The severity's name, empty without a priority."""
        return SEVERITIES[self.pri & 7] if self.pri >= 0 else b""

    def field(self, name: str) -> bytes:
        """A field by the name that rules use; empty when this line does not have it."""
        return getter(name)(self)

    def fields(self) -> dict[str, bytes]:
        """All fields that are not empty, for people."""
        named = {name: self.field(name) for name in FIELDS}
        return {name: value for name, value in (named | dict(self.extra)).items() if value}


_DIRECT: Mapping[str, Callable[[Event], bytes]] = MappingProxyType(
    {
        "time": operator.attrgetter("stamp"),
        **{
            name: operator.attrgetter(name) for name in ("raw", "message", "app", "host", "pid", "facility", "severity")
        },
    }
)


def getter(name: str) -> Callable[[Event], bytes]:
    """The function that reads the field `name` of an event; any unknown name is looked up among the extra fields."""
    direct = _DIRECT.get(name)
    return direct if direct is not None else lambda event: event.extra.get(name, b"")


def is_field(name: str) -> bool:
    """Whether a rule can name this field."""
    return name in FIELDS or name.startswith(("sd.", JOURNAL))
