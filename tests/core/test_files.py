from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ironpost_core.errors import ConfigError
from ironpost_core.files import default_folders, ensure_folder, write_atomic


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert mode_of(path) == 0o600
    write_atomic(path, b"three", mode=0o644)
    assert mode_of(path) == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_both_the_file_and_its_folder_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: kinds.append(stat.S_IFMT(os.fstat(descriptor).st_mode)))
    write_atomic(tmp_path / "a", b"")
    assert kinds == [stat.S_IFREG, stat.S_IFDIR]


def test_a_system_that_cannot_open_folders_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_DIRECTORY")
    write_atomic(tmp_path / "a", b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_folder_is_made_private_with_its_parents(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert ensure_folder(folder) == folder
    assert mode_of(folder) == 0o700
    ensure_folder(folder)


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.touch()
    with pytest.raises(ConfigError) as caught:
        ensure_folder(path)
    assert str(caught.value) == f"{path}: is not a folder (move that file away, or name another folder)"


def test_a_folder_that_cannot_be_made_is_named_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "data"
    with pytest.raises(ConfigError) as caught:
        ensure_folder(path)
    assert str(caught.value) == (
        f"{path}: can't be made: Not a directory "
        f"(make {path} writable for the user that runs this, or name another folder)"
    )


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match="can't be written to"):
        ensure_folder(tmp_path)


@pytest.mark.parametrize(
    ("environ", "euid", "data", "run"),
    [
        ({"HOME": "/root", "XDG_STATE_HOME": "/x"}, 0, "/var/lib/ironpost", "/run/ironpost"),
        ({"HOME": "/home/a"}, 1000, "/home/a/.local/state/ironpost", "/home/a/.local/state/ironpost/run"),
        (
            {"HOME": "/home/a", "XDG_STATE_HOME": "rel"},
            1000,
            *["/home/a/.local/state/ironpost" + end for end in ("", "/run")],
        ),
        ({"XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/run/user/1000"}, 1000, "/s/ironpost", "/run/user/1000/ironpost"),
    ],
)
def test_folders_are_the_systems_for_root_and_the_users_own_otherwise(
    environ: dict[str, str], euid: int, data: str, run: str
) -> None:
    assert default_folders(environ, euid) == (Path(data), Path(run))


@pytest.mark.parametrize(
    ("environ", "euid", "run"),
    [
        ({}, 0, "/run/ironpost"),
        ({}, 1000, "/d/run"),
        ({"XDG_RUNTIME_DIR": "/run/user/1000"}, 1000, "/run/user/1000/ironpost"),
    ],
)
def test_with_a_data_folder_given_sockets_follow_it(environ: dict[str, str], euid: int, run: str) -> None:
    assert default_folders(environ, euid, Path("/d")) == (Path("/d"), Path(run))


def test_no_home_is_said_so() -> None:
    with pytest.raises(ConfigError, match=r"~: is not known: HOME is not set \(set HOME or XDG_STATE_HOME"):
        default_folders({}, 1000)


def test_nothing_of_linux_alone_is_imported() -> None:
    names = ["config", "settings", "show", "files"]
    code = "import sys; sys.modules.update(dict.fromkeys(['fcntl', 'pwd', 'grp', 'resource'], None));" + ";".join(
        f"import ironpost_core.{name}" for name in names
    )
    heavy = "; assert not {'prometheus_client', 'cattrs', 'rich', 'pluggy', 'asyncio'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code + heavy], check=True)
