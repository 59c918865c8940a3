from __future__ import annotations

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from ironpost_logpipe.literals import Literal, required
from ironpost_logpipe.patterns import PatternError, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (rb"^Failed \S+ for (?P<user>.*) from$", {Literal(b"Failed ")}),
        (b"abc|de", {Literal(b"abc"), Literal(b"de")}),
        (b"ab?cd", {Literal(b"cd")}),
        (b"ab+c", {Literal(b"ab")}),
        (b"ab{2}cde", {Literal(b"cde")}),
        (rb"a\.b\d\[x", {Literal(b"a.b")}),
        (rb"\x41bcd", {Literal(b"bcd")}),
        (rb"\x{41}bcd", {Literal(b"bcd")}),
        (rb"\pN{2}ab\101cde", {Literal(b"cde")}),
        (b"[]abc]xy[^]]", {Literal(b"xy")}),
        (b"[[:alpha:]abc]xy", {Literal(b"xy")}),
        (rb"[\]a]xy", {Literal(b"xy")}),
        (rb"(?:ab(cd)\)[)])ef", {Literal(b"ef")}),
        (b"(?i)abc", {Literal(b"abc", True)}),
        (b"(?s)abc", {Literal(b"abc")}),
        (b"abc(?i)d", None),
        (b"(?i:abc)de", {Literal(b"de")}),
        (b"a*", None),
        (b"abc|d*", None),
        (b"", None),
        (rb"\Qa.b\E", None),
        (b"(abc", None),
        (b"x{|y}zz", {Literal(b"x{"), Literal(b"y}zz")}),
        (b'^{"user":.*}|{x}$', {Literal(b'{"user":'), Literal(b"{x}")}),
        (b"abc{*de", {Literal(b"abc")}),
        (b"abc{,2}d", {Literal(b"ab")}),
    ],
)
def test_what_a_pattern_requires(pattern: bytes, expected: set[Literal] | None) -> None:
    assert required(pattern) == expected


_PIECES = st.sampled_from(
    [
        "a",
        "b",
        "ab",
        "A",
        ".",
        "\\.",
        "\\d",
        "[ab]",
        "[^a]",
        "[]a]",
        "(?:ab)",
        "(ab|b)",
        "(?i)",
        "(?i:ab)",
        "\\x61",
        "é",
        "*",
        "+",
        "?",
        "{2}",
        "{0,1}",
        "|",
        "^",
        "$",
        "\\b",
        "\\Qa\\E",
        "(?s)",
        "\\pL",
        "[[:digit:]]",
        "{",
        "{|",
        "}",
        "\\101",
    ]
)


@settings(max_examples=500)
@given(st.lists(_PIECES, max_size=7).map("".join), st.lists(st.sampled_from("abABé.1{}"), max_size=8).map("".join))
def test_every_match_contains_what_is_required(pattern: str, text: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except PatternError:
        return
    line = text.encode()
    needs = required(pattern.encode())
    if compiled.search(line) is None or needs is None:
        return
    folded = re2.Options()
    folded.encoding = re2.Options.Encoding.LATIN1
    folded.case_sensitive = False
    assert any(
        need.text in line or (need.fold and re2.search(re2.escape(need.text), line, folded) is not None)
        for need in needs
    )
