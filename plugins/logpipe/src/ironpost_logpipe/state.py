"""What a checkpoint holds: how far each file is read, and every window. Nothing else decides what the next alert is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from ironpost_logpipe.chunks import Position
from ironpost_logpipe.thresholds import Windows

KEY = "pipeline"
VERSION = 1
#: So many windows are encoded at a time, some 2 ms, before other threads get a turn.
_SLICE = 1_000


class StateError(ValueError):
    """A checkpoint that this version can't read."""


def encode(positions: Mapping[str, Position], windows: Windows, pause: Callable[[], object] = lambda: None) -> bytes:
    """The state as bytes. `pause` is called every few milliseconds."""
    rows = windows.dump()
    parts = []
    while part := list(islice(rows, _SLICE)):
        parts.append(json.dumps(part, separators=(",", ":"))[1:-1])
        pause()
    header = {
        "version": VERSION,
        "files": [_plain(each) for each in positions.values()],
    }
    return f'{json.dumps(header)[:-1]},"windows":[{",".join(parts)}]}}'.encode("ascii")


def decode(data: bytes, windows: Windows) -> dict[str, Position]:
    """Fill `windows` and return the positions by path.

    Raises:
        StateError: not written by this version.
    """
    try:
        state = json.loads(data)
        if state["version"] != VERSION:
            raise StateError(f"checkpoint version {state['version']!r}, this ironpost reads {VERSION}")
        positions = {position.path: position for position in map(_position, state["files"])}
        windows.load(_rows(state["windows"]))
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"not a checkpoint of the log pipeline: {error}") from error
    return positions


def _plain(position: Position) -> list[Any]:
    head = base64.b64encode(position.head).decode("ascii")
    return [position.path, position.device, position.inode, head, position.offset]


def _position(row: list[Any]) -> Position:
    path, device, inode, head, offset = row
    return Position(str(path), int(device), int(inode), base64.b64decode(head), int(offset))


def _rows(rows: Any) -> Iterable[list[Any]]:
    return list(rows)
