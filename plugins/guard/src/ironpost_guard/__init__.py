"""The guard plugin: watches Docker and isolates a container when an alert and a policy say so."""

from __future__ import annotations

from ironpost_guard.plugin import GuardPlugin

__all__ = ["GuardPlugin"]
