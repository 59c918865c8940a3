from __future__ import annotations

import importlib.metadata
import re
import subprocess
from pathlib import Path

import pytest

from ironpost_daemon import build

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def fresh():
    build.commit.cache_clear()
    yield
    build.commit.cache_clear()


def a_checkout(folder: Path, *, ours: bool = True) -> Path:
    """A folder deep in a checkout with one commit."""
    package = folder / "ironpost-daemon"
    (package / "src").mkdir(parents=True)
    if ours:
        (package / "pyproject.toml").touch()
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True)
    return package / "src"


def test_the_version_is_that_of_the_distribution_and_of_the_file():
    assert build.version() == importlib.metadata.version("ironpost-daemon")
    assert build.version() == (ROOT / "VERSION").read_text().strip()


def test_the_commit_of_a_checkout(tmp_path):
    assert re.fullmatch(r"[0-9a-f]{12}", build.checkout_commit(a_checkout(tmp_path)))


def test_that_of_somebody_elses_checkout_is_not_ours(tmp_path):
    assert build.checkout_commit(a_checkout(tmp_path, ours=False)) == ""
    assert build.checkout_commit(Path("/")) == ""


def test_a_checkout_that_git_can_not_read(tmp_path):
    inside = a_checkout(tmp_path)
    (tmp_path / ".git" / "HEAD").write_text("broken")
    assert build.checkout_commit(inside) == ""


def test_without_git(tmp_path, monkeypatch):
    inside = a_checkout(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.checkout_commit(inside) == ""


@pytest.mark.parametrize(("noted", "commit"), [("abc\n", "abc"), ("\n", "unknown")])
def test_the_commit_that_the_wheel_noted(tmp_path, monkeypatch, noted, commit):
    (tmp_path / "_commit.txt").write_text(noted)
    monkeypatch.setattr(build.importlib.resources, "files", lambda package: tmp_path)
    assert build.commit() == commit


@pytest.mark.parametrize(("found", "commit"), [("abc", "abc"), ("", "unknown")])
def test_else_that_of_the_checkout(tmp_path, monkeypatch, found, commit):
    monkeypatch.setattr(build.importlib.resources, "files", lambda package: tmp_path)
    monkeypatch.setattr(build, "checkout_commit", lambda folder: found)
    assert build.commit() == commit
