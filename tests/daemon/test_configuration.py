from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from ironpost_core import ConfigError, Section
from ironpost_core.config import MetricsConfig
from ironpost_daemon import configuration
from ironpost_daemon.alerts_config import AlertsConfig
from ironpost_daemon.configuration import Folders, GeneralConfig, complete, find_file, read


@attrs.frozen(kw_only=True)
class Canary:
    loudness: int = 1


CANARY: Section[Any] = Section(name="canary", type=Canary, help="A bird.")


@pytest.fixture
def as_user(monkeypatch, tmp_path):
    """An ordinary user on a machine whose system file is in `tmp_path`."""
    monkeypatch.setattr(configuration.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(configuration, "SYSTEM_FILE", tmp_path / "etc" / "ironpost.toml")


def written(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_file_given_is_read_even_if_it_is_not_there(tmp_path, as_user):
    written(tmp_path / "etc" / "ironpost.toml")
    assert find_file(Path("mine.toml"), {"IRONPOST_CONFIG": "named.toml"}) == Path("mine.toml")


@pytest.mark.parametrize("variable", ["XDG_CONFIG_HOME", "HOME"])
def test_the_usual_places_of_a_user(tmp_path, as_user, variable):
    below = {"XDG_CONFIG_HOME": "", "HOME": ".config/"}[variable]
    environ = {variable: str(tmp_path), "IRONPOST_CONFIG": "named.toml"}
    assert find_file(None, environ) == Path("named.toml")
    system = written(tmp_path / "etc" / "ironpost.toml")
    assert find_file(None, environ) == system
    own = written(tmp_path / f"{below}ironpost" / "ironpost.toml")
    assert find_file(None, environ) == own


def test_root_has_one_usual_place(tmp_path, as_user, monkeypatch):
    monkeypatch.setattr(configuration.os, "geteuid", lambda: 0)
    written(tmp_path / "ironpost" / "ironpost.toml")
    assert find_file(None, {"XDG_CONFIG_HOME": str(tmp_path)}) is None
    system = written(tmp_path / "etc" / "ironpost.toml")
    assert find_file(None, {}) == system


def test_a_usual_place_that_cannot_be_looked_into_is_the_one_to_read(tmp_path, as_user, monkeypatch):
    def refuse(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    own = tmp_path / "ironpost" / "ironpost.toml"
    assert find_file(None, {"XDG_CONFIG_HOME": str(tmp_path)}) == own


@pytest.mark.parametrize("environ", [{}, {"IRONPOST_CONFIG": ""}])
def test_else_there_are_the_embedded_defaults(as_user, environ):
    assert find_file(None, environ) is None
    loaded = read(None, plugins=[CANARY], environ=environ)
    whole = complete(None, loaded)
    assert (whole.path, whole.general, whole.metrics) == (None, GeneralConfig(), MetricsConfig())
    assert (whole.alerts, whole.section("canary")) == (AlertsConfig(), Canary())


@pytest.mark.parametrize(
    ("general", "environ", "folders"),
    [
        ({}, {"HOME": "/h"}, ("/h/.local/state/ironpost", "/h/.local/state/ironpost/run")),
        ({}, {"XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r"}, ("/s/ironpost", "/r/ironpost")),
        ({"data_dir": Path("/d"), "run_dir": Path("/r")}, {"HOME": "/h"}, ("/d", "/r")),
        ({"data_dir": Path("/d")}, {}, ("/d", "/d/run")),
    ],
)
def test_folders(as_user, general, environ, folders):
    found = Folders.of(GeneralConfig(**general), environ)
    assert (str(found.data_dir), str(found.run_dir)) == folders
    assert (found.history, found.control) == (found.data_dir / "history.sqlite", found.run_dir / "control.sock")
    assert found.pid_file == found.run_dir / "ironpost.pid"


@pytest.mark.parametrize("key", ["data_dir", "run_dir", "pid_file"])
def test_a_relative_place_would_depend_on_where_the_daemon_was_started(key):
    with pytest.raises(ValueError, match=f'{key}: expected a text that starts with "/", found'):
        GeneralConfig(**{key: Path("here")})


def test_the_pid_file_may_lie_elsewhere(as_user):
    assert Folders.of(GeneralConfig(pid_file=Path("/p")), {"HOME": "/h"}).pid_file == Path("/p")


def test_who_names_both_folders_needs_no_home(as_user):
    found = Folders.of(GeneralConfig(data_dir=Path("/d"), run_dir=Path("/r")), {})
    assert (found.data_dir, found.run_dir) == (Path("/d"), Path("/r"))


def test_file_environment_and_command_line(tmp_path):
    path = written(tmp_path / "c.toml", "[general]\nlog_level = 'debug'\n[metrics]\nport = 1\n[canary]\nloudness = 2\n")
    loaded = read(
        path,
        plugins=[CANARY],
        environ={"IRONPOST_METRICS_PORT": "2", "IRONPOST_CANARY_LOUDNESS": "loud"},
        overrides={"general.log_level": "error"},
    )
    whole = complete(path, loaded)
    assert (whole.general.log_level, whole.metrics.port, whole.section("canary").loudness) == ("error", 2, 2)
    (problem,) = loaded.environment_problems
    assert "IRONPOST_CANARY_LOUDNESS" in str(problem)


def test_one_report_holds_every_problem(tmp_path):
    path = written(tmp_path / "c.toml", "[general]\nlog_level = 'loud'\n[metrics]\nprt = 1\n[canary]\nloudness = 'x'\n")
    with pytest.raises(ConfigError) as caught:
        complete(path, read(path, plugins=[CANARY], environ={}))
    assert [(problem.where, problem.line) for problem in caught.value.problems] == [
        ("general.log_level", 2),
        ("metrics.prt", 4),
        ("canary.loudness", 6),
    ]


def test_nobody_can_say_whether_the_section_of_a_plugin_that_failed_is_right(tmp_path):
    path = written(tmp_path / "c.toml", "[canary]\nloudness = 'x'\n[sbom]\nscan_interval = 3\n[robin]\na = 1\n")
    loaded = read(path, plugins=[], environ={}, unreadable={"canary", "sbom"})
    assert [problem.where for problem in loaded.problems] == ["robin"]
    assert loaded.warnings == ()
    assert len(read(path, plugins=[], environ={}).warnings) == 1


@pytest.mark.parametrize("text", [None, "[general", b"\xff"])
def test_a_file_that_is_none(tmp_path, text):
    path = tmp_path / "c.toml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=r"c\.toml"):
        read(path, plugins=[], environ={})
