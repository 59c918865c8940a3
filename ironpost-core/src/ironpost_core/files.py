"""Files and folders of the agent: written whole or not at all, with errors that name the cure."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ironpost_core.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` by a file of `data`: whoever reads sees the old file or the new one, even after a power cut."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            temporary.chmod(mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):
        return  # such a system (Windows) can't open folders; its rename is as durable as it gets
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def ensure_folder(path: Path, mode: int = 0o700) -> Path:
    """Make the folder unless it is there, and see that it can be written to; ConfigError otherwise."""
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except FileExistsError:
        _refuse(path, "is not a folder", "move that file away, or name another folder")
    except OSError as error:
        _refuse(path, f"can't be made: {error.strerror}", _cure(path))
    if not os.access(path, os.W_OK | os.X_OK):
        _refuse(path, "can't be written to", _cure(path))
    return path


def _cure(path: Path) -> str:
    return f"make {path} writable for the user that runs this, or name another folder"


def _refuse(path: Path, what: str, remedy: str) -> NoReturn:
    raise ConfigError([Problem(where=str(path), what=what, remedy=remedy)])


def default_folders(environ: Mapping[str, str], euid: int, data: Path | None = None) -> tuple[Path, Path]:
    """The folders for data and for sockets: the system's for root, the user's own (XDG) for others.

    With `data` given, that is the one for data, and sockets go there when the user has no runtime folder.
    """
    if euid == 0:
        return data or Path("/var/lib/ironpost"), Path("/run/ironpost")
    if data is None:
        state = _absolute(environ.get("XDG_STATE_HOME")) or _home(environ) / ".local" / "state"
        data = state / "ironpost"
    runtime = _absolute(environ.get("XDG_RUNTIME_DIR"))
    return data, runtime / "ironpost" if runtime else data / "run"


def _absolute(text: str | None) -> Path | None:
    """The folder a variable names; the XDG specification says to ignore relative ones."""
    return Path(text) if text and Path(text).is_absolute() else None


def _home(environ: Mapping[str, str]) -> Path:
    home = _absolute(environ.get("HOME"))
    if home is None:
        _refuse(Path("~"), "is not known: HOME is not set", "set HOME or XDG_STATE_HOME, or general.data_dir")
    return home
