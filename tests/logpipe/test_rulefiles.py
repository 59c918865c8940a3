from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironpost_logpipe.rulefiles import Loaded, bundled_packs, load_rules, parse_rules, read_rule_file
from ironpost_logpipe.rules import Override

GOOD = (
    "id: {id}\ntitle: T\nseverity: low\ndetection:\n  conditions: [{{field: message, modifier: contains, value: x}}]\n"
)


def test_the_bundled_packs_load() -> None:
    loaded = load_rules([], list(bundled_packs()))
    assert not loaded.problems
    assert {"ssh-password-guessing", "sudo-not-in-sudoers"} <= {rule.id for rule in loaded.rules}


def test_a_broken_file_is_named_and_the_others_load(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.format(id="a") + "---\n" + GOOD.format(id="b"))
    (tmp_path / "b.yaml").write_text("id: x\ntitel: T\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.yml").write_text(GOOD.format(id="c"))
    (tmp_path / "sub" / "d.yaml").write_text("a: [")
    (tmp_path / ".hidden.yaml").write_text("nonsense")
    (tmp_path / "notes.txt").write_text("nonsense")
    loaded = load_rules([tmp_path], [])
    assert [rule.id for rule in loaded.rules] == ["a", "b", "c"]
    texts = [str(problem) for problem in loaded.problems]
    assert any(text.startswith(f"{tmp_path}/b.yaml:2: titel: unknown key") and "title" in text for text in texts), texts
    assert any(text.startswith(f"{tmp_path}/b.yaml:1: severity: is missing") for text in texts), texts
    assert any(text.startswith(f"{tmp_path}/sub/d.yaml:") for text in texts), texts
    assert loaded.files == 4


def test_own_rules_replace_bundled_ones_but_not_each_other(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.format(id="ssh-invalid-users"))
    (tmp_path / "b.yaml").write_text(GOOD.format(id="twice"))
    (tmp_path / "c.yaml").write_text("\n" + GOOD.format(id="twice"))
    loaded = load_rules([tmp_path], ["sshd"])
    replaced = {rule.id: rule for rule in loaded.rules}["ssh-invalid-users"]
    assert replaced.document.title == "T"
    (problem,) = loaded.problems
    assert "is taken by" in problem.what
    assert str(problem).startswith(f"{tmp_path}/c.yaml:2")
    assert len(read_rule_file(tmp_path / "b.yaml").rules) == 1


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    loaded = load_rules([tmp_path / "none"], ["ssh"])
    texts = " ".join(map(str, loaded.problems))
    assert 'did you mean "sshd"' in texts
    assert "can't be read" in texts
    assert "can't be read" in str(read_rule_file(tmp_path / "none.yaml").problems[0])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id: a", "id: Not_Good", "lower-case words joined by dashes"),
        ("modifier: contains", "modifier: contain", 'did you mean "contains"'),
        ("field: message", "field: mesage", 'did you mean "message"'),
        ("severity: low", "severity: lwo", 'did you mean "low"'),
        ("severity: low", "severity: low\nstatus: on", "found"),
    ],
)
def test_mistakes_are_met_with_help(old: str, new: str, message: str) -> None:
    loaded = parse_rules("x.yaml", GOOD.format(id="a").replace(old, new).encode())
    assert not loaded.rules
    assert message in str(loaded.problems[0])
    assert loaded.problems[0].line is not None


@given(st.binary(max_size=300))
def test_any_bytes_make_rules_or_problems(content: bytes) -> None:
    parse_rules("x.yaml", content)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text(GOOD.format(id="b"))
    loaded = load_rules([tmp_path], [])
    assert [rule.id for rule in loaded.rules] == ["b"]
    (problem,) = loaded.problems
    assert "a.yaml: can't be read: is not a regular file" in str(problem)


def test_files_beyond_the_bound_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironpost_logpipe.rulefiles._MAX_FILES", 1)
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(GOOD.format(id=name))
    loaded = load_rules([tmp_path], [])
    assert [rule.id for rule in loaded.rules] == ["a"]
    assert "only the first 1 are read" in str(loaded.problems[0])


def test_a_file_that_breaks_keeps_all_its_rules_until_it_is_whole_again(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    first, second = GOOD.format(id="first"), GOOD.format(id="second")

    def load(content: str, before: Loaded) -> tuple[list[str], Loaded]:
        file.write_text(content)
        loaded = load_rules([tmp_path], [], before=before.by_file)
        return [rule.id for rule in loaded.rules], loaded

    ids, loaded = load(first, Loaded(()))
    assert (ids, loaded.kept) == (["first"], ())
    ids, loaded = load("a: [", loaded)
    assert (ids, loaded.kept) == (["first"], (str(file),))
    ids, loaded = load(second + "---\nid: x\n", loaded)  # half of a file is not taken over
    assert (ids, loaded.kept) == (["first"], (str(file),))
    assert loaded.problems
    ids, loaded = load(second, loaded)
    assert (ids, loaded.kept, loaded.problems) == (["second"], (), ())
    file.unlink()
    assert load_rules([tmp_path], [], before=loaded.by_file).rules == ()


def test_of_a_file_that_was_never_whole_the_good_rules_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(GOOD.format(id="first") + "---\nid: x\n")
    loaded = load_rules([tmp_path], [])
    file.write_text(GOOD.format(id="second") + "---\nid: x\n")
    again = load_rules([tmp_path], [], before=loaded.by_file)
    assert [rule.id for rule in again.rules] == ["second"]
    assert again.kept == ()


def test_a_folder_that_vanishes_keeps_its_rules(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.yaml").write_text(GOOD.format(id="first"))
    loaded = load_rules([folder], [])
    folder.rename(tmp_path / "elsewhere")
    again = load_rules([folder], [], [Override(rule="first", status="test")], loaded.by_file)
    assert [(rule.id, rule.document.status) for rule in again.rules] == [("first", "test")]
    assert "can't be read" in str(again.problems[0])
    assert [rule.id for rule in load_rules([], [], before=loaded.by_file).rules] == []
