"""What flows from sources to the matcher: lines by the chunk, with where they are from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import attrs

from ironpost_core.alerts import Observable, Trust
from ironpost_logpipe.event import Event

#: A longer line is cut; the rest of it is skipped.
MAX_LINE = 64 << 10
#: So many of a file's first bytes tell it from another one.
HEAD = 256


@attrs.frozen(kw_only=True)
class Source:
    """What a source says about all of its lines.

    Attributes:
        name: for people.
        trust: what its lines are worth (ARCHITECTURE, "Trust").
        format: the parser's name.
        live: lines arrive once and as they happen: they can't be read again, and their time is that of arrival.
        observables: what the source itself knows; it wins over what a message claims.
        weigh: what one line is worth, when not all of them are worth the same; `trust` is not asked then.
        trust_name: the word for `trust`, at hand because it is part of every window's key.
    """

    name: str
    trust: Trust
    format: str = "auto"
    live: bool = False
    observables: tuple[Observable, ...] = ()
    weigh: Callable[[Event], Trust] | None = None
    trust_name: str = attrs.field(init=False, repr=False, eq=False)

    @trust_name.default
    def _trust_name(self) -> str:
        return str(self.trust)


@attrs.frozen
class Position:
    """How far a file has been read.

    Attributes:
        head: its first bytes, at most HEAD.
        modified: when it was written to last, as of then, in nanoseconds since 1970.
        before: the latest of the files that were at the path before it, and how far they were read.
    """

    path: str
    device: int
    inode: int
    head: bytes
    offset: int
    modified: int = 0
    before: tuple[Position, ...] = ()


@attrs.frozen
class Cursor:
    """How far a journal has been read: behind the entry with this cursor. `path` tells the source from others."""

    path: str
    cursor: bytes


@attrs.frozen
class Chunk:
    """Some lines of one source, in order.

    Attributes:
        source: where they are from.
        lines: without their LF; a CR may still be there.
        arrived: when they were read, in seconds since 1970.
        start: the offset of the first line, for files.
        after: how far the file or journal is read once these lines are processed; None for what can't be read again.
        senders: for datagrams, who sent each line.
        head: the first bytes of the file that the lines are from; None for those of `after`.
        starts: where each line begins, when one does not begin behind the line before.
    """

    source: Source
    lines: Sequence[bytes]
    arrived: float
    start: int = 0
    after: Position | Cursor | None = None
    senders: Sequence[str] = ()
    head: bytes | None = None
    starts: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.lines)

    def offsets(self) -> list[int]:
        """Where each line begins in its file. Exact, because a cut line is alone in its chunk."""
        if self.starts:
            return list(self.starts)
        ends = accumulate(self.lines, lambda at, line: at + len(line) + 1, initial=self.start)
        return list(ends)

    def first(self, count: int) -> Chunk:
        """The same with only the first lines."""
        return attrs.evolve(self, lines=self.lines[:count], senders=self.senders[:count])
