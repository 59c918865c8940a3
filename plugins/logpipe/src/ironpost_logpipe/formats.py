"""The formats as users name them. Apart from their parsers, which take long to load, for the command line's sake."""

from __future__ import annotations

#: `docker` is a wrapping; what it wraps is read as by `auto`.
FORMATS = ("auto", "syslog", "json", "access", "apache-error", "nginx-error", "logfmt", "plain", "docker")
