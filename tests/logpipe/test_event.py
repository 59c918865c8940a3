from __future__ import annotations

import pytest

from ironpost_logpipe.event import FIELDS, Event, getter, is_field


def test_every_documented_field_can_be_read() -> None:
    event = Event(b"raw", b"message", b"app", b"host", b"1", b"Nov", 38, {"component": b"pam", "msgid": b"m"})
    values = {name: getter(name)(event) for name in FIELDS}
    assert all(values.values()), values
    assert event.fields() == values


def test_fields_that_a_line_does_not_have_are_empty() -> None:
    event = Event(b"raw", b"raw")
    assert event.fields() == {"raw": b"raw", "message": b"raw"}
    assert event.field("sd.a.b") == b""


@pytest.mark.parametrize(("name", "known"), [("message", True), ("sd.x.y", True), ("mesage", False), ("extra", False)])
def test_which_names_rules_can_use(name: str, known: bool) -> None:
    assert is_field(name) is known
