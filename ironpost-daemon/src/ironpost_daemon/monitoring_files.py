"""The files of ``monitoring/`` that a user gets: from the wheel, or from the checkout that this runs from.

The wheel's build reads `files_of`, too, so this module imports nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

#: What only the repository needs.
LEFT_OUT: Final = ("README.md", "__pycache__", "generator", "pictures")
_COMPOSE: Final = "docker-compose.yml"
#: In the repository the image is built from the sources above this folder; an exported folder has none.
_FROM_SOURCES: Final = b"context: ..\n      dockerfile: monitoring/Dockerfile\n"
_FROM_INDEX: Final = b"context: .\n      dockerfile: Dockerfile\n"


def files_of(folder: Path) -> Mapping[str, Path]:
    """Name below `folder` → file, sorted, without what only the repository needs."""
    return {str(path.relative_to(folder)): path for path in sorted(_walk(folder))}


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name not in LEFT_OUT:
            yield from _walk(path) if path.is_dir() else (path,)


def source() -> Path:
    """The folder: package data of an installed wheel, else the checkout's.

    Raises:
        FileNotFoundError: neither is there; the installation is incomplete.
    """
    here = Path(__file__).parent
    for folder in (here / "monitoring", here.parents[2] / "monitoring"):
        if (folder / _COMPOSE).is_file():
            return folder
    raise FileNotFoundError("this installation came without its monitoring files; install ironpost-daemon anew")


def exported(folder: Path, version: str) -> Mapping[str, bytes]:
    """Name → content of everything that a user gets of `folder`, for an image from the package index."""
    contents = {name: path.read_bytes() for name, path in files_of(folder).items()}
    contents[_COMPOSE] = contents[_COMPOSE].replace(_FROM_SOURCES, _FROM_INDEX)
    return contents | {"VERSION": f"{version}\n".encode()}
