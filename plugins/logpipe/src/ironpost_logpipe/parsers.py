"""Which parser reads which line. A format added here is known to sources, rules and the metrics' label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from ironpost_logpipe.event import Event
from ironpost_logpipe.journal_entry import parse_journal
from ironpost_logpipe.syslog import parse_syslog

#: Reads a line without its end; None when the line is not of that format. Never raises.
Parser: TypeAlias = Callable[[bytes], Event | None]
LINE_ENDS = b"\r\n\0"


def parse_plain(line: bytes) -> Event:
    """The whole line is the message. A leading ``2024-11-03 10:00:00`` is taken as its time."""
    if line[4:5] == b"-" and line[10:11] in (b" ", b"T") and line[13:14] == b":" and line[:4].isdigit():
        return Event(line, line, b"", b"", b"", line[:19])
    return Event(line, line)


def parse_auto(line: bytes) -> Event:
    """Syslog when it looks like it, else plain text; so no line is an error."""
    return parse_syslog(line) or parse_plain(line)


#: Format → parser.
PARSERS: Mapping[str, Parser] = MappingProxyType(
    {"auto": parse_auto, "syslog": parse_syslog, "plain": parse_plain, "journal": parse_journal}
)
#: Formats whose every line is parsed, also when no rule can match it, so that parse errors are exact. Each is a value
#: of the metrics' label ``format``.
PINNED = frozenset(("syslog",))


def parse(line: bytes, format_: str = "auto") -> Event | None:
    """Parse one line, its line end included, by the format's name."""
    return PARSERS[format_](line.rstrip(LINE_ENDS))
