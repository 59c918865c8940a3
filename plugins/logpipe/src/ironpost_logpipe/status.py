"""How a source is: kept by its own thread, read by the health hook."""

from __future__ import annotations

from typing import Any

import attrs


@attrs.define
class Status:
    """One source's state. Whole values are assigned, so it is read without a lock.

    Attributes:
        name: what the source is called.
        trouble: why it does not work, with a cure; empty while it does.
        entries: facts, JSON-able; one entry for each file or listener.
    """

    name: str
    trouble: str = ""
    entries: list[dict[str, Any]] = attrs.field(factory=list)
