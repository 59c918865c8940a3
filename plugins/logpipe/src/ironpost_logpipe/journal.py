"""The journal source: journalctl as a child, followed from the entry that was read last.

Two children in turn: the first reads up to the journal's end, the second follows. One that follows would leave out what
was written before the last boot (journalctl 251 to 256 does, whatever else it is told).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from threading import Event

from ironpost_core.alerts import Trust
from ironpost_core.clock import Clock
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.chunks import Chunk, Cursor, Position, Source
from ironpost_logpipe.config import JournalSource
from ironpost_logpipe.journal_child import Child
from ironpost_logpipe.journal_entry import worth
from ironpost_logpipe.journal_export import EntryReader, cursor_of
from ironpost_logpipe.journal_files import own_folders, some_unreadable
from ironpost_logpipe.status import Status

_WAIT = 0.25
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_CURE = "run as root or in the group systemd-journal"
_LATEST = 253_402_300_799.0  # the end of the year 9999, up to which journalctl knows times


class _TroubleError(Exception):
    """Reading can't go on at the moment; the text says why and what helps."""


class JournalReader:
    """Reads the journal for one `[[log_pipeline.sources]]` of type journal.

    Args:
        config: what to read.
        buffer: where entries go; a full one makes journalctl wait.
        clock, stopping: time, and the end.
        stored: how far was read before.
        lookback: with how many seconds of the past to begin when nothing was read before.
        log: for what operators should know.
        program: journalctl.
    """

    def __init__(
        self,
        config: JournalSource,
        *,
        buffer: Buffer,
        clock: Clock,
        stopping: Event,
        stored: Mapping[str, Position | Cursor],
        lookback: float = 0.0,
        log: logging.Logger,
        program: str = "journalctl",
    ) -> None:
        self._config = config
        self._buffer = buffer
        self._clock = clock
        self._stopping = stopping
        self._lookback = lookback
        self._log = log
        self._command = [program, "--quiet", "--output=export"]
        if config.directory is not None:
            self._command.append(f"--directory={config.directory}")
        before = stored.get(config.key)
        #: None: nothing was read before. Empty: from the journal's beginning.
        self._cursor = before.cursor if isinstance(before, Cursor) else None
        self._source = Source(name=config.key, trust=Trust.CLAIMED, format="journal", weigh=worth)
        #: Whether the entry at the cursor can't be read, so that it must not even come.
        self._skips = False
        self._numbers = dict.fromkeys(("restarts", "gaps", "broken", "cut_fields"), 0)
        self._pause = _SHORTEST_PAUSE
        self.status = Status(config.key)
        self._report("starting")

    def run(self) -> None:
        """Read until the end; on a supervised thread."""
        while not self._stopping.is_set():
            try:
                self._read()
            except FileNotFoundError:
                self._wait("journalctl is not installed: install it (package systemd), or leave the source out")
            except OSError as error:
                self._wait(f"journalctl can't be run: {error.strerror or error}")
            except _TroubleError as error:
                self._wait(str(error))

    def _wait(self, trouble: str) -> None:
        """Say what is wrong, once, and let some time pass."""
        trouble = f"{self.status.name}: {trouble}"
        if trouble != self.status.trouble:
            self._log.warning("%s", trouble)
        self.status.trouble = trouble
        self._report("waiting")
        self._clock.wait(self._stopping, self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _read(self) -> None:
        """From where it was left up to the end of the journal, and then what comes."""
        if self._cursor is None:
            self._first_contact()
        elif self._cursor:
            self._find_place(self._cursor)
        if self._cursor is None:
            return  # stopping
        self._report("catching up")
        self._through(self._from_cursor())
        if not self._cursor and not self._stopping.is_set() and self._one() is None:
            where = self._config.directory or "it"
            raise _TroubleError(
                f"no entry in {where}; is systemd-journald running? else name files in log_pipeline.sources"
            )
        if not self._stopping.is_set():
            self._follow()

    def _follow(self) -> None:
        folders = own_folders() if self._config.directory is None else [self._config.directory]
        partly = f"{self.status.name}: a part of it may not be read by this user; {_CURE}"
        self.status.trouble = partly if some_unreadable(folders) else ""
        self._report("reading")
        began = self._clock.monotonic()
        self._through(["--follow", "--no-tail", *self._from_cursor()])
        if self._clock.monotonic() - began > _LONGEST_PAUSE:
            self._pause = _SHORTEST_PAUSE
        if not self._stopping.is_set():
            self._numbers["restarts"] += 1
            raise _TroubleError("journalctl has ended; it is started again")

    def _first_contact(self) -> None:
        """Find out where to begin, and make it known before the first entry, so that it is known after a crash."""
        cursor = b""
        if self._config.start == "end":
            since = min(max(self._clock.now().timestamp() - self._lookback, 0.0), _LATEST)
            last = self._one("--reverse", f"--until=@{since:.6f}")
            cursor = b"" if last is None else cursor_of(last)
        if not self._stopping.is_set():
            self._hand_over([], cursor)

    def _find_place(self, cursor: bytes) -> None:
        """See that the entry read last is still there. When it is not, journalctl begins behind where it was."""
        try:
            there = self._one(f"--cursor={cursor.decode('latin-1')}")
        except _TroubleError as error:
            if "cursor" not in str(error):
                raise
            there = None
        if self._stopping.is_set() or (there is not None and cursor_of(there) == cursor):
            return
        self._numbers["gaps"] += 1
        where = "oldest entry that is left" if there is None else "next one that is left"
        self._log.warning("%s: the entry read last is gone; reading goes on at the %s", self.status.name, where)
        if there is None:
            self._cursor = b""

    def _one(self, *arguments: str) -> bytes | None:
        """One entry of the whole journal, whatever is filtered for."""
        entries, found = EntryReader(), []
        with Child([*self._command, "--lines=1", *arguments]) as child:
            while not self._stopping.is_set() and (data := child.read(_WAIT)) != b"":
                found += entries.feed(data or b"")
            if not self._stopping.is_set():
                self._check(child)
        return found[0] if found else None

    def _from_cursor(self) -> list[str]:
        option = "--after-cursor" if self._skips else "--cursor"
        place = [f"{option}={self._cursor.decode('latin-1')}"] if self._cursor else []
        return [*place, *self._config.filters]

    def _through(self, arguments: list[str]) -> None:
        """Hand over all that a child writes, to its end.

        Raises:
            _TroubleError: it failed, or writes what can't be read.
        """
        entries = EntryReader()
        known = self._cursor
        with Child([*self._command, *arguments]) as child:
            while not self._stopping.is_set() and (data := child.read(_WAIT)) != b"":
                found = entries.feed(data or b"")
                if found:
                    # journalctl begins with the entry whose cursor it is given.
                    self._hand_over(found[1:] if cursor_of(found[0]) == known else found, cursor_of(found[-1]))
                    known = None
                self._note(entries)
            if not self._stopping.is_set():
                self._check(child)

    def _note(self, entries: EntryReader) -> None:
        """Count what went wrong; give up a broken stream, and go on behind the entry that broke it."""
        if entries.cut or entries.refused:
            self._numbers["cut_fields"] += entries.cut
            self._numbers["broken"] += entries.refused
            entries.cut = entries.refused = 0
            self._report("reading")
        if entries.broken:
            self._numbers["broken"] += 1
            if entries.begun:
                self._hand_over([], entries.begun)
                self._skips = True
            raise _TroubleError(f"what journalctl writes can't be read: {entries.broken}; it is started again")

    def _check(self, child: Child) -> None:
        """Look at how a child ended.

        Raises:
            _TroubleError: it failed.
        """
        status = child.status()
        if status == 1 and "permission" in child.complaint:
            raise _TroubleError(f"it may not be read by this user; {_CURE}")
        if status:
            self._numbers["restarts"] += 1
            why = f" ({child.complaint})" if child.complaint else ""
            raise _TroubleError(f"journalctl ended with status {status}{why}; it is started again")

    def _hand_over(self, entries: list[bytes], cursor: bytes) -> None:
        after = Cursor(self._config.key, cursor)
        chunk = Chunk(self._source, entries, self._clock.now().timestamp(), after=after)
        while not self._buffer.put(chunk, _WAIT):
            if self._stopping.is_set():
                return
        self._cursor = cursor
        if entries:
            self._pause, self._skips = _SHORTEST_PAUSE, False

    def _report(self, state: str) -> None:
        self.status.entries = [{"source": self._config.key, "state": state, **self._numbers}]
