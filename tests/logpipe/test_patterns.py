from __future__ import annotations

import time

import pytest

from ironpost_logpipe.literals import Literal
from ironpost_logpipe.patterns import (
    PatternError,
    _public_spans,
    compile_pattern,
    literal_pattern,
    search_set,
    span_finder,
)


def test_invalid_utf_8_does_not_evade_a_pattern() -> None:
    find = span_finder(compile_pattern(r"^user (?P<user>.*) from"))
    spans = find(b"user \xff\xfe from")
    assert spans is not None
    assert spans[1] == (5, 7)


@pytest.mark.parametrize("text", [b"user bob from", b"no", b"user  from", b"\xff"])
def test_the_inner_search_agrees_with_the_public_one(text: bytes) -> None:
    pattern = compile_pattern(r"^user (?P<user>.*) (?P<rest>x)?from$")
    assert span_finder(pattern)(text) == _public_spans(pattern, text)


def test_a_pattern_that_re2_does_not_take_says_why() -> None:
    with pytest.raises(PatternError, match="invalid perl operator"):
        compile_pattern(r"(?<=a)b")
    with pytest.raises(PatternError):
        compile_pattern(r"(a)\1")


def test_what_backtracks_elsewhere_is_linear_here() -> None:
    find = span_finder(compile_pattern(r"^(a+)+$"))
    begin = time.perf_counter()
    assert find(b"a" * 60_000 + b"!") is None
    assert time.perf_counter() - begin < 1


def test_a_set_names_every_pattern_that_matches() -> None:
    search = search_set([literal_pattern(Literal(text)) for text in (b"a.b", b"\x00", b"\xff", b"zz")])
    assert sorted(search(b"a.b \x00 \xff") or []) == [0, 1, 2]
    assert search(b"axb") is None
    assert search_set([literal_pattern(Literal(b"AbC", fold=True))])(b"xaBcx") == [0]


def test_an_empty_set_matches_nothing() -> None:
    assert search_set([])(b"a") is None


def test_a_set_gets_more_memory_when_it_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironpost_logpipe.patterns._SET_MEMORY", 1 << 12)
    patterns = [b"pattern-%d-x" % number for number in range(2000)]
    assert search_set(patterns)(b"a pattern-77-x") == [77]
    monkeypatch.setattr("ironpost_logpipe.patterns._SET_MEMORY_LIMIT", 1 << 13)
    with pytest.raises(PatternError, match="2000 patterns"):
        search_set(patterns)
