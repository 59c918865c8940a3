"""The Docker source: the files of the json-file driver, followed as any files are, each knowing its container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any, TypeAlias

import attrs

from ironpost_core.alerts import Key, Observable, Trust
from ironpost_core.clock import Clock
from ironpost_logpipe.buffer import Taker
from ironpost_logpipe.chunks import MAX_LINE, Chunk, Position, Source
from ironpost_logpipe.config import DockerSource, FileSource
from ironpost_logpipe.dockerjson import piece
from ironpost_logpipe.files import POLL, FileReader
from ironpost_logpipe.jsonlines import document
from ironpost_logpipe.status import Status

#: What is held back because a line is not whole yet is at most so many bytes, and so many seconds old.
MAX_HELD = 256 << 10
HOLD_TIME = 5.0
_SUFFIX = "-json.log"
_ID_LENGTH = 64
_LARGEST_CONFIG = 1 << 20
_WAIT = 0.25
_CACHED_SOURCES = 1024
#: A line of the file, and where it begins.
_Record: TypeAlias = tuple[bytes, int]


class DockerReader:
    """Reads the files of one `[[log_pipeline.sources]]` of type docker; arguments as `FileReader`'s."""

    def __init__(
        self, config: DockerSource, *, buffer: Taker, clock: Clock, stopping: Event, stored: Mapping[str, Position]
    ) -> None:
        name = config.name or f"docker {', '.join(map(str, config.paths))}"
        files = FileSource(name=name, paths=config.paths, start=config.start, trust=config.trust)
        self._joining = Joining(buffer, clock, config.format)
        self._files = FileReader(files, buffer=self._joining, clock=clock, stopping=stopping, stored=stored)
        self._clock = clock
        self._stopping = stopping

    @property
    def status(self) -> Status:
        """How its files are."""
        return self._files.status

    def run(self) -> None:
        """Read until the end; on a supervised thread."""
        while not self._stopping.is_set():
            if not self.poll():
                self._clock.wait(self._stopping, POLL)
        self._files.run()  # which at the end only lets go of the files

    def poll(self) -> bool:
        """Read a block of each file; whether there was anything."""
        busy = self._files.poll()
        self._joining.release_old(_WAIT)
        return busy


@attrs.frozen
class _Held:
    """Records that wait, and the file's position behind them.

    Attributes:
        skipping: the streams of which the rest of a line that is too long is passed over, where they begin.
        since: since when the first one waits (monotonic).
        source: as the file reader calls it.
    """

    records: Sequence[_Record]
    after: Position | None
    skipping: frozenset[bytes]
    since: float
    source: Source | None = None


_NONE_HELD = _Held((), None, frozenset(), 0.0)


class Joining:
    """Stands between the file reader and the buffer: names containers, and joins the pieces of long lines.

    The pieces of a line come out as one line, with LFs between them. While a line is not whole, it and what comes
    behind it wait here, and the position stays in front of it. A line larger than a line may be is cut.
    """

    def __init__(self, buffer: Taker, clock: Clock, format_: str) -> None:
        self._buffer = buffer
        self._clock = clock
        self._format = f"docker/{format_}"
        self._held: dict[str, _Held] = {}
        self._sources: dict[Source, Source] = {}

    def put(self, chunk: Chunk, timeout: float) -> bool:
        """As `Buffer.put`."""
        held = self._held.get(chunk.source.name, _NONE_HELD)
        if not _continues(held.after, chunk):
            if held.records and not self._put(chunk, held, timeout, whole=True):
                return False
            held = _NONE_HELD
        new = tuple(zip(chunk.lines, chunk.offsets(), strict=False))
        after = chunk.after if isinstance(chunk.after, Position) else None  # as it is of all files
        return self._put(chunk, attrs.evolve(held, records=(*held.records, *new), after=after), timeout)

    def release_old(self, timeout: float) -> None:
        """Hand over what has waited for too long for the rest of its line."""
        now = self._clock.monotonic()
        for held in list(self._held.values()):
            if held.records and held.source is not None and now - held.since >= HOLD_TIME:
                self._put(Chunk(held.source, (), self._clock.now().timestamp()), held, timeout, whole=True)

    def _put(self, chunk: Chunk, all_: _Held, timeout: float, *, whole: bool = False) -> bool:
        """Hand over those of all records that are whole, or all of them; hold the rest. False changes nothing."""
        join = _Join(all_.skipping)
        for record in all_.records:
            join.add(record)
        lines, rest = join.whole(all_.records)
        after = all_.after
        if whole or sum(len(line) for line, _ in rest) > MAX_HELD:
            lines, rest, skipping = join.everything(), (), join.skipping | join.open_streams
        else:
            skipping = join.skipping_then
            if rest and after is not None:
                after = attrs.evolve(after, offset=rest[0][1])
        starts = [start for _, start in lines]
        start = starts[0] if starts else chunk.start
        out = Chunk(self._source(chunk.source), [line for line, _ in lines], chunk.arrived, start, after, starts=starts)
        if not self._buffer.put(out, timeout):
            return False
        if rest or skipping:
            held = self._held.get(chunk.source.name, _NONE_HELD)
            since = held.since if rest and rest[:1] == held.records[:1] else self._clock.monotonic()
            self._held[chunk.source.name] = _Held(rest, all_.after, skipping, since, chunk.source)
        else:
            self._held.pop(chunk.source.name, None)
        return True

    def _source(self, source: Source) -> Source:
        known = self._sources.get(source)
        if known is None:
            if len(self._sources) >= _CACHED_SOURCES:
                self._sources.clear()
            known = attrs.evolve(source, format=self._format, observables=container(Path(source.name)))
            self._sources[source] = known
        return known


