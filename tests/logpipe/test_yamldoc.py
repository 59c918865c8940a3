from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironpost_core.errors import RuleError
from ironpost_logpipe.yamldoc import MAX_SIZE, read_documents


def fault(content: bytes) -> str:
    with pytest.raises(RuleError) as caught:
        read_documents("x.yaml", content)
    return str(caught.value)


def test_documents_with_the_lines_of_their_keys() -> None:
    first, second = read_documents("x.yaml", b"a: 1\nb:\n  - c: no\n---\n\nd: [true, null, 1.5, 0x10, '1', -3]\n")
    assert first.data == {"a": 1, "b": [{"c": "no"}]}
    assert first.lines[("b", 0, "c")] == 3
    assert (first.line, second.line) == (1, 6)
    assert second.data == {"d": [True, None, "1.5", "0x10", "1", -3]}


def test_empty_documents_are_none() -> None:
    assert read_documents("x.yaml", b"") == []
    assert read_documents("x.yaml", b"---\n---\na: 1\n")[-1].data == {"a": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: ]", "x.yaml:2: is not YAML"),
        (b"a: 1\n\xff", "x.yaml:2: is not UTF-8"),
        (b"a: 1\na: 2", "x.yaml:2: has the key 'a' twice"),
        (b"a: &x 1\nb: *x", "x.yaml:2: uses an alias"),
        (b"[a]: 1", "not a text"),
        (b"[" * 50, "deeper than 24"),
        (b"x" * (MAX_SIZE + 1), "larger than 1 MiB"),
        ("a: é\nb: 1\nc: \x01\n".encode(), "x.yaml:3: is not YAML"),
    ],
)
def test_what_is_refused_is_named_with_its_line(content: bytes, message: str) -> None:
    assert message in fault(content)


def test_nothing_is_ever_constructed() -> None:
    (document,) = read_documents("x.yaml", b"a: !!python/object/apply:os.system ['true']")
    assert document.data == {"a": ["true"]}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(RuleError):
        read_documents("x.yaml", content)
