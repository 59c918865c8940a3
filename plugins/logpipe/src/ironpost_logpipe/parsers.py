"""Which parser reads which line. A format added here is known to sources, rules and the metrics' label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from ironpost_logpipe.dockerjson import unwrapping
from ironpost_logpipe.event import Event
from ironpost_logpipe.journal_entry import parse_journal
from ironpost_logpipe.jsonlines import document, parse_json
from ironpost_logpipe.logfmt import parse_logfmt
from ironpost_logpipe.syslog import parse_syslog
from ironpost_logpipe.weblogs import parse_access, parse_apache_error, parse_nginx_error

#: Reads a line without its end; None when the line is not of that format. Never raises.
Parser: TypeAlias = Callable[[bytes], Event | None]
LINE_ENDS = b"\r\n\0"
#: How logfmt is known; any line may have a "=" in it.
_LOGFMT = (b"time=", b"ts=", b"level=")


def parse_plain(line: bytes) -> Event:
    """The whole line is the message. A leading ``2024-11-03 10:00:00`` is taken as its time."""
    if line[4:5] == b"-" and line[10:11] in (b" ", b"T") and line[13:14] == b":" and line[:4].isdigit():
        return Event(line, line, b"", b"", b"", line[:19])
    return Event(line, line)


def parse_auto(line: bytes) -> Event:
    """Syslog when it looks like it, else what its beginning looks like, else plain text; so no line is an error."""
    return parse_syslog(line) or _parse_other(line) or parse_plain(line)


def _parse_other(line: bytes) -> Event | None:
    first = line[:1]
    if first == b"{":
        return parse_json(line)
    if first == b"[":
        return parse_apache_error(line)
    if line[4:5] == b"/":
        return parse_nginx_error(line)
    if line.startswith(_LOGFMT):
        return parse_logfmt(line)
    return parse_access(line)


_INNER: Mapping[str, Parser] = MappingProxyType(
    {
        "auto": parse_auto,
        "syslog": parse_syslog,
        "json": parse_json,
        "access": parse_access,
        "apache-error": parse_apache_error,
        "nginx-error": parse_nginx_error,
        "logfmt": parse_logfmt,
        "plain": parse_plain,
    }
)
#: Format → parser. What Docker wraps is read as "auto", or as the format behind the slash. Only the journal's source
#: hands over entries in its format.
PARSERS: Mapping[str, Parser] = MappingProxyType(
    {
        **_INNER,
        "journal": parse_journal,
        "docker": unwrapping(parse_auto),
        **{f"docker/{name}": unwrapping(_INNER[name]) for name in _INNER},
    }
)
#: Formats whose every line is parsed, also when no rule can match it, so that parse errors are exact.
PINNED = frozenset(PARSERS) - {"auto", "plain", "journal"}
#: Those of them whose lines never hold a field's text as it is, so that the line itself need not be searched.
DECODED = frozenset(name for name in PARSERS if name.startswith("docker"))
#: Pinned format → a quicker way than its parser to tell whether a line is of it; None for one that is not.
CHECKS: Mapping[str, Callable[[bytes], object]] = MappingProxyType({"json": document})
#: Pinned format → the metrics' label of its parse errors.
LABELS: Mapping[str, str] = MappingProxyType(
    {name: "json" if name in DECODED or name == "json" else "unknown" for name in PINNED} | {"syslog": "syslog"}
)


def parse(line: bytes, format_: str = "auto") -> Event | None:
    """Parse one line, its line end included, by the format's name."""
    return PARSERS[format_](line.rstrip(LINE_ENDS))
