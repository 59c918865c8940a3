"""Real programs for tests: found, started, ended; a missing one fails the test in CI and skips it elsewhere."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

IN_CI = os.environ.get("CI", "").lower() == "true"
_UNPACKED = Path(__file__).parents[1] / ".peers"
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def missing(what: str) -> None:
    """A real part is not there: fail in CI, skip on a developer's machine."""
    if IN_CI:
        pytest.fail(f"{what}; CI must have it (make apt installs it)")
    pytest.skip(what)


def program(name: str) -> str:
    """The path of a program that the test needs."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        missing(f"{name} is not installed")
    assert found is not None
    return found


def unpacked(name: str) -> tuple[str, dict[str, str]]:
    """A program that `make apt` unpacked without installing it, and the environment to run it in."""
    found = next(_UNPACKED.glob(f"usr/*bin/{name}"), None)
    if found is None:
        missing(f"{name} is not unpacked in {_UNPACKED.name}")
    folders = {str(path.parent) for path in _UNPACKED.rglob("*.so*")}
    return str(found), {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(sorted(folders))}


def need_root() -> None:
    """The test needs root."""
    if os.geteuid() != 0:
        missing("needs root")


@contextlib.contextmanager
def running(command: list[str], log: Path, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A server for the time of the test; its output goes to `log`; ended by its own id."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
