"""The files that this daemon writes itself: following them, it would feed on its own log and its own alerts."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path

from ironpost_logpipe.opened import OpenFile
from ironpost_logpipe.siblings import is_rotated_name

_DESCRIPTORS = "/proc/self/fd"
#: How a line of alerts begins, such as the sink jsonl writes; it is opened at the first alert only.
_ALERT = re.compile(rb'\{"schema": ?[0-9]+, ?"rule": ?"')


class OwnFiles:
    """What this process has open for writing, what that rotates to, and all below `folder`."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = None if folder is None else os.path.realpath(folder)
        self._keys: set[tuple[int, int]] = set()
        self._paths: set[Path] = set()

    def refresh(self) -> None:
        """See what is open now."""
        keys = set()
        for number in _descriptors():
            with contextlib.suppress(OSError):
                info = os.fstat(number)
                if stat.S_ISREG(info.st_mode) and (number in (1, 2) or _writes(number)):
                    keys.add((info.st_dev, info.st_ino))
                    self._paths.add(Path(f"{_DESCRIPTORS}/{number}").readlink())
        self._keys = keys

    def writes(self, path: Path) -> bool:
        """Whether this process has the file open for writing."""
        try:
            info = path.stat()
        except OSError:
            return False
        return (info.st_dev, info.st_ino) in self._keys

    def why(self, path: Path) -> str:
        """Why a file must not be followed; empty when it may."""
        real = Path(os.path.realpath(path))
        if self._folder is not None and real.is_relative_to(self._folder):
            return "not read: it is below general.data_dir"
        if self.writes(real):
            return "not read: this daemon writes it"
        if any(each.parent == real.parent and is_rotated_name(each.name, real.name) for each in self._paths):
            return "not read: this daemon wrote it"
        return "not read: it holds ironpost's alerts" if _holds_alerts(real) else ""


def _holds_alerts(path: Path) -> bool:
    try:
        file = OpenFile.at(path)
    except OSError:
        return False  # whoever follows it says why it can't be read
    file.close()
    return _ALERT.match(file.head) is not None


def _descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir(_DESCRIPTORS)]  # noqa: PTH208 - names, not paths
    except OSError:
        return [1, 2]


def _writes(number: int) -> bool:
    text = Path(f"/proc/self/fdinfo/{number}").read_text()
    flags = next(line.split()[1] for line in text.splitlines() if line.startswith("flags:"))
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY
