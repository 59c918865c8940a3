"""The files of ``monitoring/`` that a user gets: from the wheel, or from the checkout that this runs from.

The wheel's build reads `SHIPPED`, too, so this module imports nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: By name, because beside these lie a user's own: .env with passwords, credentials for scraping, lists of hosts.
SHIPPED: Final = (
    ".env.example",
    "Dockerfile",
    "Dockerfile.dockerignore",
    "docker-compose.docker.yml",
    "docker-compose.ebpf.yml",
    "docker-compose.host.yml",
    "docker-compose.yml",
    "grafana/dashboards/ironpost-log-pipeline.json",
    "grafana/dashboards/ironpost-overview.json",
    "grafana/dashboards/ironpost-plugins.json",
    "grafana/dashboards/ironpost-security.json",
    "grafana/provisioning/dashboards/ironpost.yml",
    "grafana/provisioning/datasources/prometheus.yml",
    "ironpost/ironpost.host.toml",
    "ironpost/ironpost.toml",
    "prometheus/prometheus.yml",
    "prometheus/targets/hosts.yml.example",
    "requirements-build.lock",
    "requirements.lock",
)
_COMPOSE: Final = "docker-compose.yml"
#: In the repository the image is built from the sources above this folder; an exported folder has none.
_FROM_SOURCES: Final = b"context: ..\n      dockerfile: monitoring/Dockerfile\n"
_FROM_INDEX: Final = b"context: .\n      dockerfile: Dockerfile\n"


def source() -> Path:
    """The folder: package data of an installed wheel, else the checkout's.

    Raises:
        FileNotFoundError: neither is there; the installation is incomplete.
    """
    here = Path(__file__).parent
    for folder in (here / "monitoring", here.parents[2] / "monitoring"):
        if (folder / _COMPOSE).is_file():
            return folder
    raise FileNotFoundError("this installation came without its monitoring files; install ironpost-daemon anew")


def exported(folder: Path, version: str) -> Mapping[str, bytes]:
    """Name → content of everything that a user gets of `folder`, for an image from the package index."""
    contents = {name: (folder / name).read_bytes() for name in SHIPPED}
    contents[_COMPOSE] = contents[_COMPOSE].replace(_FROM_SOURCES, _FROM_INDEX)
    return contents | {"VERSION": f"{version}\n".encode()}
