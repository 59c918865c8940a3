"""What an entry of the journal says, and what its word is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ironpost_core.alerts import Trust
from ironpost_logpipe.event import JOURNAL, Event
from ironpost_logpipe.journal_export import field_reader, fields_of, key_of

_MESSAGE, _TIME, _HOST = map(key_of, (b"MESSAGE", b"__REALTIME_TIMESTAMP", b"_HOSTNAME"))
_APP, _COMMAND, _SAID_PID, _PID = map(key_of, (b"SYSLOG_IDENTIFIER", b"_COMM", b"SYSLOG_PID", b"_PID"))
_PRIORITY, _FACILITY = map(key_of, (b"PRIORITY", b"SYSLOG_FACILITY"))
_TRANSPORT, _UNIT, _UID = map(key_of, (b"_TRANSPORT", b"_SYSTEMD_UNIT", b"_UID"))
_CONTAINER_ID, _CONTAINER_NAME = map(key_of, (b"CONTAINER_ID", b"CONTAINER_NAME"))
_NUMBERS = {b"%d" % number: number for number in range(24)}
#: What syslog(3) takes for a message that names no facility.
_USER = 1
#: Accounts below belong to the system (SYS_UID_MAX in login.defs).
_FIRST_PERSON = 1000
#: systemd's users that exist as long as their service runs (DynamicUser=).
_DYNAMIC = range(61184, 65520)


class JournalFields(Mapping[str, bytes]):
    """An entry's fields under the names that rules use: ``journal._SYSTEMD_UNIT``; MESSAGE_ID is ``msgid``, too.

    Attributes:
        entry: in the export format.
        read: gives a field by `key_of` its name in the journal.
    """

    __slots__ = ("entry", "read")

    def __init__(self, entry: bytes, read: Callable[[bytes], bytes | None]) -> None:
        self.entry = entry
        self.read = read

    def __getitem__(self, name: str) -> bytes:
        if name == "msgid":
            name = f"{JOURNAL}MESSAGE_ID"
        value = self.read(key_of(name[len(JOURNAL) :].encode("utf-8", "replace"))) if name.startswith(JOURNAL) else None
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        names = (JOURNAL + name.decode("utf-8", "replace") for name in fields_of(self.entry))
        return (name for name in names if name in self)  # bytes that are no entry may have some that can't be read

    def __len__(self) -> int:
        return sum(1 for _ in self)


class JournalEvent(Event):
    """An entry."""

    __slots__ = ()
    extra: JournalFields

    def searchable(self) -> bytes:
        """The entry: a backslash escapes nothing in it."""
        return self.extra.entry


def parse_journal(line: bytes) -> Event:
    """Read an entry in the export format. The source hands over nothing else; other bytes make an empty event."""
    read = field_reader(line)
    message = read(_MESSAGE) or b""
    return JournalEvent(
        message,
        message,
        read(_APP) or read(_COMMAND) or b"",
        read(_HOST) or b"",
        read(_SAID_PID) or read(_PID) or b"",
        read(_TIME) or b"",
        _priority(read(_PRIORITY), read(_FACILITY)),
        JournalFields(line, read),
    )


def _priority(severity: bytes | None, facility: bytes | None) -> int:
    level = _NUMBERS.get(severity or b"", 8)
    return -1 if level > 7 else 8 * _NUMBERS.get(facility or b"", _USER) + level


def worth(event: Event) -> Trust:
    """`local` for what the kernel, a service of root or a service about itself wrote; `claimed` for all else.

    It looks at fields that journald itself adds: their names begin with an underscore, which it takes from nobody. The
    container's id is the exception: who relays a container's output adds it, and it only ever lowers the worth.
    """
    if not isinstance(event.extra, JournalFields):
        return Trust.CLAIMED
    read = event.extra.read
    if read(_TRANSPORT) == b"kernel":
        return Trust.LOCAL
    unit = read(_UNIT) or b""
    of_a_service = unit.endswith(b".service") and not unit.startswith(b"user@")
    if not of_a_service or read(_CONTAINER_ID) is not None or read(_CONTAINER_NAME) is not None:
        return Trust.CLAIMED
    user = _user(read(_UID) or b"")
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
