"""uPlot, the plotting library: fetched by npm once, checked, and never committed."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import attrs

from monitoring.pictures.errors import PictureError

VERSION = "1.6.32"
_SCRIPT, _STYLE = "uPlot.iife.min.js", "uPlot.min.css"
_SHA256 = {
    _SCRIPT: "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    _STYLE: "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
_DEADLINE = 120


@attrs.frozen
class Library:
    """Its script and its style sheet."""

    script: str
    style: str


def library(folder: Path) -> Library:
    """That in `folder`, installed there by npm if it is not there yet.

    Raises:
        PictureError: npm can't get it, or it is not the known one.
    """
    dist = folder / "node_modules" / "uplot" / "dist"
    if not dist.exists():
        _install(folder)
    return Library(_checked(dist / _SCRIPT), _checked(dist / _STYLE))


def _install(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
    command = ["npm", "install", "--prefix", str(folder), *options, f"uplot@{VERSION}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PictureError(
            f"npm can't get uplot@{VERSION}: {error} (install npm, or give a folder that has it)"
        ) from error
    if done.returncode:
        raise PictureError(f"npm can't get uplot@{VERSION}: {done.stderr.strip()[-500:]}")


def _checked(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PictureError(f"{path}: {error.strerror} (remove the folder, and it is installed anew)") from error
    if hashlib.sha256(data).hexdigest() != _SHA256[path.name]:
        raise PictureError(f"{path} is not that of uplot@{VERSION} (remove the folder, and it is installed anew)")
    return data.decode("utf-8")
