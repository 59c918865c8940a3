"""``ironpost monitoring``: the dashboards, scrape configuration and compose files that come with ironpost."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from ironpost_core.files import write_atomic
from ironpost_daemon.exits import NO
from ironpost_daemon.monitoring_files import exported, source

_NEXT = """
dashboards for a Grafana of yours: import {folder}/grafana/dashboards/*.json
Prometheus and Grafana in containers, beside a daemon that listens on Docker's bridge (metrics.listen_addr):
  docker compose -f docker-compose.yml -f docker-compose.host.yml --profile monitoring up --detach prometheus grafana
everything in containers:
  cd {folder} && cp .env.example .env    # and set GRAFANA_ADMIN_PASSWORD in it
  docker compose --profile monitoring up --detach"""


@click.group()
def monitoring() -> None:
    """Write the files for Prometheus, Grafana and Docker Compose.

    \b
    Example: ironpost monitoring export ./monitoring
    """


@monitoring.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--force", is_flag=True, help="Replace files that were changed or come from another version.")
def export(folder: Path, force: bool) -> None:
    """Write the dashboards, the scrape configuration and the compose files to FOLDER.

    Files that are there and differ are named and kept, and nothing is written, unless --force is given. What is yours
    alone (.env, files below prometheus/targets) is never touched.

    \b
    Example: ironpost monitoring export ./monitoring
    """
    from ironpost_daemon.build import version

    try:
        files = exported(source(), version())
        kept = [name for name, data in files.items() if _is_in_the_way(folder / name, data, force=force)]
        if kept:
            what = f"{folder} holds other versions of these, or something else; nothing was written:"
            click.echo("\n  ".join([what, *kept]) + "\n(--force replaces files, or name another folder)", err=True)
            sys.exit(NO)
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / name, data, 0o644)
    except OSError as error:
        click.echo(f"{error.filename or folder}: {error.strerror or error}; name another folder", err=True)
        sys.exit(NO)
    click.echo(f"wrote {len(files)} files to {folder}\n{_NEXT.format(folder=shlex.quote(str(folder)))}")


def _is_in_the_way(path: Path, data: bytes, *, force: bool) -> bool:
    """Whether something is there that may not be replaced: another file, unless forced; anything but a file, always."""
    if any(parent.exists() and not parent.is_dir() for parent in path.parents):
        return True
    if not path.is_file():
        return path.exists()
    return not force and path.read_bytes() != data
