from __future__ import annotations

from pathlib import Path

import pytest

from ironpost_logpipe.wellknown import KEYS, event_from, priority_of

README = (Path(__file__).parents[2] / "plugins" / "logpipe" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        *((b"ERROR", b"err"), (b"Warn", b"warning"), (b"fatal", b"crit"), (b"trace3", b"debug"), (b"3", b"err")),
        *((b"50", b"err"), (b"30", b"info"), (b"", b""), (b"8", b""), (b"loud", b""), (b"x" * 60_000, b"")),
    ],
)
def test_words_and_numbers_of_loggers_are_severities(level: bytes, severity: bytes) -> None:
    event = event_from(b"raw", {"level": level}, {})
    assert event.severity == severity
    assert event.facility == b""
    assert (priority_of(level) >= 0) is bool(severity)


def test_the_first_key_in_the_list_wins_wherever_it_stands_in_the_line() -> None:
    event = event_from(b"raw", {"event": "c", "msg": "b", "message": "a", "log": "d"}, {})
    assert event.message == b"a"
    assert event_from(b"raw", {"event": "c", "message": {"no": "text"}}, {}).message == b"c"


def test_a_line_without_a_message_is_one() -> None:
    assert event_from(b"raw", {"message": ""}, {}).message == b"raw"


@pytest.mark.parametrize("field", KEYS)
def test_the_readme_names_them_all(field: str) -> None:
    keys = ", ".join(f"`{key}`" for key in KEYS[field])
    assert f"| `{field}` | {keys} |" in README
