from __future__ import annotations

import pytest

from ironpost_logpipe.event import DERIVED, FIELDS, NO_FACILITY, Event, getter, is_field


def test_every_documented_field_can_be_read() -> None:
    others = {name: name.encode() for name in FIELDS if name not in {*Event.__slots__, "time", "facility", "severity"}}
    event = Event(b"raw", b"message", b"app", b"host", b"1", b"Nov", 38, others)
    values = {name: getter(name)(event) for name in FIELDS}
    assert all(values.values()), values
    assert event.fields() == values


def test_fields_that_a_line_does_not_have_are_empty() -> None:
    event = Event(b"raw", b"raw")
    assert event.fields() == {"raw": b"raw", "message": b"raw"}
    assert event.field("sd.a.b") == b""


@pytest.mark.parametrize(
    ("name", "known"),
    [("message", True), ("sd.x.y", True), ("json.a.0", True), ("mesage", False), ("extra", False)],
)
def test_which_names_rules_can_use(name: str, known: bool) -> None:
    assert is_field(name) is known


def test_a_severity_without_a_facility() -> None:
    event = Event(b"raw", b"raw", pri=NO_FACILITY + 3)
    assert (event.severity, event.facility) == (b"err", b"")


def test_all_text_of_an_event_can_be_searched() -> None:
    event = Event(b"raw", b"message", b"app", b"host", b"1", b"Nov", 38, {"json.a": b"value"})
    searched = event.searchable()
    assert all(value in searched for name, value in event.fields().items() if name not in DERIVED)
