"""Whether this machine has a journal, and whether all of it can be read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

#: Where journald keeps its files, each machine's in a folder of its own.
FOLDERS = (Path("/var/log/journal"), Path("/run/log/journal"))
MACHINE_ID = Path("/etc/machine-id")


def has_journal(program: str = "journalctl", folders: Iterable[Path] = FOLDERS, machine_id: Path = MACHINE_ID) -> bool:
    """Whether the system's own journal is there and can be read, with the program that it takes."""
    if shutil.which(program) is None:
        return False
    return any(os.access(folder / "system.journal", os.R_OK) for folder in own_folders(folders, machine_id))


def own_folders(folders: Iterable[Path] = FOLDERS, machine_id: Path = MACHINE_ID) -> list[Path]:
    """The folders of this machine's journal, whether they are there or not."""
    try:
        name = machine_id.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return []
    return [folder / name for folder in folders] if name else []


def some_unreadable(folders: Iterable[Path]) -> bool:
    """Whether there are journal files in or directly below `folders` that this user may not read."""
    return any(not os.access(path, os.R_OK) for folder in folders for path in _files(folder, 1))


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """Journal files, and folders that can't be looked into."""
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir() raises when a folder above is closed
        return
    try:
        inside = list(folder.iterdir())
    except OSError:
        yield folder
        return
    for path in inside:
        if path.suffix == ".journal":
            yield path
        elif depth:
            yield from _files(path, depth - 1)
