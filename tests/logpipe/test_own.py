from __future__ import annotations

from pathlib import Path

import pytest

from ironpost_core.testing import an_alert
from ironpost_logpipe import own
from ironpost_logpipe.own import OwnFiles


def test_what_this_process_writes_is_known(tmp_path: Path) -> None:
    written, only_read, other = tmp_path / "own.log", tmp_path / "read.log", tmp_path / "own.log.bak"
    for path in (written, only_read, other):
        path.touch()
    (tmp_path / "own.log.1").touch()
    (tmp_path / "link").symlink_to(written)
    files = OwnFiles()
    with written.open("ab"), only_read.open("rb"):
        files.refresh()
        assert files.why(written) == files.why(tmp_path / "link") == "not read: this daemon writes it"
        assert files.why(tmp_path / "own.log.1") == "not read: this daemon wrote it"
        assert files.why(only_read) == files.why(other) == files.why(tmp_path / "none") == ""
    files.refresh()
    assert not files.writes(written)


def test_without_proc_it_is_standard_output_and_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "_DESCRIPTORS", str(tmp_path / "none"))
    assert own._descriptors() == [1, 2]
    OwnFiles().refresh()


def test_nothing_below_the_data_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "data" / "x").mkdir(parents=True)
    assert (
        OwnFiles(tmp_path / "data").why(tmp_path / "data" / "x" / "a.log") == "not read: it is below general.data_dir"
    )
    assert OwnFiles(tmp_path / "data").why(tmp_path / "database.log") == ""


def test_alerts_are_known_by_what_they_look_like(tmp_path: Path) -> None:
    (tmp_path / "alerts.jsonl").write_text(an_alert().to_json() + "\n")
    (tmp_path / "other.jsonl").write_text('{"id": 1}\n')
    assert OwnFiles().why(tmp_path / "alerts.jsonl") == "not read: it holds ironpost's alerts"
    assert OwnFiles().why(tmp_path / "other.jsonl") == ""
