"""Following one path: what was added, from where it was left, through rotation and truncation.

The files that are or were at the path make a chain, the oldest first. A file is known by its inode and its first bytes
(a device number changes between boots). Another file under the same name joins the chain, and so do those between the
two which nobody saw while they had that name; a renamed file stays for a while, because its writer may hold it still.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

import attrs

from ironpost_logpipe.chunks import Position
from ironpost_logpipe.opened import Lines, OpenFile, TruncatedError, last_line_end
from ironpost_logpipe.seen import Seen
from ironpost_logpipe.siblings import find_grown, find_missed

#: A file that has another name or none is let go after so long without a line, or it would fill the disk unseen.
_FORGET = 60.0
#: So long an unended last line of such a file waits for its end.
_UNENDED = 10.0
#: With more files than this in a chain, the oldest are let go sooner; and no more than _MOST are ever open.
_MANY, _SOON, _MOST = 8, 1.0, 64
#: So many files that were at the path before are known by a checkpoint.
_BEFORE = 8
#: A file that appears later is new, so it is read from its beginning, unless it is too large to have just been made.
NEW = 8 << 20

Start: TypeAlias = Literal["window", "end", "beginning"]
#: Where to begin in a file that was never met, by its descriptor.
Contact: TypeAlias = Callable[[int], int]


@attrs.frozen
class Read:
    """Lines, where the first of them begins in the file that begins with `head`, and how far all is read then."""

    lines: list[bytes]
    start: int
    after: Position
    head: bytes


class FileTail:
    """One path. Not thread-safe.

    Args:
        path: where the file is.
        start: where to begin in a file that is there already and was never read.
        stored: how far it was read before.
        seen: what the tails beside this one have read.
        contact: finds the place to begin at for the start "window".
    """

    def __init__(
        self,
        path: Path,
        start: Start,
        stored: Position | None = None,
        seen: Seen | None = None,
        contact: Contact = last_line_end,
    ) -> None:
        self.path = path
        self.trouble = ""
        self.is_twin = False
        self.behind = 0
        self.world_writable = False
        self._name = os.fspath(path)
        self._others = Seen() if seen is None else seen
        self._start = start
        self._contact = contact
        self._stored = stored
        self._chain: list[OpenFile] = []
        self._before: deque[Position] = deque(stored.before if stored else (), _BEFORE)
        self._met = False
        self._idle: tuple[int, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether it is being read."""
        return bool(self._chain)

    def read(self, now: float) -> Read | None:
        """What is new, at most about a block; None when there is nothing.

        A call commits to what it returned: the next one goes on behind it. `now` is monotonic time.
        """
        try:
            there = self._look()
            if self._idle and self._idle == there:
                return None
            self._idle = ()
            self._follow(there)
            return self._next(now, there)
        except OSError as error:
            self.trouble = _trouble(error)
            self.close()
            return None

    def close(self) -> None:
        """Let go of all files."""
        if self._chain:
            self._stored = self._position()
            while self._chain:
                self._let_go(self._chain[0])
            self._before = deque(self._stored.before, _BEFORE)
            self._idle = ()

    # -- what is at the path ------------------------------------------------------------------------------------

    def _look(self) -> tuple[int, ...]:
        """Device, inode, size and time of what is at the path; empty for nothing."""
        try:
            info = os.stat(self._name)  # noqa: PTH116 - four times a second for each file
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
            return ()
        return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns

    def _follow(self, there: tuple[int, ...]) -> None:
        """Open what is at the path, unless it is open."""
        self.trouble = ""
        if self._chain and (not there or there[:2] == self._chain[-1].key or len(self._chain) >= _MOST):
            return
        self.is_twin = bool(there) and there[:2] in self._others.held and not self._is_mine(there)
        file = self._opened() if there and not self.is_twin else None
        if self._chain:
            self._join(file)
        elif self._stored is not None:
            self._resume(self._stored, file)
        elif file is not None:
            self._meet(file)
        self._met = True  # whatever comes under this name from now on is new

    def _is_mine(self, there: tuple[int, ...]) -> bool:
        return any(each.key == there[:2] for each in self._chain)

    def _opened(self) -> OpenFile | None:
        """What is at the path now; None when another tail reads it or its original."""
        try:
            file = OpenFile.at(self.path)
        except FileNotFoundError:
            return None
        mine = next((each for each in self._chain if each.key == file.key), None)
        if mine is not None:  # it got its old name back
            self._chain.remove(mine)
            self._chain.append(mine)
        elif file.key in self._others.held or (self._stored is None and self._others.is_copy(file)):
            self.is_twin = True
        else:
            return file
        file.close()
        return None

    def _join(self, file: OpenFile | None) -> None:
        """Another file came to the path of the latest in the chain, and perhaps others went before it."""
        if file is None:
            return
        latest = self._chain[-1]
        last = latest.position(self.path)
        missed = find_missed(self.path, last, lambda each: each.key == file.key or self._is_known(each), renamed=latest)
        for each in (*missed.others, file):
            self._take_unread(each)

    def _meet(self, file: OpenFile) -> None:
        """A file for the first time, as far as this path goes."""
        offset = self._others.offset(file)
        if offset is None and self._start != "beginning" and (not self._met or file.size() > NEW):
            begin = self._contact if self._start == "window" else last_line_end
            offset = begin(file.descriptor)
        self._take(file, offset or 0)

    def _resume(self, stored: Position, file: OpenFile | None) -> None:
        """Go on after a restart: in the file, or in what became of it."""
        if file is None and self._met:
            return  # it was looked for already

        def is_there(each: OpenFile) -> bool:
            return each.key in self._others.held or (file is not None and each.key == file.key)

        for each in find_grown(self.path, stored.before, is_there):
            self._take(each, each.offset)
        if file is not None and file.is_(stored):
            self._take(file, stored.offset, begun=True)
            if not stored.head:
                self._look_beside(file, stored)
        else:
            missed = find_missed(self.path, stored, lambda each: is_there(each) or self._is_known(each))
            if missed.itself is not None:
                self._take(missed.itself, stored.offset, begun=True)
            if (missed.itself is None or missed.is_copy) and file is not None and self._others.offset(file) is None:
                self._others.gaps += 1
            for each in missed.others if file is None else (*missed.others, file):
                self._take_unread(each)
        if self._chain:
            self._stored = None

    def _look_beside(self, file: OpenFile, last: Position) -> bool:
        """A file of which nothing was known may have been filled, copied and truncated since `last`; whether it was.

        Done behind the reading, so that whatever was before that is found; the file then begins anew.
        """
        missed = find_missed(self.path, last, self._is_known, renamed=file)
        if missed.others:
            self._others.gaps += 1
            file.begin_anew()
            self._insert(missed.others, file)
        return bool(missed.others)

    def _insert(self, files: list[OpenFile], before: OpenFile) -> None:
        at = self._chain.index(before)
        rest = self._chain[at:]
        del self._chain[at:]
        for each in files:
            self._take_unread(each)
        self._chain += rest

    def _is_known(self, file: OpenFile) -> bool:
        """Whether a file needs no reading here, because it is open or was read."""
        return file.key in self._others.held or any(each.head and file.is_(each) for each in self._before)

    def _take_unread(self, file: OpenFile) -> None:
        """From its beginning, unless another tail read it."""
        self._take(file, self._others.offset(file) or 0)

    def _take(self, file: OpenFile, offset: int, *, begun: bool = False) -> None:
        file.begin_at(offset)
        file.begun = file.begun or begun
        self._chain.append(file)
        self._others.held[file.key] = file

    # -- what is in the chain -----------------------------------------------------------------------------------

    def _next(self, now: float, there: tuple[int, ...]) -> Read | None:
        for file in list(self._chain):
            last = file.position(self.path)
            try:
                found = file.next()
            except TruncatedError:
                self._truncated(file)
                return self._next(now, there)
            if not last.head and file.modified != last.modified and self._look_beside(file, last):
                return self._next(now, there)
            if found is None:
                found = self._ended(file, now, there)
            else:
                file.quiet_since = None
            if found is not None:
                return self._read(file, found)
        return self._at_end(there)

    def _read(self, file: OpenFile, found: Lines) -> Read:
        self.world_writable = file.world_writable
        self.behind = sum(max(0, each.size() - each.offset) for each in self._chain)
        return Read(found.lines, found.start, self._position(), found.head)

    def _at_end(self, there: tuple[int, ...]) -> Read | None:
        self.behind = 0
        if not self._chain:
            return None
        latest = self._chain[-1]
        self.behind = max(0, latest.size() - latest.offset)
        if len(self._chain) == 1 and there[:2] == latest.key and latest.begun:
            self._idle = there if there[2:] == (latest.offset + self.behind, latest.modified) else ()
        if latest.begun:
            return None
        latest.begun = True  # told even before its first line, so that it is known after a crash
        return self._read(latest, Lines([], latest.offset, latest.head))

    def _ended(self, file: OpenFile, now: float, there: tuple[int, ...]) -> Lines | None:
        """A file has nothing new: if it is not at the path any more, see whether it is done with."""
        if there[:2] == file.key or (file is self._chain[-1] and file.linked()):
            file.quiet_since = None
            return None
        file.quiet_since = now if file.quiet_since is None else file.quiet_since
        quiet, many = now - file.quiet_since, len(self._chain) > _MANY
        done = quiet >= (_SOON if many else _FORGET) or len(self._chain) >= _MOST
        if (done or quiet >= _UNENDED) and (rest := file.rest()) is not None:
            return rest
        if done:
            self._let_go(file)
        return None

    def _truncated(self, file: OpenFile) -> None:
        """It begins anew. Perhaps it was copied before, and others came and went."""
        self._others.gaps += 1
        last = file.position(self.path)
        file.begin_anew()
        missed = find_missed(self.path, last, self._is_known)
        self._insert(missed.others, file)
        if missed.itself is not None:
            self._insert([missed.itself], missed.others[0] if missed.others else file)
            missed.itself.begin_at(last.offset)
            missed.itself.begun = True

    def _let_go(self, file: OpenFile) -> None:
        position = file.position(self.path)
        self._others.note(position)
        self._others.held.pop(file.key, None)
        if file.begun:
            self._before.append(position)
        self._chain.remove(file)
        file.close()

    def _position(self) -> Position:
        """How far the path is read: its latest file that reading came to, and those before it."""
        begun = [each.position(self.path) for each in self._chain if each.begun] or [self._chain[0].position(self.path)]
        before = (*self._before, *begun[:-1])[-_BEFORE:]
        return attrs.evolve(begun[-1], before=before)


def _trouble(error: OSError) -> str:
    if error.errno == errno.EACCES:
        return "may not be read by this user"
    return f"can't be read: {error.strerror}"
