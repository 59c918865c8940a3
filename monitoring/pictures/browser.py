"""A page's picture, taken by a headless Chromium, and what the page itself says about its panels."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import attrs

from monitoring.pictures.errors import PictureError

PROGRAM = "chromium"
_DEADLINE = 60
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


@attrs.frozen
class Verdict:
    """What became of a panel: `state` is ``ok``, ``no data`` or ``error``; `why` says more of the latter two."""

    title: str
    state: str
    why: str


def shoot(page: Path, picture: Path, size: tuple[int, int]) -> list[Verdict]:
    """Draw the page, write its picture and return the verdicts, in the order of the panels' numbers.

    The page's scripts draw before its load event, for which Chromium waits; so nothing here waits for a time.

    Raises:
        PictureError: Chromium is not there or fails, or the page's script did not get to its end.
    """
    with tempfile.TemporaryDirectory(prefix="ironpost-picture-") as home:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to run as root without
        command = [PROGRAM, *_FLAGS, *sandbox, f"--user-data-dir={home}/profile", f"--window-size={size[0]},{size[1]}"]
        command += [f"--screenshot={picture}", "--dump-dom", page.resolve().as_uri()]
        said = _run(command, {**os.environ, "HOME": home})
    if not picture.exists():
        raise PictureError(f"{PROGRAM} took no picture of {page}")
    return verdicts(said)


def verdicts(document: str) -> list[Verdict]:
    """What the page left in its own document; PictureError when it left nothing."""
    reader = _Reader()
    reader.feed(document)
    if reader.found is None:
        raise PictureError("the page says nothing about its panels: its script did not run")
    found = json.loads(reader.found)
    return [Verdict(**found[number]) for number in sorted(found, key=int)]


class _Reader(HTMLParser):
    found: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """The attribute that the script sets at the root."""
        if tag == "html":
            self.found = dict(attrs).get("data-verdict")


def _run(command: list[str], environ: dict[str, str]) -> str:
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
            start_new_session=True,
        )
    except OSError as error:
        raise PictureError(f"{PROGRAM} can't be run: {error.strerror} (install it)") from error
    try:
        output, complaints = process.communicate(timeout=_DEADLINE)
    except subprocess.TimeoutExpired as error:
        raise PictureError(f"{PROGRAM} did not end within {_DEADLINE} s") from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        raise PictureError(f"{PROGRAM} ended with {process.returncode}: {complaints.decode('utf-8', 'replace')[-500:]}")
    return output.decode("utf-8", "replace")
