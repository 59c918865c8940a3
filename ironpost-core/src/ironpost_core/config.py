"""The configuration's public face: sections, the metrics section, and `load`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import attrs

from ironpost_core.errors import ConfigError, Problem
from ironpost_core.loading import DAEMON_SECTIONS, KNOWN_SECTIONS, Loaded, load, section_of
from ironpost_core.schema import Section
from ironpost_core.settings import (
    Secret,
    between,
    non_empty,
    setting,
    starts_with,
    together_with,
    when_enabled,
)

if TYPE_CHECKING:
    from os import PathLike

__all__ = [
    "DAEMON_SECTIONS",
    "KNOWN_SECTIONS",
    "Loaded",
    "MetricsConfig",
    "Section",
    "load",
    "read_file",
    "section_of",
]

LARGEST_FILE: Final = 1 << 20


@attrs.frozen(kw_only=True)
class MetricsConfig:
    """Where metrics, health and the status page are served. Values are checked only when it is enabled."""

    enabled: bool = setting(default=True, help="Whether anything is served over HTTP.")
    listen_addr: str = setting(
        default="127.0.0.1",
        help="The address to listen on. Anything but loopback opens the port to others.",
        check=when_enabled(non_empty()),
    )
    port: int = setting(
        default=9100,
        help="The TCP port to listen on; node_exporter's is the same.",
        check=when_enabled(between(1, 65535)),
    )
    endpoint: str = setting(
        default="/metrics", help="The path at which Prometheus scrapes.", check=when_enabled(starts_with("/"))
    )
    system: bool = setting(
        default=True,
        help="Whether the host's CPU, memory and disks are exported, as ironpost_system_*; "
        "switch it off beside node_exporter.",
    )
    tls_cert: Path | None = setting(
        default=None,
        help="A PEM file with the certificate chain; set it to serve HTTPS.",
        check=when_enabled(together_with("tls_key")),
        example=Path("/etc/ironpost/tls.crt"),
    )
    tls_key: Path | None = setting(
        default=None, help="The PEM file with the certificate's key.", example=Path("/etc/ironpost/tls.key")
    )
    basic_auth_user: str | None = setting(
        default=None,
        help="The user name that clients must send.",
        check=when_enabled(together_with("basic_auth_password")),
        example="prometheus",
    )
    basic_auth_password: Secret | None = setting(
        default=None,
        help="The password that clients must send.",
        example=Secret("/etc/ironpost/scrape-password", "file"),
    )
    bearer_token: Secret | None = setting(
        default=None,
        help="A token that clients may send instead of user and password.",
        example=Secret("/etc/ironpost/scrape-token", "file"),
    )


def read_file(path: str | PathLike[str]) -> bytes:
    """The content of a configuration file; ConfigError when it can't be read or is larger than one can be."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        _refuse(path, "does not exist", "write one with `ironpost config init`, or name another with --config")
    except PermissionError:
        _refuse(path, "may not be read by this user", "change its owner or mode, or run this as another user")
    except IsADirectoryError:
        _refuse(path, "is a folder", "name the file in it")
    except OSError as error:
        _refuse(path, f"can't be read: {error.strerror}", "name another file with --config")
    if len(data) > LARGEST_FILE:
        _refuse(path, "is larger than 1MiB", "name a configuration file; long lists go into files of their own")
    return data


def _refuse(path: str | PathLike[str], what: str, remedy: str) -> NoReturn:
    raise ConfigError([Problem(where="", what=what, remedy=remedy, file=str(path))])
