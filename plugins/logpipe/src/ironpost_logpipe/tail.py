"""Following one file: what was added, from where it was left, through rotation and truncation.

A file is known by its inode and its first bytes (a device number changes between boots). Another file under the same
name is read from its beginning, after what is left of the one before. A last line without its line end waits for it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

import attrs

from ironpost_logpipe.chunks import HEAD, MAX_LINE, Position

BLOCK = 64 << 10
#: A renamed file is followed for so long after its last line, because its writer may not have let go of it yet.
_GRACE = 1.0
#: A file that has no name any more is let go after so long without a line, or it would fill the disk unseen.
_FORGET = 60.0
_REMEMBERED = 4096
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)

Start: TypeAlias = Literal["end", "beginning"]


@attrs.frozen
class Read:
    """Lines, where the first of them begins, and how far the file is read after them."""

    lines: list[bytes]
    start: int
    after: Position


@attrs.define
class _Open:
    """The file that is open."""

    descriptor: int
    device: int
    inode: int
    head: bytes
    offset: int
    world_writable: bool
    #: Up to here no end was found for a line that is longer than one may be; not searched again at each look.
    searched: int = 0


class Seen:
    """The files that several tails have read, so that one that gets another's name is not read twice.

    A checkpoint holds one position for each name, so a crash in the seconds between a rotation and the next look at
    the folder forgets this, and a pattern that finds the rotated file has it read again.

    Attributes:
        held: device and inode of those that are open.
    """

    def __init__(self, stored: Iterable[Position] = ()) -> None:
        self.held: set[tuple[int, int]] = set()
        self._positions = {(each.device, each.inode): each for each in stored}

    def note(self, position: Position) -> None:
        """Remember how far a file is read; the longest unchanged is forgotten when there are too many."""
        key = (position.device, position.inode)
        self._positions.pop(key, None)
        self._positions[key] = position
        if len(self._positions) > _REMEMBERED:
            del self._positions[next(iter(self._positions))]

    def offset(self, file: _Open) -> int | None:
        """How far this file was read under whatever name."""
        position = self._positions.get((file.device, file.inode))
        return position.offset if position is not None and _is(file, position) else None


class FileTail:
    """One path. Not thread-safe.

    Args:
        path: the file.
        start: where to begin in a file that is there already and was never read.
        stored: how far it was read before.
        seen: what the tails beside this one have read.
    """

    def __init__(self, path: Path, start: Start, stored: Position | None = None, seen: Seen | None = None) -> None:
        self.path = path
        self.trouble = ""
        self.is_twin = False
        self._others = Seen() if seen is None else seen
        self._start = start
        self._stored = stored
        self._file: _Open | None = None
        self._seen = False
        self._quiet_since: float | None = None
        self._behind = 0
        self._announce = False
        self._world_writable = False

    @property
    def is_open(self) -> bool:
        """Whether it is being read."""
        return self._file is not None

    @property
    def behind(self) -> int:
        """Bytes that were there and not read yet, when it was last looked at."""
        return self._behind

    @property
    def world_writable(self) -> bool:
        """Whether every user may, or could before, write to the file that was read last."""
        return self._world_writable

    def read(self, now: float) -> Read | None:
        """What is new, at most about BLOCK bytes; None when there is nothing.

        A call commits to what it returned: the next one goes on behind it. `now` is monotonic time.
        """
        if self._file is None and not self._open():
            return None
        file = self._file
        if file is None:
            return None
        try:
            return self._next(file, now)
        except OSError as error:
            self.trouble = f"can't be read: {error.strerror}"
            self.close()
            return None

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._stored = self._position(self._file)
            self._others.note(self._stored)
            self._others.held.discard((self._file.device, self._file.inode))
            os.close(self._file.descriptor)
            self._file = None

    def _next(self, file: _Open, now: float) -> Read | None:
        info = os.fstat(file.descriptor)
        size = info.st_size
        file.world_writable = file.world_writable or bool(info.st_mode & stat.S_IWOTH)
        self._world_writable = file.world_writable
        self._behind = max(0, size - file.offset)
        if size < file.offset or not self._same_head(file):
            file.offset, file.head, file.searched = 0, b"", 0  # truncated, or emptied and written anew
        found = self._lines(file)
        if found is not None:
            self._quiet_since = None
            return found
        return self._at_end(file, now)

    def _same_head(self, file: _Open) -> bool:
        head = _pread(file.descriptor, HEAD, 0)
        if head[: len(file.head)] != file.head:
            return False
        file.head = head
        return True

    def _lines(self, file: _Open) -> Read | None:
        data = _pread(file.descriptor, BLOCK, file.offset)
        end = data.rfind(b"\n")
        if end >= 0:
            return self._taken(file, data[:end].split(b"\n"), end + 1)
        if len(data) < MAX_LINE:
            return self._announced(file)
        # Longer than a line may be: its beginning counts as the line, the rest is skipped up to its end.
        at = max(file.offset + len(data), file.searched)
        while rest := _pread(file.descriptor, 16 * BLOCK, at):
            end = rest.find(b"\n")
            if end >= 0:
                return self._taken(file, [data[:MAX_LINE]], at + end + 1 - file.offset)
            at += len(rest)
        file.searched = at
        return self._announced(file)

    def _announced(self, file: _Open) -> Read | None:
        """Tell where reading begins even before the first line, so that it is known after a crash."""
        return self._taken(file, [], 0) if self._announce else None

    def _taken(self, file: _Open, lines: list[bytes], length: int) -> Read:
        start = file.offset
        file.offset += length
        self._behind = max(0, self._behind - length)
        self._announce = False
        if len(file.head) < HEAD:
            # Anew, behind the lines: ids are made of the bytes up to a line, so these must all be here.
            file.head = _pread(file.descriptor, HEAD, 0)
        return Read(lines, start, self._position(file))

    def _at_end(self, file: _Open, now: float) -> Read | None:
        """See whether the path has become another file; then finish this one, its unended last line included."""
        try:
            there = self.path.stat()
        except OSError:
            # Renamed and not made anew yet, or deleted while its writer still holds it.
            return self._finished(file, now, _FORGET) if os.fstat(file.descriptor).st_nlink == 0 else None
        if there.st_ino == file.inode and there.st_dev == file.device:
            self._quiet_since = None
            return None
        return self._finished(file, now, _GRACE)

    def _finished(self, file: _Open, now: float, grace: float) -> Read | None:
        """Let go of the file once it has been quiet for `grace` seconds."""
        self._quiet_since = now if self._quiet_since is None else self._quiet_since
        if now - self._quiet_since < grace:
            return None
        rest = _pread(file.descriptor, MAX_LINE, file.offset)
        read = self._taken(file, [rest], len(rest)) if rest else None
        self.close()
        self._stored = None
        self._quiet_since = None
        return read

    def _open(self) -> bool:
        try:
            file = _opened(self.path)
        except OSError as error:
            self.trouble = "" if error.errno == errno.ENOENT else _trouble(error)
            self._seen = self._seen or error.errno == errno.ENOENT
            return False
        self.trouble = ""
        self.is_twin = (file.device, file.inode) in self._others.held
        if self.is_twin:  # read by its other name up to its end; then it goes on here
            os.close(file.descriptor)
            return False
        self._announce = True
        stored, self._stored = self._stored, None
        elsewhere = self._others.offset(file)
        if elsewhere is not None:
            file.offset = elsewhere
        if stored is not None:
            file = self._resumed(file, stored)
        elif elsewhere is None and not self._seen and self._start == "end":
            file.offset = _last_line_end(file.descriptor)
        self._seen = True  # whatever comes under this name from now on is new from its first byte
        self._file = file
        self._others.held.add((file.device, file.inode))
        return True

    def _resumed(self, file: _Open, stored: Position) -> _Open:
        if _is(file, stored):
            file.offset = stored.offset
            return file
        # Rotated while nobody looked: go on in the renamed file if it is still beside; `_at_end` comes back here.
        renamed = _find_renamed(self.path, stored)
        if renamed is None:
            return file  # new, or read under another name before
        if (renamed.device, renamed.inode) in self._others.held:
            os.close(renamed.descriptor)
            return file
        os.close(file.descriptor)
        renamed.offset = stored.offset
        return renamed

    def _position(self, file: _Open) -> Position:
        return Position(str(self.path), file.device, file.inode, file.head, file.offset)


def _opened(path: Path) -> _Open:
    descriptor = os.open(path, os.O_RDONLY | _NONBLOCK | _BINARY)  # a FIFO must not make this wait for its writer
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise OSError(errno.EINVAL, "is not a regular file")
        head = _pread(descriptor, HEAD, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return _Open(descriptor, info.st_dev, info.st_ino, head, 0, bool(info.st_mode & stat.S_IWOTH))


def _is(file: _Open, stored: Position) -> bool:
    same_head = file.head[: len(stored.head)] == stored.head
    return file.inode == stored.inode and same_head and os.fstat(file.descriptor).st_size >= stored.offset


def _find_renamed(path: Path, stored: Position) -> _Open | None:
    """The file that was at `path` once, among those whose names begin with its name."""
    try:
        beside = sorted(path.parent.glob(f"{path.name}?*"))
    except OSError:
        return None
    for candidate in beside:
        try:
            if candidate.stat().st_ino != stored.inode:
                continue
            file = _opened(candidate)
        except OSError:
            continue  # gone or not ours to read: then it is not found, which the caller copes with
        if _is(file, stored):
            return file
        os.close(file.descriptor)
    return None


def _last_line_end(descriptor: int) -> int:
    """Behind the last LF, so that a line that is just being written is read whole."""
    size = os.fstat(descriptor).st_size
    begin = max(0, size - MAX_LINE)
    end = _pread(descriptor, MAX_LINE, begin).rfind(b"\n")
    return begin + end + 1 if end >= 0 else begin


def _pread(descriptor: int, length: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, length, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, length)


def _trouble(error: OSError) -> str:
    if error.errno == errno.EACCES:
        return "may not be read by this user"
    return f"can't be opened: {error.strerror}"
