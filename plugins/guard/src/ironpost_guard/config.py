"""The section ``[container]``."""

from __future__ import annotations

from pathlib import Path

import attrs

from ironpost_core import Section, setting
from ironpost_core.settings import between


@attrs.frozen(kw_only=True)
class GuardConfig:
    """Docker and the policies. Nothing is isolated unless `dry_run` is switched off."""

    enabled: bool = setting(default=True, help="Whether Docker is watched; idle without a socket.")
    docker_socket: Path = setting(default=Path("/var/run/docker.sock"), help="The engine's socket.")
    policy_dir: Path = setting(default=Path("/etc/ironpost/policies"), help="The folder with the policy files.")
    dry_run: bool = setting(default=True, help="Whether isolations are only reported, not done.")
    never_touch: tuple[str, ...] = setting(default=(), help="Globs of container names that are never isolated.")
    max_isolations: int = setting(
        default=5, help="Isolations within ten minutes after which no further one is done.", check=between(1, 1000)
    )


SECTION = Section(name="container", type=GuardConfig, help="Watch Docker and isolate containers.")
