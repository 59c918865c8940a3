r"""Docker's json-file logs: ``{"log":"a line\n","stream":"stdout","time":"2026-11-24T22:38:51.123456789Z"}``."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable
from typing import Any

from ironpost_logpipe.event import NOTHING, Event
from ironpost_logpipe.jsonlines import document
from ironpost_logpipe.wellknown import encoded

_ENDS = b"\r\n\0"
_STREAM = b'","stream":"'


def unwrapping(inner: Callable[[bytes], Event | None]) -> Callable[[bytes], Event | None]:
    """A parser of such records that reads what a container wrote with another parser.

    Several records with a LF between them are the pieces of one line. The time is Docker's, not the container's.
    """

    def parse(line: bytes) -> Event | None:
        pieces, record = [], None
        for each in line.split(b"\n"):
            record = _record(each)
            if record is None:
                return None
            pieces.append(encoded(record["log"]))
        event = inner(b"".join(pieces).rstrip(_ENDS))
        if event is None or record is None:
            return None
        event.raw = line
        event.stamp = encoded(record["time"])
        stream = {"stream": encoded(record["stream"])}
        event.extra = stream if event.extra is NOTHING else ChainMap(stream, event.extra)  # type: ignore[arg-type]
        return event

    return parse


def _record(line: bytes) -> dict[str, Any] | None:
    found = document(line)
    if found is None or any(type(found.get(key)) is not str for key in ("log", "stream", "time")):
        return None
    return found


def piece(record: bytes) -> tuple[bytes, bool]:
    """The stream that a record belongs to, and whether the line goes on in that stream's next record.

    Docker cuts lines at 16 KiB; only the last piece ends in a line end. What is no record is whole.
    """
    at = record.find(_STREAM)  # not in what a container wrote, where quotes are escaped
    if at < 0:
        found = _record(record)
        return (b"", False) if found is None else (encoded(found["stream"]), not found["log"].endswith("\n"))
    stream = record[at + len(_STREAM) : at + len(_STREAM) + 6]
    if record[at - 1 : at] != b"n":
        return stream, True
    before = record[: at - 1]
    return stream, (len(before) - len(before.rstrip(b"\\"))) % 2 == 0
