from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironpost_core.wording import LONGEST, any_of, did_you_mean, dotted, joined, kind_of, quoted, shown


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_quoted_text_is_toml_that_means_it_and_shows_no_control_character(text: str) -> None:
    form = quoted(text)
    assert tomllib.loads(f"key = {form}")["key"] == text
    assert form.isprintable()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (0.5, "0.5"),
        ("a\x1b[31m", '"a\\u001b[31m"'),
        (None, "nothing"),
        ({}, "a table"),
        ([], "an empty list"),
        ([1], "a list"),
    ],
)
def test_values_are_shown_as_a_user_wrote_them(value: object, expected: str) -> None:
    assert shown(value) == expected


def test_long_texts_are_cut() -> None:
    assert shown("x" * 500) == '"' + "x" * (LONGEST - 1) + '…"'


def test_a_hidden_value_is_named_by_its_kind_only() -> None:
    assert kind_of("hunter2") == "a text"
    assert kind_of(5) == "a value of another type"


def test_choices_are_listed() -> None:
    assert any_of(["a"]) == '"a"'
    assert any_of(["a", "b", 3]) == '"a", "b" or 3'


def test_a_close_word_is_suggested_whatever_its_case() -> None:
    assert did_you_mean("Prot", ["port", "enabled"]) == 'did you mean "port"?'
    assert did_you_mean("zzz", ["port"]) == ""


def test_a_key_path_reads_as_in_toml() -> None:
    assert dotted(["alerts", "sinks", 2, "url"]) == "alerts.sinks[2].url"
    assert dotted(["a-b", "c d", ""]) == 'a-b."c d".""'


def test_parts_that_say_nothing_are_left_out() -> None:
    assert joined("", "a", "", "b") == "a; b"
