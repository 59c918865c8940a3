"""What the tails of one source know of each other's files."""

from __future__ import annotations

from collections.abc import Iterable

from ironpost_logpipe.chunks import Position
from ironpost_logpipe.opened import OpenFile

_REMEMBERED = 4096


class Seen:
    """The files that several tails have read, so that one that gets another's name is not read twice.

    Attributes:
        held: device and inode of those that are open.
        gaps: how often a file was found truncated or gone, so that lines may be missing.
    """

    def __init__(self, stored: Iterable[Position] = ()) -> None:
        self.held: dict[tuple[int, int], OpenFile] = {}
        self.gaps = 0
        self._positions: dict[tuple[int, int], Position] = {}
        for position in stored:
            for each in (*position.before, position):
                self.note(each)

    def note(self, position: Position) -> None:
        """Remember how far a file is read; the longest unchanged is forgotten when there are too many."""
        key = (position.device, position.inode)
        self._positions.pop(key, None)
        self._positions[key] = position
        if len(self._positions) > _REMEMBERED:
            del self._positions[next(iter(self._positions))]

    def offset(self, file: OpenFile) -> int | None:
        """How far this file was read under whatever name."""
        position = self._positions.get(file.key)
        # Without a first byte it is known by the inode alone, which the next file may get.
        return position.offset if position is not None and position.head and file.is_(position) else None

    def is_copy(self, file: OpenFile) -> bool:
        """Whether it is a copy of one that is open: whoever reads that one reads the rest of the copy, if it must."""
        for held in self.held.values():
            if file.is_copy_of(held):
                read = min(file.size(), held.offset)
                self.note(Position("", file.device, file.inode, file.head, read))
                return True
        return False
