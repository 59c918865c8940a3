from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironpost_logpipe.quoting import closing_quote, unescaped


@pytest.mark.parametrize(
    ("text", "end"),
    [(b'a" b"', 1), (rb"a\" b" + b'"', 5), (rb"a\\" + b'" b', 3), (rb"\\\"" + b'"', 4), (b"abc", -1), (b"", -1)],
)
def test_where_a_quoted_text_ends(text: bytes, end: int) -> None:
    assert closing_quote(text, 0) == end


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (rb"plain", b"plain"),
        (rb"a\x22b\x5Cc\xc3\xA9", b'a"b\\c\xc3\xa9'),
        (rb"\"\\\"", b'"\\"'),
        (rb"\\x22", rb"\x22"),
        (rb"\\\x22", b'\\"'),
        (rb"\n\t\r", b"\n\t\r"),
        (rb"caf\u00e9 \ud83d", b"caf\xc3\xa9 \xed\xa0\xbd"),
        (rb"\xg1\x1 \u12 \q", rb"\xg1\x1 \u12 \q"),
        (b"end\\", b"end\\"),
        (b"\\\\", b"\\"),
    ],
)
def test_what_escapes_stand_for(written: bytes, meant: bytes) -> None:
    assert unescaped(written) == meant


@given(st.binary())
def test_what_nginx_escapes_comes_back(text: bytes) -> None:
    written = b"".join(
        b"\\x%02X" % byte if byte < 32 or byte > 126 or byte in b'"\\' else bytes((byte,)) for byte in text
    )
    assert closing_quote(written + b'"', 0) == len(written)
    assert unescaped(written) == text
