from __future__ import annotations

import time

import pytest

from ironpost_logpipe.chunks import MAX_LINE
from ironpost_logpipe.literals import Literal
from ironpost_logpipe.matcher import Matcher
from ironpost_logpipe.patterns import (
    PatternError,
    _public_spans,
    compile_pattern,
    literal_pattern,
    search_set,
    span_finder,
)
from logpipe.helpers import simple


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
    assert search(b"axb") == []
    assert search_set([literal_pattern(Literal(b"AbC", fold=True))])(b"xaBcx") == [0]


def test_an_empty_set_matches_nothing() -> None:
    assert search_set([])(b"a") == []


def test_a_set_gets_more_memory_when_it_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironpost_logpipe.patterns._SET_MEMORY", 1 << 12)
    patterns = [b"pattern-%d-x" % number for number in range(2000)]
    assert search_set(patterns)(b"a pattern-77-x") == [77]
    monkeypatch.setattr("ironpost_logpipe.patterns._SET_MEMORY_LIMIT", 1 << 13)
    with pytest.raises(PatternError, match="2000 patterns"):
        search_set(patterns)


@pytest.mark.parametrize("pattern", [r"^(a+)+$", r"^(a|aa)+$", r"^(?:a?){50}a{50}$", r"^(.*a){12}$", r"(\s|a)*b$"])
def test_what_would_backtrack_for_ages_ends(pattern: str) -> None:
    """On a megabyte `re` would need longer than there is; RE2 reads it once."""
    compiled = compile_pattern(pattern)
    assert type(compiled).__module__.partition(".")[0] == "re2"
    assert span_finder(compiled)(b"a" * (1 << 20) + b"!") is None


def test_a_rule_with_such_a_pattern_meets_such_a_line() -> None:
    made = simple("[{field: message, modifier: regex, value: '^((?P<user>a+)+)+b$'}]")
    lines = [b"a" * MAX_LINE, b"a" * (MAX_LINE - 1) + b"b"]
    assert [hit.line for hit in Matcher([made]).match(lines)[0]] == [1]
