"""The daemon's logs: stdlib logging, one line a record, as text for people or as JSON for machines.

Much that is logged was written by an attacker, so no control character reaches the stream, and nobody can make a line
that looks like a second record. Repetitions are counted instead of written. Nothing happens at import.
"""

from __future__ import annotations

import json
import logging
import math
import reprlib
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import attrs

#: The level of other libraries, whatever ours is.
OTHERS: Final = logging.WARNING
LONGEST_MESSAGE: Final = 8_000
LONGEST_TRACEBACK: Final = 40
#: Identical records written within a window of seconds; the rest is counted.
BURST: Final = 5
WINDOW: Final = 60.0
#: Different records that are remembered for that.
REMEMBERED: Final = 512

Key = tuple[str, int, str]


def configure(level: str, style: str, stream: TextIO) -> None:
    """Send all logs to `stream`, in place of where an earlier call sent them.

    Args:
        level: debug, info, warning or error, for ironpost's own loggers; other libraries log from warning on.
        style: text, json, or auto: text when `stream` is a terminal and JSON otherwise.
        stream: usually ``sys.stderr``.

    Raises:
        ValueError: no such level or style.
    """
    if style not in ("text", "json", "auto"):
        raise ValueError(f"log format {style!r}: text, json or auto")
    as_text = style == "text" or (style == "auto" and stream.isatty())
    handler = RepeatHandler(stream)
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    set_level(level)
    root = logging.getLogger()
    for known in list(root.handlers):
        if isinstance(known, RepeatHandler):
            root.removeHandler(known)
            known.close()
    root.setLevel(OTHERS)
    root.addHandler(handler)


def set_level(level: str) -> None:
    """Change the level of ironpost's own loggers; ValueError when there is no such level."""
    if level not in ("debug", "info", "warning", "error"):
        raise ValueError(f"log level {level!r}: debug, info, warning or error")
    logging.getLogger("ironpost").setLevel(level.upper())


def one_line(text: str, limit: int = LONGEST_MESSAGE) -> str:
    """`text`, at most `limit` long, with line ends, escape sequences and all else that is unprintable escaped."""
    cut = text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} characters more)"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)


def message_of(record: logging.LogRecord) -> str:
    """The record's text; arguments that do not fit its format are shown instead of raising."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - the stated boundary: any object may be an argument, and the record is shown still
        return f"{reprlib.repr(record.msg)} with arguments that do not fit: {reprlib.repr(record.args)}"


def traceback_of(record: logging.LogRecord) -> list[str]:
    """The record's traceback as lines, the middle left out when it is long; empty when it has none."""
    if not record.exc_info or record.exc_info[1] is None:
        return []
    text = "".join(traceback.format_exception(record.exc_info[1], limit=-LONGEST_TRACEBACK))
    lines = [one_line(line, 500) for line in text.splitlines()]
    if len(lines) > LONGEST_TRACEBACK:
        half = LONGEST_TRACEBACK // 2
        lines[half:-half] = [f"… ({len(lines) - 2 * half} lines left out)"]
    return lines


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    """What the caller gave as ``extra={"fields": {…}}``."""
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, Mapping) else {}


class TextFormatter(logging.Formatter):
    """``2026-11-03 10:00:00.123 WARNING ironpost.ebpf: text key=value``, a traceback indented below it. UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines of one record."""
        moment = datetime.fromtimestamp(record.created, UTC)
        told = "".join(f" {one_line(str(key))}={_shown(value)}" for key, value in _fields(record).items())
        line = f"{moment:%F %T}.{moment.microsecond // 1000:03d} {record.levelname:<7} {one_line(record.name)}: "
        trace = "".join(f"\n    | {line}" for line in traceback_of(record))
        return f"{line}{one_line(message_of(record))}{told}{trace}"


def _shown(value: object) -> str:
    text = one_line(str(value), 500)
    return json.dumps(text, ensure_ascii=False) if " " in text or text == "" else text


class JsonFormatter(logging.Formatter):
    """One JSON object a line, ASCII only: ``time``, ``level``, ``logger``, ``message``, the fields, ``traceback``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record."""
        moment = datetime.fromtimestamp(record.created, UTC)
        message = message_of(record)
        data: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}…",
        }
        fields = {str(key): _plain(value) for key, value in _fields(record).items()}
        data = data | fields | data  # in this order, and no field takes the place of what is ours
        if trace := traceback_of(record):
            data["traceback"] = trace
        return json.dumps(data)


def _plain(value: object) -> object:
    """`value` as JSON has it: numbers and lists of texts stay what they are, all else becomes text."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [str(item) for item in value]
    return str(value)


@attrs.define
class _Repeats:
    """How often one record came in the present window."""

    since: float
    written: int = 0
    suppressed: int = 0


class RepeatHandler(logging.StreamHandler[TextIO]):
    """Writes records, of identical ones at most `BURST` in `WINDOW` seconds, and then how many it left out."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock = clock
        self._seen: OrderedDict[Key, _Repeats] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or count it."""
        key = (record.name, record.levelno, message_of(record)[:LONGEST_MESSAGE])
        for over, count in self._expired(self._clock()):
            super().emit(_summary(over, count))
        known = self._seen.setdefault(key, _Repeats(self._clock()))
        if known.written < BURST:
            known.written += 1
            super().emit(record)
        else:
            known.suppressed += 1

    def close(self) -> None:
        """Say what was left out and has not been said yet."""
        with self.lock:  # type: ignore[union-attr]  # made by the constructor
            while self._seen:
                key, known = self._seen.popitem(last=False)
                if known.suppressed and not self.stream.closed:
                    super().emit(_summary(key, known.suppressed))
        super().close()

    def _expired(self, now: float) -> Iterator[tuple[Key, int]]:
        """Forget windows that are over, and the oldest when there are too many; what they suppressed."""
        while self._seen:
            key, known = next(iter(self._seen.items()))
            if now - known.since < WINDOW and len(self._seen) < REMEMBERED:
                return
            del self._seen[key]
            if known.suppressed:
                yield key, known.suppressed


def _summary(key: Key, count: int) -> logging.LogRecord:
    name, level, message = key
    record = logging.LogRecord(name, level, __file__, 0, "%s (repeated %d more times)", (message, count), None)
    record.fields = {"suppressed": count}
    return record
