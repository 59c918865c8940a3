"""The installed plugins as the daemon would load them, without one: for listings and for checking configurations."""

from __future__ import annotations

import contextlib
import logging
import os
import sys

from ironpost_daemon.daemon import Daemon, Options
from ironpost_daemon.discovery import find_plugins
from ironpost_daemon.signals import Signals
from ironpost_daemon.supervisor import Supervisor


def load_plugins() -> Supervisor:
    """Load, start nothing. Why a plugin can't be loaded is in its status, so the log stays silent."""
    logging.getLogger("ironpost").addHandler(logging.NullHandler())
    supervisor = Daemon(Options(), os.environ, Signals()).parts.supervisor
    # What a plugin prints while it is imported must not get between a listing's JSON.
    with contextlib.redirect_stdout(sys.stderr):
        supervisor.load(find_plugins())
    return supervisor
