"""The daemon's own sections, where its file is found, and one load of everything for all that is installed."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import attrs

from ironpost_core import ConfigError, Section, setting
from ironpost_core.config import Loaded, MetricsConfig, load, read_file, section_of
from ironpost_core.files import default_folders
from ironpost_core.former import FormerKeys
from ironpost_core.settings import starts_with
from ironpost_daemon.alerts_config import AlertsConfig

CONFIG_VARIABLE: Final = "IRONPOST_CONFIG"
SYSTEM_FILE: Final = Path("/etc/ironpost/ironpost.toml")


@attrs.frozen(kw_only=True)
class GeneralConfig:
    """What concerns the daemon as a whole."""

    log_level: Literal["debug", "info", "warning", "error"] = setting(
        default="info", help="The least serious level that is logged."
    )
    log_format: Literal["auto", "text", "json"] = setting(
        default="auto", help="How log lines look; auto means text on a terminal and JSON otherwise."
    )
    data_dir: Path | None = setting(
        default=None,
        help="Where the alert history and the plugins' state are kept; "
        "unset: /var/lib/ironpost as root, the XDG state folder otherwise.",
        check=starts_with("/"),
        example=Path("/var/lib/ironpost"),
    )
    run_dir: Path | None = setting(
        default=None,
        help="Where the control socket and the PID file are made; "
        "unset: /run/ironpost as root, the XDG runtime folder otherwise.",
        check=starts_with("/"),
        example=Path("/run/ironpost"),
    )
    pid_file: Path | None = setting(
        default=None,
        help="The PID file; unset: ironpost.pid in run_dir.",
        check=starts_with("/"),
        example=Path("/run/ironpost/ironpost.pid"),
    )
    control_group: str | None = setting(
        default=None,
        help="A group whose members may use the control socket, besides root and the daemon's user.",
        example="ironpost",
    )


def _former(keys: FormerKeys) -> None:
    """What the first design called otherwise."""
    keys.reworded("log_level", "trace", "debug", "there is nothing below it")
    keys.reworded("log_level", "warn", "warning")
    keys.reworded("log_format", "pretty", "text")


GENERAL: Final = Section(name="general", type=GeneralConfig, help="The daemon as a whole.", former=_former)
METRICS: Final = Section(name="metrics", type=MetricsConfig, help="Metrics, health and status over HTTP.")
ALERTS: Final = Section(name="alerts", type=AlertsConfig, help="The alert history and where alerts are sent.")
DAEMON: Final[tuple[Section[Any], ...]] = (GENERAL, METRICS, ALERTS)


@attrs.frozen(kw_only=True)
class Folders:
    """Where the daemon keeps what it keeps."""

    data_dir: Path
    run_dir: Path
    pid_file: Path

    @property
    def history(self) -> Path:
        """The alert history."""
        return self.data_dir / "history.sqlite"

    @property
    def control(self) -> Path:
        """The control socket."""
        return self.run_dir / "control.sock"

    @classmethod
    def of(cls, general: GeneralConfig, environ: Mapping[str, str]) -> Folders:
        """The configured folders, or the usual ones of this user."""
        data_dir, run_dir = general.data_dir, general.run_dir
        if data_dir is None or run_dir is None:  # else nothing needs to be known of this user, not even a home
            data_dir, usual_run = default_folders(environ, os.geteuid(), data_dir)
            run_dir = run_dir or usual_run
        return cls(data_dir=data_dir, run_dir=run_dir, pid_file=general.pid_file or run_dir / "ironpost.pid")


@attrs.frozen(kw_only=True)
class Configuration:
    """A whole, usable configuration, and how it was come by."""

    path: Path | None
    loaded: Loaded
    general: GeneralConfig
    metrics: MetricsConfig
    alerts: AlertsConfig

    def section(self, name: str) -> Any:
        """A plugin's section."""
        return self.loaded.values[name]


def find_file(given: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: the one given, else the usual place, else ``IRONPOST_CONFIG``, else None for the defaults."""
    if given is not None:
        return given
    for usual in _usual_places(environ):
        if _is_there(usual):
            return usual
    named = environ.get(CONFIG_VARIABLE)
    return Path(named) if named else None


def _is_there(path: Path) -> bool:
    """Whether there is such a file; also when its folder can't be looked into, so that reading it says why."""
    try:
        return path.exists()
    except OSError:
        return True


def _usual_places(environ: Mapping[str, str]) -> list[Path]:
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # Windows, where rules are written, has no root
        return [SYSTEM_FILE]
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", "/nonexistent"), ".config")  # noqa: PTH118 - environment text
    return [Path(home) / "ironpost" / "ironpost.toml", SYSTEM_FILE]


def read(
    path: Path | None,
    *,
    plugins: Sequence[Section[Any]],
    environ: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    unreadable: Collection[str] = (),
) -> Loaded:
    """Load the daemon's and the plugins' sections, with every problem of the document in the result.

    Args:
        path: the file, or None for embedded defaults.
        plugins: the sections of the plugins that could be loaded.
        environ: the environment variables.
        overrides: from the command line, dotted keys.
        unreadable: sections that belong to plugins which failed to load: nobody can say whether they are right.

    Raises:
        ConfigError: the file can't be read or is no TOML document.
    """
    text = None if path is None else read_file(path)
    loaded = load(
        text,
        file=None if path is None else str(path),
        sections=[*DAEMON, *plugins],
        environ=environ,
        overrides=overrides,
    )
    known = {problem for problem in (*loaded.problems, *loaded.warnings) if section_of(problem) in unreadable}
    return attrs.evolve(
        loaded,
        problems=tuple(problem for problem in loaded.problems if problem not in known),
        warnings=tuple(problem for problem in loaded.warnings if problem not in known),
    )


def complete(path: Path | None, loaded: Loaded) -> Configuration:
    """The configuration when all of it is usable.

    Raises:
        ConfigError: with every problem.
    """
    if loaded.problems:
        raise ConfigError(loaded.problems)
    values = loaded.values
    return Configuration(
        path=path, loaded=loaded, general=values["general"], metrics=values["metrics"], alerts=values["alerts"]
    )
