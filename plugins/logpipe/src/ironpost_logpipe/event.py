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
    b"",
)
#: Added to a severity's number, the priority of a line that names no facility.
NO_FACILITY = 24 << 3
#: RFC 5424, table 2.
SEVERITIES = (b"emerg", b"alert", b"crit", b"err", b"warning", b"notice", b"info", b"debug")

#: What a rule writes before the name of a field of the journal.
JOURNAL = "journal."

#: Every field a rule can name → what it holds. See PREFIXES for the others.
FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "raw": "the whole line as it came, without its line end; a journal entry's message",
        "message": "the text after the header; the whole line when it has none",
        "app": "the program's name: sshd, sudo, postfix/smtpd",
        "pid": "the process id, digits",
        "component": "a part of the program: pam_unix of sshd(pam_unix), Apache's module",
        "host": "the host name in the line",
        "facility": "the syslog facility's name: auth, authpriv, cron",
        "severity": "syslog's name of the severity: emerg, alert, crit, err, warning, notice, info, debug",
        "msgid": "RFC 5424's message id; the journal's MESSAGE_ID",
        "time": "the time as it is written in the line; the journal's in microseconds since 1970",
        "source_ip": "web: the client's address, written by the server; an observable, and fit for a threshold's key",
        "client": "web: the client as written, an address or a name",
        "user": "web: the user's name that the client gave; an observable",
        "request": "web: the request line, escapes undone",
        "method": "web: the request's method",
        "path": "web: the request's path, percent signs and all as it was sent",
        "query": "web: what follows the question mark",
        "protocol": "web: the protocol, such as HTTP/1.1",
        "status": "web: the answer's status, three digits",
        "size": "web: the answer's size in bytes, digits",
        "referrer": "web: the Referer header, escapes undone",
        "user_agent": "web: the User-Agent header, escapes undone",
        "vhost": "web: the virtual host in front of the line (vhost_combined), without its port",
        "stream": "Docker: stdout or stderr",
    }
)
#: What further fields begin with → what they hold.
PREFIXES: Mapping[str, str] = MappingProxyType(
    {
        "sd.": "RFC 5424's structured data: sd.ID.NAME",
        "json.": "a value of a JSON line by its path, a list's by number: json.user.roles.0",
        "logfmt.": "a value of a logfmt line by its key",
        JOURNAL: "any field of a journal entry: journal._SYSTEMD_UNIT",
    }
)
#: Fields that are worked out: their text need not stand in the line, not even when nothing in it is escaped.
DERIVED = frozenset(("facility", "severity"))
#: Fields of the line that become observables without being caught, because the log's writer vouches for them.
OBSERVABLE_FIELDS = ("source_ip", "user")
NOTHING: Mapping[str, bytes] = MappingProxyType({})


class Event:
    """A line and its fields. A plain class with slots, because one is made for every line that may match.

    Attributes:
        raw: the line without its end.
        message: what a rule's patterns are mostly about.
        app, host, pid, stamp: empty when the line has none; `stamp` is the time as written.
        pri: the syslog priority (facility * 8 + severity), -1 when there is none; see NO_FACILITY.
        extra: further fields by name.
        repeated: how many lines it stands for, when a syslog daemon says that so many were the same.
    """

    __slots__ = ("app", "extra", "host", "message", "pid", "pri", "raw", "repeated", "stamp")
    #: Whether anybody who makes the log's writer write can write such a line as a whole: then it is only claimed.
    forgeable = False

    def __init__(
        self,
        raw: bytes,
        message: bytes,
        app: bytes = b"",
        host: bytes = b"",
        pid: bytes = b"",
        stamp: bytes = b"",
        pri: int = -1,
        extra: Mapping[str, bytes] = NOTHING,
    ) -> None:
        self.raw = raw
        self.message = message
        self.app = app
        self.host = host
        self.pid = pid
        self.stamp = stamp
        self.pri = pri
        self.extra = extra
        self.repeated = 1

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

    def searchable(self) -> bytes:
        """A text that contains every field's text, but for the derived ones, with all escapes undone."""
        return b"\n".join((self.raw, self.message, self.app, self.host, self.pid, self.stamp, *self.extra.values()))

    def fields(self) -> dict[str, bytes]:
        """All fields that are not empty, for people."""
        named = {name: self.field(name) for name in FIELDS}
        return {name: value for name, value in (named | dict(self.extra)).items() if value}


class ForgeableEvent(Event):
    """A line of a log into which others than its writer can write whole lines."""

    __slots__ = ()
    forgeable = True


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
    return name in FIELDS or name.startswith(tuple(PREFIXES))
