"""One open log file: which file it is, and its lines as they are added."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

import attrs

from ironpost_logpipe.chunks import HEAD, MAX_LINE, Position

BLOCK = 64 << 10
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
#: How the files begin that gzip, bzip2, xz, zstd, lz4, compress and zip write.
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\x1f\x9d", b"PK\x03\x04")
PACKED_NAMES = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z", ".zip")


class TruncatedError(Exception):
    """The file became shorter or begins otherwise: what was read of it is not there any more."""


class Lines(NamedTuple):
    """Lines, where the first of them begins, and the first bytes of their file."""

    lines: list[bytes]
    start: int
    head: bytes


@attrs.define(eq=False)
class OpenFile:
    """A file that is open, and how far it is read.

    Attributes:
        modified: when it was written to last, as of the last look, in nanoseconds.
        begun: it is being read, so a checkpoint has to name it.
        quiet_since: when nothing new was found first.
    """

    descriptor: int
    device: int
    inode: int
    head: bytes
    offset: int
    modified: int
    world_writable: bool
    begun: bool = False
    quiet_since: float | None = None
    #: Up to here no end was found for a line that is longer than one may be; not searched again at each look.
    _searched: int = 0

    @classmethod
    def at(cls, path: Path) -> OpenFile:
        """Open a file, to be read from its beginning.

        Raises:
            OSError: it can't be opened, is no regular file or is compressed.
        """
        descriptor = os.open(path, os.O_RDONLY | _NONBLOCK | _BINARY)  # a FIFO must not make this wait for its writer
        try:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                raise OSError(errno.EINVAL, "is not a regular file")
            head = pread(descriptor, HEAD, 0)
            if head.startswith(_PACKED):
                raise OSError(errno.EINVAL, "is compressed")
        except BaseException:
            os.close(descriptor)
            raise
        writable = bool(info.st_mode & stat.S_IWOTH)
        return cls(descriptor, info.st_dev, info.st_ino, head, 0, info.st_mtime_ns, writable)

    @property
    def key(self) -> tuple[int, int]:
        """Device and inode."""
        return self.device, self.inode

    def size(self) -> int:
        """How long it is now."""
        return os.fstat(self.descriptor).st_size

    def linked(self) -> bool:
        """Whether it still has a name."""
        return os.fstat(self.descriptor).st_nlink > 0

    def begin_at(self, offset: int) -> None:
        """Read on from there."""
        self.offset = offset
        if len(self.head) < HEAD:
            self.head = pread(self.descriptor, HEAD, 0)  # what is before the offset must all be in it

    def begin_anew(self) -> None:
        """After it was truncated."""
        self.offset, self.head, self._searched, self.begun = 0, b"", 0, False

    def is_(self, stored: Position) -> bool:
        """Whether it is that file, and still holds what was read of it."""
        return self.inode == stored.inode and self.holds(stored)

    def holds(self, stored: Position) -> bool:
        """Whether all that was read of that file can stand here: it is the file, or a copy."""
        return self.head[: len(stored.head)] == stored.head and self.size() >= stored.offset

    def is_copy_of(self, other: OpenFile) -> bool:
        """Whether one of the two begins with all of the other, judged by two places; also while that can't be told.

        Short files may well be alike without being copies.
        """
        length = min(len(self.head), len(other.head))
        if self.head[:length] != other.head[:length]:
            return False
        if other.size() < other.offset or not other.same_head():
            return True  # truncated: whoever reads it sees that next, and takes what it needs of the copy
        size = min(self.size(), other.size())
        return size >= HEAD and all(
            pread(self.descriptor, HEAD, at) == pread(other.descriptor, HEAD, at) for at in (0, size - HEAD)
        )

    def same_head(self) -> bool:
        """Whether it begins as it did."""
        return pread(self.descriptor, HEAD, 0)[: len(self.head)] == self.head

    def next(self) -> Lines | None:
        """About a block of the lines that were added; None when there is none.

        Raises:
            TruncatedError: see there.
            OSError: it can't be read.
        """
        info = os.fstat(self.descriptor)
        self.world_writable = self.world_writable or bool(info.st_mode & stat.S_IWOTH)
        data = pread(self.descriptor, BLOCK, self.offset) if info.st_size > self.offset else b""
        if not self.offset and data[:1] == b"\0":
            data = self._behind_the_hole()
        # The head is looked at last: then the data are of the file that it belongs to.
        if info.st_size < self.offset or not self.same_head():
            raise TruncatedError
        self.modified = info.st_mtime_ns
        end = data.rfind(b"\n")
        if end >= 0:
            return self._taken(data[:end].split(b"\n"), data, end + 1)
        return self._long_line(data) if len(data) >= MAX_LINE else None

    def _behind_the_hole(self) -> bytes:
        """A writer that goes on where it was before a truncation leaves a hole, which is no text."""
        begin = _first_data(self.descriptor)
        data = pread(self.descriptor, BLOCK, begin)
        self.begin_at(begin + len(data) - len(data.lstrip(b"\0")))
        return pread(self.descriptor, BLOCK, self.offset)

    def _long_line(self, data: bytes) -> Lines | None:
        """The beginning of a line that is longer than one may be; the rest is skipped once its end is there."""
        at = max(self.offset + len(data), self._searched)
        while rest := pread(self.descriptor, 16 * BLOCK, at):
            end = rest.find(b"\n")
            if end >= 0:
                return self._taken([data[:MAX_LINE]], data, at + end + 1 - self.offset)
            at += len(rest)
        self._searched = at
        return None

    def rest(self) -> Lines | None:
        """The last line without its end, when nobody will write on; None when there is none."""
        data = pread(self.descriptor, MAX_LINE, self.offset)
        return self._taken([data], data, len(data)) if data else None

    def _taken(self, lines: list[bytes], data: bytes, length: int) -> Lines:
        start = self.offset
        if len(self.head) < HEAD:
            # Ids are made of the bytes up to a line, so these must all be here.
            self.head = (self.head[:start] + data)[:HEAD]
        self.offset += length
        self.begun = True
        return Lines(lines, start, self.head)

    def position(self, path: Path) -> Position:
        """How far it is read, as the file at `path`."""
        return Position(str(path), self.device, self.inode, self.head, self.offset, self.modified)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)


def _first_data(descriptor: int) -> int:
    """Where the hole at the beginning ends, if there is one."""
    try:
        return os.lseek(descriptor, 0, os.SEEK_DATA)
    except (OSError, AttributeError):
        return 0  # empty, or nothing that this file system knows


def pread(descriptor: int, length: int, offset: int) -> bytes:
    """Bytes from `offset` on, without moving anything where the system can do that."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, length, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, length)


def last_line_end(descriptor: int) -> int:
    """Behind the last LF, so that a line that is just being written is read whole."""
    size = os.fstat(descriptor).st_size
    begin = max(0, size - MAX_LINE)
    end = pread(descriptor, MAX_LINE, begin).rfind(b"\n")
    return begin + end + 1 if end >= 0 else begin
