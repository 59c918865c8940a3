"""The journal's export format (systemd.io/JOURNAL_EXPORT_FORMATS), entry by entry out of a stream.

A field is ``NAME=value`` and LF, or, when its value is no plain text, ``NAME``, LF, the length in eight bytes, the
value and LF. An empty line ends an entry. Whatever stands in a value was chosen by somebody, so an entry is only ever
read from its beginning: whoever looked for ends or names within it could be shown fields that are none.

An entry stays in this format on its way to the matcher. So only entries that a rule may match are taken apart, and a
value stands in it as it is, which is what the prefilter searches for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ironpost_logpipe.chunks import MAX_LINE
from ironpost_logpipe.patterns import compile_pattern, span_finder

#: An entry takes no more than this; what does not fit is left out.
MAX_ENTRY = 4 * MAX_LINE
#: journald's own limit.
MAX_FIELDS = 1024
_CURSOR = b"__CURSOR="
_LONGEST_NAME = 64
#: journald's own limit is 768 MiB.
_LONGEST_VALUE = 1 << 30
_LENGTH = 8
#: An entry without binary fields, of which the first would have a name on a line without "=".
_is_text = span_finder(compile_pattern(r"\A__CURSOR=[^\n]*(?:\n[^=\n]+=[^\n]*)*\z"))


class _BrokenError(ValueError):
    """What came can't be the export format; the text says why."""


class EntryReader:
    """Takes a stream in pieces of any size. A field longer than MAX_LINE is cut, so that memory is bounded.

    Attributes:
        cut: fields that were cut, or left out of an entry that was full.
        refused: entries without a cursor, which can't be found again.
        broken: why nothing more can be read from this stream: there is no telling where the next entry begins.
    """

    def __init__(self) -> None:
        self.cut = 0
        self.refused = 0
        self.broken = ""
        self._rest = b""
        self._kept: list[bytes] = []
        self._size = 0
        self._has_binary = False
        self._open = False
        self._skip_line = False
        self._skip = 0

    @property
    def begun(self) -> bytes:
        """The cursor of the entry that is not complete yet; empty when none has begun."""
        return cursor_of(self._kept[0]) if self._kept else b""

    def feed(self, data: bytes) -> list[bytes]:
        """The entries that are complete now, without the empty line."""
        entries: list[bytes] = []
        if not self.broken:
            try:
                self._feed(self._rest + data, entries)
            except _BrokenError as error:
                self.broken, self._rest = str(error), b""
        return entries

    def _feed(self, data: bytes, entries: list[bytes]) -> None:
        at = 0
        while at < len(data):
            if not self._open:
                # By far the most frequent kind of entry goes no other way than this: short, whole, nothing but text.
                end = data.find(b"\n\n", at, at + MAX_LINE)
                if end >= 0 and _is_text(entry := data[at:end]) is not None:
                    entries.append(entry)
                    at = end + 2
                    continue
            after = self._skipped(data, at) if self._skip or self._skip_line else self._field(data, at, entries)
            if after < 0:
                break
            at = after
        self._rest = data[at:]

    def _add(self, entries: list[bytes], entry: bytes) -> None:
        if entry.startswith(_CURSOR) or (self._has_binary and entry):
            entries.append(entry)
        else:
            self.refused += 1

    def _field(self, data: bytes, at: int, entries: list[bytes]) -> int:
        """Read what begins at `at`, a field or an entry's end; where the next begins, -1 when it is not all there."""
        end = data.find(b"\n", at)
        if end == at:
            self._finish(entries)
            return at + 1
        if end < 0 and len(data) - at <= MAX_LINE:
            return -1
        line_end = end if end >= 0 else len(data)
        if data.find(b"=", at, min(line_end, at + _LONGEST_NAME + 1)) < 0:
            return self._binary(data, at, line_end)
        self._open = True
        if line_end - at > MAX_LINE:
            self.cut += 1
            self._keep(data[at : at + MAX_LINE])
            self._skip_line = end < 0
        else:
            self._keep(data[at:line_end])
        return line_end + 1 if end >= 0 else len(data)

    def _binary(self, data: bytes, at: int, line_end: int) -> int:
        if line_end - at > _LONGEST_NAME:
            raise _BrokenError("a field's name that never ends")
        start = line_end + 1 + _LENGTH
        if len(data) < start:
            return -1
        length = int.from_bytes(data[line_end + 1 : start], "little")
        if length > _LONGEST_VALUE:
            raise _BrokenError("a field's length that can't be")
        stays = min(length, MAX_LINE)
        if len(data) <= start + stays:
            return -1
        self._open = self._has_binary = True
        self._keep(data[at : line_end + 1] + stays.to_bytes(_LENGTH, "little") + data[start : start + stays])
        self.cut += stays < length
        self._skip = length - stays + 1
        return self._skipped(data, start + stays)

    def _skipped(self, data: bytes, at: int) -> int:
        """Pass over the rest of a field and the LF behind it."""
        if self._skip_line:
            end = data.find(b"\n", at)
            self._skip_line = end < 0
            return len(data) if end < 0 else end + 1
        step = min(self._skip, len(data) - at)
        self._skip -= step
        if not self._skip and data[at + step - 1 : at + step] != b"\n":
            raise _BrokenError("a field longer than its length")
        return at + step

    def _keep(self, field: bytes) -> None:
        if len(self._kept) >= MAX_FIELDS or self._size + len(field) > MAX_ENTRY:
            self.cut += 1
            return
        self._kept.append(field)
        self._size += len(field) + 1

    def _finish(self, entries: list[bytes]) -> None:
        if self._has_binary:
            # The cursor is text: a line's end is taken off before it is parsed, and a value might end in one.
            first = self._kept.pop(0)
            self._kept = [*self._kept, first] if first.startswith(_CURSOR) else []
        if self._open:
            self._add(entries, b"\n".join(self._kept))
        self._kept, self._size, self._has_binary, self._open = [], 0, False, False


