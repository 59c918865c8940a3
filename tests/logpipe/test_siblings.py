from __future__ import annotations

import pytest

from ironpost_logpipe.siblings import is_rotated_name


@pytest.mark.parametrize(
    "name",
    ["a.log.1", "a.log.12", "a.log-20260103", "a.log.2026-01-03T10:00:00Z", "a.log-20260103-1767430800", "a.log.old"],
)
def test_names_that_rotation_gives(name: str) -> None:
    assert is_rotated_name("a.log", name)


@pytest.mark.parametrize(
    "name", ["a.log", "a.log.1.gz", "a.log2", "a.log.bak", "a.log~", "b.log.1", "a.log.1x", "a.log."]
)
def test_names_that_are_something_else(name: str) -> None:
    assert not is_rotated_name("a.log", name)
