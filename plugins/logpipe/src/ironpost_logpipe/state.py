"""What a checkpoint holds: how far each file is read, and every window. Nothing else decides what the next alert is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from ironpost_logpipe.chunks import Cursor, Position
from ironpost_logpipe.thresholds import Windows

KEY = "pipeline"
VERSION = 2
#: Version 1 had neither windows of values nor keys that were seen; all that it had is as it was.
_READABLE = frozenset((1, VERSION))
#: So many windows are encoded at a time, some 2 ms, before other threads get a turn.
_SLICE = 1_000
#: The history refuses a checkpoint beyond 64 MiB.
_LARGEST = 60 << 20
#: So much of what fits is filled again after windows had to go, so that it does not happen at every checkpoint.
_FILL = 0.8


class StateError(ValueError):
    """A checkpoint that this version can't read."""


def encode(
    positions: Mapping[str, Position | Cursor], windows: Windows, pause: Callable[[], object] = lambda: None
) -> bytes:
    """The state as bytes. `pause` is called every few milliseconds.

    Windows that are too many for a checkpoint are forgotten here and now, the longest unused first: going on with
    more than is stored would make the alerts after a crash differ.
    """
    while (parts := _windows(windows, pause)) is None:
        pass
    header = {
        "version": VERSION,
        "files": [_plain(each) for each in positions.values() if isinstance(each, Position)],
        "journals": [
            [each.path, each.cursor.decode("latin-1")] for each in positions.values() if isinstance(each, Cursor)
        ],
    }
    return f'{json.dumps(header)[:-1]},"windows":[{",".join(parts)}]}}'.encode("ascii")


def _windows(windows: Windows, pause: Callable[[], object]) -> list[str] | None:
    """All windows in slices of JSON; None when they were too many and some have been forgotten."""
    rows = windows.dump()
    parts: list[str] = []
    size = done = 0
    while part := list(islice(rows, _SLICE)):
        parts.append(json.dumps(part, separators=(",", ":"))[1:-1])
        size, done = size + len(parts[-1]) + 1, done + len(part)
        if size > _LARGEST:
            rows.close()
            windows.keep_latest(min(int(done * _FILL * _LARGEST / size), len(windows) - 1))
            return None
        pause()
    return parts


def decode(data: bytes, windows: Windows) -> dict[str, Position | Cursor]:
    """Fill `windows` and return the positions by path.

    Raises:
        StateError: not written by this version.
    """
    try:
        state = json.loads(data)
        if state["version"] not in _READABLE:
            raise StateError(f"checkpoint version {state['version']!r}, this ironpost reads {VERSION}")
        files: Iterable[Position | Cursor] = map(_position, state["files"])
        journals = (Cursor(str(path), cursor.encode("latin-1")) for path, cursor in state.get("journals", ()))
        positions = {position.path: position for position in (*files, *journals)}
        windows.load(_rows(state["windows"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StateError(f"not a checkpoint of the log pipeline: {error}") from error
    return positions


def _plain(position: Position) -> list[Any]:
    head = base64.b64encode(position.head).decode("ascii")
    before = [_plain(each) for each in position.before]
    return [position.path, position.device, position.inode, head, position.offset, position.modified, before]


def _position(row: list[Any]) -> Position:
    path, device, inode, head, offset, *later = row
    modified, before = later or (0, ())  # version 1 has neither
    known = tuple(map(_position, before))
    return Position(str(path), int(device), int(inode), base64.b64decode(head), int(offset), int(modified), known)


def _rows(rows: Any) -> Iterable[list[Any]]:
    return list(rows)