def cursor_of(entry: bytes) -> bytes:
    """The place of an entry that `EntryReader` gave."""
    begin = 0 if entry.startswith(_CURSOR) else entry.rfind(b"\n" + _CURSOR) + 1
    end = entry.find(b"\n", begin)
    return entry[begin + len(_CURSOR) : end if end >= 0 else len(entry)]


def key_of(name: bytes) -> bytes:
    """What `field_reader` finds a field by."""
    return b"\n%b=" % name


def field_reader(entry: bytes) -> Callable[[bytes], bytes | None]:
    """A function that gives a field by its key, without reading all of them where that can be spared."""
    if b"\0" in entry:  # a binary field's length ends in one, and no text holds any
        return {key_of(name): value for name, value in fields_of(entry).items()}.get
    return partial(_text_field, entry)


def _text_field(entry: bytes, key: bytes) -> bytes | None:
    at = entry.find(key)  # nothing but text: a line end within it is none of a value
    if at < 0 and not entry.startswith(key[1:]):
        return None
    at += len(key)
    end = entry.find(b"\n", at)
    return entry[at:end] if end >= 0 else entry[at:]


def fields_of(entry: bytes) -> dict[bytes, bytes]:
    """An entry's fields; of one that is repeated the first counts. Takes any bytes, and makes of them what it can."""
    fields: dict[bytes, bytes] = {}
    at = 0
    for line in entry.split(b"\n"):
        name, equals, value = line.partition(b"=")
        if not equals:
            return _with_binary(entry, at, fields)
        if name not in fields:
            fields[name] = value
        at += len(line) + 1
    return fields


def _with_binary(entry: bytes, at: int, fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Go on from the name of a binary field at `at`."""
    while at < len(entry):
        end = entry.find(b"\n", at)
        end = end if end >= 0 else len(entry)
        name, equals, value = entry[at:end].partition(b"=")
        if not equals:
            start = end + 1 + _LENGTH
            end = start + int.from_bytes(entry[end + 1 : start], "little")
            value = entry[start:end]
        fields.setdefault(name, value)
        at = end + 1
    return fields
