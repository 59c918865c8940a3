from __future__ import annotations

import pytest

from ironpost_core.document import parse
from ironpost_core.errors import ConfigError


def test_a_document_comes_with_its_lines() -> None:
    assert parse(b"[a]\nb = 1\n", "f.toml") == ({"a": {"b": 1}}, {("a",): 1, ("a", "b"): 2})


def test_a_byte_order_mark_is_tolerated() -> None:
    assert parse(b"\xef\xbb\xbfa = 1\r\n", None)[0] == {"a": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a = 1\nb = \xff\n", "f.toml:2: this is not UTF-8 (save the file in the encoding UTF-8)"),
        (b"a = 1\nb = nope\n", "f.toml:2: this is not TOML: Invalid value in column 5"),
        (b"a = 1\na = 2\n", "f.toml:2: this is not TOML: Cannot overwrite a value in column 6"),
        (b'\na = "', "f.toml:2: this is not TOML: Unterminated string at the end"),
        (b"a = " + b"9" * 5000, "f.toml: this is not TOML: Exceeds the limit"),
        (b"a = " + b"[" * 100_000, "f.toml: this is not TOML: maximum recursion depth exceeded"),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(text: bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.toml")
    (problem,) = caught.value.problems
    assert str(problem).startswith(message)
