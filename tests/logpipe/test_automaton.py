from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ironpost_logpipe.automaton import Automaton, share, starts
from ironpost_logpipe.patterns import PatternError, compile_pattern
from ironpost_logpipe.syntax import Seq, UnreadableError, chars, read

PIECES = [
    *(
        "a",
        "b",
        "ab",
        "A",
        ".",
        r"\.",
        r"\d",
        r"\D",
        r"\w",
        r"\s",
        r"\S",
        "[ab]",
        "[^a]",
        "[]a]",
        "[^]a]",
        "[a-c]",
        "[a-]",
        r"[\d-]",
    ),
    *(
        "[[:digit:]b]",
        "[[:^alpha:]]",
        "(?:ab)",
        "(ab|b)",
        "(?P<n>a|)",
        "(?i)",
        "(?i:ab)",
        "(?-i:a)",
        "(?s)",
        r"\x61",
        r"\x{62}",
        r"\101",
    ),
    *(r"\n", "*", "+", "?", "*?", "+?", "??", "{2}", "{0,1}", "{1,}", "{2,3}?", "{,2}", "{", "}", "|", "|", "é", r"\-"),
]
TEXTS = st.lists(
    st.sampled_from(["a", "b", "A", "B", "é", ".", "1", "{", "}", ",", "2", " ", "\n", "-", "]"]), max_size=6
)


def takes(automaton: Automaton, text: bytes) -> bool:
    states = {automaton.start}
    for byte in text:
        states = {after for state in states for of, after in automaton.step(state)[0] if of >> byte & 1}
    return any(automaton.step(state)[1] for state in states)


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), st.lists(TEXTS.map("".join), min_size=1, max_size=6))
def test_it_takes_what_re2_matches(pattern: str, texts: list[str]) -> None:
    assume(r"\Q" not in pattern)
    try:
        whole = compile_pattern(f"\\A(?:{pattern})\\z")
    except PatternError:
        return
    try:
        automaton = Automaton(read(pattern.encode()))
    except UnreadableError as error:
        assert str(error) == "repeats flags"  # noqa: PT017 - what RE2 makes of that is not understood
        return
    for text in texts:
        assert takes(automaton, text.encode()) == (whole.search(text.encode()) is not None), (pattern, text)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a*b", "(?:aa)*b", True),
        ("a+", "b+", False),
        ("(?:ab)*", "a(?:ba)*b", True),
        ("(?:ab)*", "(?:ba)+", False),
        (r"\d{3}", "[a-f0-9]{4}", False),
        ("", "x?", True),
        ("(?i)abc", "ABC", True),
    ],
)
def test_whether_two_share_a_text(one: str, other: str, expected: bool) -> None:
    assert share(read(one.encode()), read(other.encode())) is expected


def test_what_texts_start_with() -> None:
    assert starts(read(b"(?:ab|c?d|)x*")) == chars("acdx")
    assert starts(Seq(())) == 0
    assert starts(read(rb"\b^$y")) == chars("y")


def test_what_is_too_large_is_said() -> None:
    with pytest.raises(UnreadableError, match="too large"):
        Automaton(read(b"(?:a{100}){100}"))
    with pytest.raises(UnreadableError, match="too large"):
        share(read(b"(?:a?b?){150}x"), read(b"(?:a?b?){150}y"))


@pytest.mark.parametrize("pattern", [b"(", b"[a", b"a)", rb"\Qa", rb"\8", b"(?m)a", b"(?U)a", b"\\"])
def test_what_is_not_understood_is_said(pattern: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(pattern)