def _continues(after: Position | None, chunk: Chunk) -> bool:
    """Whether a chunk comes right behind a position, in the same file."""
    there = chunk.after
    if after is None or not isinstance(there, Position):
        return False
    return (after.device, after.inode, after.offset) == (there.device, there.inode, chunk.start)


class _Join:
    """Puts the pieces of one file's lines together."""

    def __init__(self, skipping: frozenset[bytes]) -> None:
        self.skipping = skipping
        self.skipping_then = skipping
        self._lines: list[tuple[list[bytes], int]] = []
        self._open: dict[bytes, int] = {}
        self._added = 0
        self._safe = (0, 0)

    @property
    def open_streams(self) -> frozenset[bytes]:
        """Those whose last line goes on."""
        return frozenset(self._open)

    def add(self, record: _Record) -> None:
        """Take the next record."""
        stream, goes_on = piece(record[0])
        self._added += 1
        if stream in self.skipping:
            self.skipping = self.skipping if goes_on else self.skipping - {stream}
        else:
            self._append(record, stream)
            if not goes_on:
                self._open.pop(stream, None)
        if not self._open:
            self._safe, self.skipping_then = (self._added, len(self._lines)), self.skipping

    def _append(self, record: _Record, stream: bytes) -> None:
        at = self._open.get(stream)
        if at is None:
            self._open[stream] = len(self._lines)
            self._lines.append(([record[0]], record[1]))
            return
        pieces = self._lines[at][0]
        if sum(map(len, pieces)) + len(record[0]) <= MAX_LINE:
            pieces.append(record[0])

    def everything(self) -> list[_Record]:
        """All lines, whole or not."""
        return [(b"\n".join(pieces), start) for pieces, start in self._lines]

    def whole(self, records: Sequence[_Record]) -> tuple[list[_Record], Sequence[_Record]]:
        """The lines up to the last place where none went on, and the records behind it."""
        added, lines = self._safe
        return self.everything()[:lines], records[added:]


def container(path: Path) -> tuple[Observable, ...]:
    """What is known of the container whose log this is: its id by the file's name, name and image if readable."""
    found = path.name.removesuffix(_SUFFIX)
    if len(found) != _ID_LENGTH or found.strip("0123456789abcdef"):
        return ()
    config = _config(path.parent / "config.v2.json")
    settings = config.get("Config")
    image = settings.get("Image") if isinstance(settings, dict) else None
    name = config.get("Name")
    known = [
        (Key.CONTAINER_ID, found),
        (Key.CONTAINER_NAME, name.removeprefix("/") if isinstance(name, str) else ""),
        (Key.IMAGE, image if isinstance(image, str) else ""),
    ]
    return tuple(Observable(key, value, Trust.LOCAL) for key, value in known if value)


def _config(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as opened:
            return document(opened.read(_LARGEST_CONFIG)) or {}
    except OSError:
        return {}  # only root may read it, as a rule, and the id is enough
