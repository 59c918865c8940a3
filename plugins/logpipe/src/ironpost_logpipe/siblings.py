"""What rotation made of a log file: the renamed or copied one, and those that came and went while nobody looked.

A renamed file is known by its inode, whatever it is called now, in its folder or one below. Files that were never seen
are taken by their names: ``auth.log.1``, ``auth.log-20260101``, or as the renamed one is called but for the digits.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import attrs

from ironpost_logpipe.chunks import Position
from ironpost_logpipe.opened import PACKED_NAMES, OpenFile

#: So many names are looked at, in a folder and those below together.
_MOST_NAMES = 20_000
_ROTATED = re.compile(r"[-._](?:[0-9][-._0-9TZ:+]*|old)")
_DIGITS = re.compile("[0-9]+")

#: Tells which files need no reading.
Known: TypeAlias = Callable[[OpenFile], bool]


@attrs.frozen
class Missed:
    """What is to be read before the file that is at the path now.

    Attributes:
        itself: the file that was read, by its new name or as a copy.
        is_copy: it is a copy, so the file was truncated; what came between the two is nowhere.
        others: files that followed it, from the oldest to the latest.
    """

    itself: OpenFile | None
    is_copy: bool
    others: list[OpenFile]


def is_rotated_name(name: str, candidate: str) -> bool:
    """Whether `candidate` is what a rotated `name` is called, compressed ones left out."""
    return candidate.startswith(name) and _ROTATED.fullmatch(candidate, len(name)) is not None


def find_missed(path: Path, last: Position, known: Known, *, renamed: OpenFile | None = None) -> Missed:
    """Look for what `last` has become, and for what followed it.

    Args:
        path: where the file was.
        last: how far it was read.
        known: tells which files need no reading here.
        renamed: the file itself if it is open.
    """
    place = _by_inode(path.parent, last.inode)
    itself = renamed
    if itself is None and place is not None:
        itself = _opened(place, known, lambda file: file.is_(last))
    found: list[OpenFile] = []
    for candidate in _related(path, place):
        file = _opened(candidate, lambda each: known(each) or (itself is not None and each.key == itself.key))
        if file is not None:
            found.append(file)
    is_copy = itself is None
    if itself is None:
        itself = max((file for file in found if last.head and file.holds(last)), key=_age, default=None)
    others = []
    for file in sorted(found, key=_age):
        if file is itself:
            continue
        if file.modified >= last.modified and not _is_copy(file, last, itself):
            others.append(file)
        else:
            file.close()
    if itself is not None and itself is not renamed:
        itself.begin_at(last.offset)
    return Missed(itself, is_copy and itself is not None, others)


def find_grown(path: Path, stored: tuple[Position, ...], known: Known) -> list[OpenFile]:
    """Those of the files that were read before which somebody has written to since then."""
    wanted = {position.inode: position for position in stored}
    grown = {}
    for entry in _entries(path.parent):
        position = wanted.get(entry.inode())
        if position is None:
            continue
        file = _opened(Path(entry.path), known, lambda file, at=position: file.is_(at) and file.size() > at.offset)  # type: ignore[misc]
        if file is not None:
            file.begin_at(position.offset)
            file.begun = True
            grown[position.inode] = file
    return [grown[inode] for inode in wanted if inode in grown]


def _is_copy(file: OpenFile, last: Position, itself: OpenFile | None) -> bool:
    """Whether it is one more copy of the file that was read; one that ends before what was read is useless."""
    if itself is not None:
        return file.is_copy_of(itself)
    return bool(last.head) and file.head.startswith(last.head)


def _age(file: OpenFile) -> int:
    return file.modified


def _opened(path: Path, known: Known, wanted: Callable[[OpenFile], bool] = lambda _: True) -> OpenFile | None:
    try:
        file = OpenFile.at(path)
    except OSError:
        return None  # gone, compressed or not ours to read: then it is not found, which the caller copes with
    if not known(file) and wanted(file):
        return file
    file.close()
    return None


def _related(path: Path, place: Path | None) -> Iterator[Path]:
    """The files that are called as rotated ones are."""
    shape = None if place is None or place == path else _DIGITS.sub("0", place.name)
    for folder in {path.parent, path.parent if place is None else place.parent}:
        for entry in _entries(folder):
            alike = shape == _DIGITS.sub("0", entry.name) and place is not None and folder == place.parent
            if (alike or is_rotated_name(path.name, entry.name)) and not entry.name.endswith(PACKED_NAMES):
                yield Path(entry.path)


def _by_inode(folder: Path, inode: int) -> Path | None:
    """The file of that number, in the folder or one below (logrotate's ``olddir``)."""
    below = []
    for entry in _entries(folder):
        if entry.inode() == inode:
            return Path(entry.path)
        with contextlib.suppress(OSError):
            if entry.is_dir(follow_symlinks=False):
                below.append(Path(entry.path))
    names = (entry for each in below for entry in _entries(each))
    return next((Path(entry.path) for entry in islice(names, _MOST_NAMES) if entry.inode() == inode), None)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(islice(entries, _MOST_NAMES))
    except OSError:
        return []
