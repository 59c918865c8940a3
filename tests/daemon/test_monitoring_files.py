from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from ironpost_daemon import build, monitoring_files
from ironpost_daemon.cli import monitoring as commands

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "monitoring"


def export(*arguments: str | Path):
    return CliRunner().invoke(commands.monitoring, ["export", *map(str, arguments)])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_that_a_user_needs_is_written(tmp_path):
    done = export(tmp_path / "made" / "here")
    assert done.exit_code == 0, done.output
    written = contents(tmp_path / "made" / "here")
    assert f"wrote {len(written)} files to {tmp_path}/made/here" in done.output
    boards = {
        f"grafana/dashboards/ironpost-{name}.json" for name in ("overview", "log-pipeline", "security", "plugins")
    }
    assert boards <= set(written)
    assert {
        ".env.example",
        "Dockerfile",
        "VERSION",
        "docker-compose.yml",
        "prometheus/prometheus.yml",
        "grafana/provisioning/datasources/prometheus.yml",
        "requirements.lock",
    } <= set(written)
    assert written["VERSION"].decode().strip() == build.version()
    assert all((tmp_path / "made" / "here" / name).stat().st_mode & 0o777 == 0o644 for name in written)


def test_all_that_git_knows_of_the_folder_is_exported_but_what_only_the_repository_needs(tmp_path):
    assert export(tmp_path).exit_code == 0
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    known = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split()
    kept = {name for name in known if not name.startswith(("generator/", "pictures/")) and name != "README.md"}
    assert set(contents(tmp_path)) - {"VERSION"} == kept == set(monitoring_files.SHIPPED)


def test_what_a_user_put_beside_the_files_goes_nowhere(tmp_path, monkeypatch):
    checkout = tmp_path / "monitoring"
    shutil.copytree(REPOSITORY, checkout)
    private = (".env", "prometheus/ironpost-token", "prometheus/targets/mine.yml", "docker-compose.yml~")
    for name in private:
        (checkout / name).write_text("hunter2")
    monkeypatch.setattr(commands, "source", lambda: checkout)
    assert export(tmp_path / "out").exit_code == 0
    assert not set(contents(tmp_path / "out")) & set(private)


def test_git_leaves_alone_what_a_user_puts_beside_the_files():
    private = (".env", "docker-compose.override.yml", "prometheus/ironpost-token", "prometheus/targets/mine.yml")
    done = subprocess.run(["git", "check-ignore", *private], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout.split() == list(private)
    shipped = subprocess.run(["git", "check-ignore", *monitoring_files.SHIPPED], cwd=REPOSITORY, capture_output=True)
    assert shipped.stdout == b""


def test_a_wheel_holds_the_files(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT / "ironpost-daemon", capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    prefix = "ironpost_daemon/monitoring/"
    with zipfile.ZipFile(wheel) as archive:
        held = {name.removeprefix(prefix): archive.read(name) for name in archive.namelist() if name.startswith(prefix)}
    assert held == {name: (REPOSITORY / name).read_bytes() for name in monitoring_files.SHIPPED}


def test_an_exported_image_is_built_from_the_folder_itself(tmp_path):
    export(tmp_path)
    here, there = (tmp_path / "docker-compose.yml").read_text(), (REPOSITORY / "docker-compose.yml").read_text()
    assert "context: ..\n" in there
    assert "context: .\n" in here
    assert "dockerfile: Dockerfile\n" in here
    assert ".." not in here
    assert len(here.splitlines()) == len(there.splitlines())


def test_again_is_no_harm_and_what_is_the_users_stays(tmp_path):
    export(tmp_path)
    (tmp_path / ".env").write_text("MINE=1\n")
    before = contents(tmp_path)
    assert export(tmp_path).exit_code == 0
    assert contents(tmp_path) == before


def test_a_changed_file_is_named_and_kept_unless_forced(tmp_path):
    export(tmp_path)
    shipped = (tmp_path / "docker-compose.yml").read_bytes()
    (tmp_path / "docker-compose.yml").write_text("mine")
    (tmp_path / "Dockerfile").unlink()
    refused = export(tmp_path)
    assert refused.exit_code == 1
    assert "nothing was written:\n  docker-compose.yml\n(--force" in refused.output
    assert (tmp_path / "docker-compose.yml").read_text() == "mine"
    assert not (tmp_path / "Dockerfile").exists()
    assert export(tmp_path, "--force").exit_code == 0
    assert (tmp_path / "docker-compose.yml").read_bytes() == shipped


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize(
    ("there", "named"),
    [
        ("prometheus", "prometheus/prometheus.yml"),
        ("grafana/dashboards/ironpost-plugins.json/x", "plugins.json"),
    ],
)
def test_what_is_no_file_is_in_the_way_before_anything_is_written(tmp_path, force, there, named):
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).write_text("mine")
    done = export(tmp_path, *force)
    assert done.exit_code == 1
    assert named in done.output
    assert contents(tmp_path) == {there: b"mine"}


def test_a_place_that_can_not_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    done = export(tmp_path / "file" / "below")
    assert done.exit_code == 1
    assert f"{tmp_path}/file/below" in done.output
    assert "name another folder" in done.output
    assert (tmp_path / "file").read_text() == ""


def test_an_installation_without_the_files_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(monitoring_files, "__file__", str(tmp_path / "a" / "b" / "c" / "x.py"))
    with pytest.raises(FileNotFoundError, match="came without its monitoring files"):
        monitoring_files.source()
    monkeypatch.setattr(commands, "source", monitoring_files.source)
    assert "install ironpost-daemon anew" in export(tmp_path / "out").output


def test_package_data_comes_before_a_checkout(tmp_path, monkeypatch):
    package = tmp_path / "site" / "ironpost_daemon"
    (package / "monitoring").mkdir(parents=True)
    (package / "monitoring" / "docker-compose.yml").touch()
    monkeypatch.setattr(monitoring_files, "__file__", str(package / "monitoring_files.py"))
    assert monitoring_files.source() == package / "monitoring"
