"""What an entry of the journal says, and what its word is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ironpost_core.alerts import Trust
from ironpost_logpipe.event import JOURNAL, Event
from ironpost_logpipe.journal_export import fields_of

_NUMBERS = {b"%d" % number: number for number in range(24)}
#: What syslog(3) takes for a message that names no facility.
_USER = 1
#: Accounts below belong to the system (SYS_UID_MAX in login.defs).
_FIRST_PERSON = 1000
#: systemd's users that exist as long as their service runs (DynamicUser=).
_DYNAMIC = range(61184, 65520)


class JournalFields(Mapping[str, bytes]):
    """An entry's fields under the names that rules use: ``journal._SYSTEMD_UNIT``; MESSAGE_ID is ``msgid``, too."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[bytes, bytes]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> bytes:
        if name == "msgid":
            return self._fields[b"MESSAGE_ID"]
        if not name.startswith(JOURNAL):
            raise KeyError(name)
        return self._fields[name[len(JOURNAL) :].encode("utf-8", "replace")]

    def __iter__(self) -> Iterator[str]:
        return (JOURNAL + name.decode("utf-8", "replace") for name in self._fields)

    def __len__(self) -> int:
        return len(self._fields)


def parse_journal(line: bytes) -> Event:
    """Read an entry in the export format. The source hands over nothing else; other bytes make an empty event."""
    fields = fields_of(line)
    message = fields.get(b"MESSAGE", b"")
    return Event(
        message,
        message,
        fields.get(b"SYSLOG_IDENTIFIER") or fields.get(b"_COMM", b""),
        fields.get(b"_HOSTNAME", b""),
        fields.get(b"SYSLOG_PID") or fields.get(b"_PID", b""),
        fields.get(b"__REALTIME_TIMESTAMP", b""),
        _priority(fields),
        JournalFields(fields),
    )


def _priority(fields: Mapping[bytes, bytes]) -> int:
    severity = _NUMBERS.get(fields.get(b"PRIORITY", b""), 8)
    return -1 if severity > 7 else 8 * _NUMBERS.get(fields.get(b"SYSLOG_FACILITY", b""), _USER) + severity


def worth(event: Event) -> Trust:
    """`local` for what the kernel, a service of root or a service about itself wrote; `claimed` for all else.

    It looks at fields that journald itself adds: their names begin with an underscore, which it takes from nobody. The
    container's id is the exception: who relays a container's output adds it, and it only ever lowers the worth.
    """
    field = event.extra.get
    if field("journal._TRANSPORT") == b"kernel":
        return Trust.LOCAL
    unit = field("journal._SYSTEMD_UNIT", b"")
    of_a_service = unit.endswith(b".service") and not unit.startswith(b"user@")
    if not of_a_service or "journal.CONTAINER_ID" in event.extra or "journal.CONTAINER_NAME" in event.extra:
        return Trust.CLAIMED
    user = _user(field("journal._UID", b""))
    by_the_service = user == 0 or (_is_of_the_system(user) and _fits(event.app, unit))
    return Trust.LOCAL if by_the_service else Trust.CLAIMED


def _user(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) <= 10 else -1


def _is_of_the_system(user: int) -> bool:
    return 0 <= user < _FIRST_PERSON or user in _DYNAMIC


def _fits(app: bytes, unit: bytes) -> bool:
    """Whether a program's name and a unit's begin alike: sshd and ssh.service, postfix/smtpd and postfix@-.service."""
    name = app.partition(b"/")[0].lower()
    service = unit.removesuffix(b".service").partition(b"@")[0].lower()
    return bool(name and service) and (name.startswith(service) or service.startswith(name))
