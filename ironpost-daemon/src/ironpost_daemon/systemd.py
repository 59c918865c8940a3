"""Telling systemd how the daemon is, by its notify protocol (sd_notify(3)); without systemd nothing is done."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Final

from ironpost_daemon.calls import describe

_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

log = logging.getLogger("ironpost.systemd")


class Notifier:
    """Sends states to the socket that ``NOTIFY_SOCKET`` names (a path, or an abstract name after ``@``).

    The variables are taken out of `environ`, so that child processes do not speak for the daemon. Nothing raises: a
    message that can't be sent is logged.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        given = {name: environ.get(name, "") for name in _VARIABLES}
        if isinstance(environ, MutableMapping):
            for name in _VARIABLES:
                environ.pop(name, None)
        self._address = _address(given["NOTIFY_SOCKET"])
        self._interval = _interval(given["WATCHDOG_USEC"], given["WATCHDOG_PID"]) if self._address else None

    def ready(self, status: str = "") -> None:
        """The start, or a reload, is complete."""
        self._send("READY=1", status)

    def status(self, status: str) -> None:
        """One line for ``systemctl status``."""
        self._send("", status)

    def reloading(self) -> None:
        """A reload has begun; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The stop has begun."""
        self._send("STOPPING=1")

    def feed_watchdog(self) -> None:
        """The daemon is alive."""
        self._send("WATCHDOG=1")

    def watchdog_interval(self) -> float | None:
        """Seconds between two feedings, half of what systemd allows; None when no watchdog is set for this process."""
        return self._interval

    def _send(self, state: str, status: str = "") -> None:
        if self._address is None:
            return
        line = f"STATUS={' '.join(status.split())}" if status else ""
        message = "\n".join(part for part in (state, line) if part)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(1.0)
                sender.sendto(message.encode(), self._address)
        except OSError as error:
            log.warning("systemd was not told %s: %s", message.partition("\n")[0], error)


def _address(name: str) -> str | None:
    if name.startswith("@"):
        return f"\0{name[1:]}"
    if name and not name.startswith("/"):
        log.warning("NOTIFY_SOCKET=%s is neither a path nor an abstract name: systemd is not told anything", name)
        return None
    return name or None


def _interval(microseconds: str, pid: str) -> float | None:
    if pid and pid != str(os.getpid()):
        return None
    if not (microseconds.isascii() and microseconds.isdigit() and int(microseconds)):
        return None
    return int(microseconds) / 2 / 1e6


class Watchdog:
    """Feeds systemd's watchdog from a thread that first sees that the daemon works.

    Args:
        notifier: says how often, and is told.
        check: does what users need done, such as a whole scrape; when it hangs, raises or returns false, systemd is
            not told and restarts the daemon. That is the only cure for a plugin that holds the GIL.
    """

    def __init__(self, notifier: Notifier, check: Callable[[], bool]) -> None:
        self._notifier = notifier
        self._check = check
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, when systemd asks for it."""
        interval = self._notifier.watchdog_interval()
        if interval is None:
            return
        self._thread = threading.Thread(target=self._run, args=(interval,), name="ironpost-watchdog", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End; waits at most `timeout` seconds for a check under way."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self, interval: float) -> None:
        while not self._stopping.is_set():
            if self._works():
                self._notifier.feed_watchdog()
            self._stopping.wait(interval)

    def _works(self) -> bool:
        try:
            works = self._check()
        except Exception as error:  # noqa: BLE001 - the stated boundary: a check that raises has failed, and is logged
            log.error("the daemon's check of itself raised %s; the watchdog is not fed", describe(error))
            return False
        if not works:
            log.error("the daemon's check of itself failed; the watchdog is not fed")
        return works
