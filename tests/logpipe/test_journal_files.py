from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ironpost_logpipe.journal_files import has_journal, own_folders, some_unreadable
from real import need_root

SH = "sh"


def test_a_journal_is_this_machines_own_and_readable_and_has_its_program(tmp_path: Path) -> None:
    machine = tmp_path / "machine-id"
    folders = [tmp_path / "var", tmp_path / "run"]
    assert not has_journal(SH, folders, machine)
    machine.write_text("abc\n")
    assert own_folders(folders, machine) == [tmp_path / "var" / "abc", tmp_path / "run" / "abc"]
    for name in ("other", "abc"):
        assert not has_journal(SH, folders, machine)
        (tmp_path / "run" / name).mkdir(parents=True)
        (tmp_path / "run" / name / "system.journal").touch()
    assert has_journal(SH, folders, machine)
    assert not has_journal("no-such-program", folders, machine)


def test_an_empty_machine_id_is_none(tmp_path: Path) -> None:
    machine = tmp_path / "machine-id"
    machine.write_bytes(b"\n")
    assert own_folders([tmp_path], machine) == []
    machine.write_bytes(b"\xff")
    assert own_folders([tmp_path], machine) == []


def test_nothing_there_is_nothing_unreadable(tmp_path: Path) -> None:
    (tmp_path / "abc").mkdir()
    (tmp_path / "abc" / "system.journal").touch()
    assert not some_unreadable([tmp_path, tmp_path / "abc", tmp_path / "absent"])


@pytest.mark.real
def test_another_user_is_told_that_a_part_is_kept_from_him(tmp_path: Path) -> None:
    need_root()
    tmp_path.chmod(0o755)
    own = tmp_path / "abc"
    own.mkdir(mode=0o755)
    (own / "user-1000.journal").touch()
    assert not _unreadable_for_nobody(tmp_path)
    system = own / "system.journal"
    system.touch(0o600)
    assert _unreadable_for_nobody(tmp_path)
    system.unlink()
    own.chmod(0o700)
    assert _unreadable_for_nobody(tmp_path)


def _unreadable_for_nobody(folder: Path) -> bool:
    script = (
        "import os, sys; from pathlib import Path; from ironpost_logpipe.journal_files import some_unreadable\n"
        "os.chdir(sys.argv[1]); os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "print(some_unreadable([Path('.')]))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout == "True\n"
