"""The log pipeline plugin: reads logs, matches rules and raises alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ironpost_logpipe.plugin import LogpipePlugin

__all__ = ["LogpipePlugin"]


def __getattr__(name: str) -> Any:
    # Lazy, because the commands live in this package, too, and `ironpost --help` must not load the matcher.
    if name == "LogpipePlugin":
        from ironpost_logpipe.plugin import LogpipePlugin

        return LogpipePlugin
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
