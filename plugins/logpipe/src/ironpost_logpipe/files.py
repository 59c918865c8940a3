"""The file source: any number of followed files on one thread."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event

from ironpost_core.alerts import Trust
from ironpost_core.clock import Clock
from ironpost_logpipe.buffer import Taker
from ironpost_logpipe.chunks import Chunk, Position, Source
from ironpost_logpipe.config import FileSource
from ironpost_logpipe.contact import FirstContact
from ironpost_logpipe.opened import PACKED_NAMES
from ironpost_logpipe.own import OwnFiles
from ironpost_logpipe.seen import Seen
from ironpost_logpipe.status import Status
from ironpost_logpipe.tail import FileTail, Read

POLL = 0.25
_LOOK_FOR_FILES = 5.0
_WAIT = 0.25


class FileReader:
    """Reads the files of one `[[log_pipeline.sources]]` of type file.

    Args:
        config: what to read.
        buffer: where lines go; a full one makes this wait.
        clock, stopping: time, and the end.
        stored: how far files were read before.
        window: how many seconds back lines matter in a file that is met for the first time.
        data_dir: the daemon's own folder, in which nothing is followed.
    """

    def __init__(
        self,
        config: FileSource,
        *,
        buffer: Taker,
        clock: Clock,
        stopping: Event,
        stored: Mapping[str, Position],
        window: Callable[[], float] = lambda: 0.0,
        data_dir: Path | None = None,
    ) -> None:
        self._config = config
        self._buffer = buffer
        self._clock = clock
        self._stopping = stopping
        self._stored = dict(stored)
        self._seen = Seen(self._stored.values())
        self._contact = FirstContact(lambda: clock.now().timestamp(), window, config.format)
        self._own = OwnFiles(data_dir)
        self._left_out: dict[Path, str] = {}
        self._by_pattern: set[Path] = set()
        self._tails: dict[Path, FileTail] = {}
        self._looked = float("-inf")
        self._rounds = 0
        name = config.name or ", ".join(map(str, config.paths))
        self.status = Status(f"file {name}")

    @property
    def gaps(self) -> int:
        """How often lines may have been missed, because a file was truncated or gone."""
        return self._seen.gaps

    def run(self) -> None:
        """Read until the end; on a supervised thread."""
        while not self._stopping.is_set():
            if not self.poll():
                self._clock.wait(self._stopping, POLL)
        for tail in self._tails.values():
            tail.close()

    def poll(self) -> bool:
        """Read a block of each file; whether there was anything."""
        now = self._clock.monotonic()
        if now - self._looked >= _LOOK_FOR_FILES:
            self._looked = now
            self._find()
        busy = False
        for path, tail in list(self._tails.items()):
            read = tail.read(now)
            if read is not None:
                busy = busy or bool(read.lines)
                self._hand_over(path, tail, read)
        self._report()
        return busy

    def _find(self) -> None:
        """Start to follow files that are named, or that a pattern finds. Those that a pattern finds later are new."""
        later = self._rounds > 0
        self._rounds += 1
        self._own.refresh()
        named = [path for path in self._config.paths if not glob.has_magic(str(path))]
        found = {each for path in self._config.paths if path not in named for each in _matching(path)}
        for path in sorted(self._by_pattern - found):
            if not self._tails[path].is_open:  # gone for good; a new one of that name is found again
                self._drop(path)
        for path in [path for path in self._tails if self._own.writes(path)]:
            self._drop(path)
        self._left_out = {}
        # Those read before come first, so that copies of them are known as such.
        for path in sorted({*named, *found}, key=lambda path: (str(path) not in self._stored, path)):
            if path not in self._tails and not self._leave_out(path, path in named):
                start = "beginning" if later and path in found else self._config.start
                stored = self._stored.pop(str(path), None)
                self._tails[path] = FileTail(path, start, stored, self._seen, self._contact)
                if path not in named:
                    self._by_pattern.add(path)

    def _leave_out(self, path: Path, named: bool) -> bool:
        """Whether not to follow a file, which then is said in the status."""
        why = self._own.why(path)
        if not why and not named and path.name.endswith(PACKED_NAMES):
            why = "not read: it is compressed"
        if why:
            self._left_out[path] = why
        return bool(why)

    def _drop(self, path: Path) -> None:
        self._tails.pop(path).close()
        self._by_pattern.discard(path)

    def _hand_over(self, path: Path, tail: FileTail, read: Read) -> None:
        chunk = Chunk(
            *(self._source(path, tail), read.lines, self._clock.now().timestamp(), read.start, read.after),
            head=read.head,
        )
        while not self._stopping.is_set() and not self._buffer.put(chunk, _WAIT):
            pass

    def _source(self, path: Path, tail: FileTail) -> Source:
        trust = self._config.trust or ("claimed" if tail.world_writable else "local")
        return Source(name=str(path), trust=Trust(trust), format=self._config.format)

    def _report(self) -> None:
        followed = [
            {"source": str(path), "state": _state(tail), "bytes_behind": tail.behind}
            for path, tail in self._tails.items()
        ]
        left_out = [{"source": str(path), "state": why} for path, why in self._left_out.items()]
        self.status.entries = followed + left_out
        troubled = [f"{path} {tail.trouble}" for path, tail in self._tails.items() if tail.trouble]
        if not any(tail.is_open for tail in self._tails.values()):
            names = ", ".join(map(str, self._config.paths))
            why = ", ".join(troubled) + "; run as root or in the group adm, or" if troubled else "none is there;"
            self.status.trouble = f"no readable log among {names}: {why} name others in log_pipeline.sources"
        else:
            cure = "; run as root or in the group adm, or leave the file out"
            self.status.trouble = ", ".join(troubled) + cure if troubled else ""


def _matching(pattern: Path) -> list[Path]:
    return sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))


def _state(tail: FileTail) -> str:
    if tail.is_open:
        return "reading"
    return tail.trouble or ("read by its other name" if tail.is_twin else "not there yet")
