"""The section ``[container]``."""

from __future__ import annotations

import operator
from pathlib import Path

import attrs

from ironpost_core import Section, setting
from ironpost_core.former import FormerKeys
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


def _former(keys: FormerKeys) -> None:
    """The keys of the first design."""
    socket, policies = keys.table.get("docker_socket"), keys.table.get("policy_path")
    if isinstance(socket, str) and socket.startswith("unix://"):
        keys.reworded("docker_socket", socket, socket.removeprefix("unix://"))
    if isinstance(policies, str) and policies.endswith(".toml"):
        # Its folder may hold other TOML files, this configuration for one.
        keys.gone("policy_path", "it names a file; set policy_dir to a folder of policy files", instead="policy_dir")
    keys.renamed("policy_path", "policy_dir")
    if keys.table.get("auto_isolate") is True:
        # Isolating for real is asked for in today's words: policies and checks are not those of that time.
        keys.gone("auto_isolate", "containers are isolated for real after `dry_run = false` only", instead="dry_run")
    keys.renamed("auto_isolate", "dry_run", kind=bool, into=operator.not_)
    keys.gone("poll_interval_secs", "Docker's events are followed instead of asking at intervals")


SECTION = Section(name="container", type=GuardConfig, help="Watch Docker and isolate containers.", former=_former)
