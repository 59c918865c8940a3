"""The one error of this package."""

from __future__ import annotations

from ironpost_core.errors import IronpostError


class PictureError(IronpostError):
    """A picture can't be drawn; the text says of what, why, and how to mend it."""
