"""The section ``[sbom]``."""

from __future__ import annotations

from pathlib import Path

import attrs

from ironpost_core import Duration, Section, Severity, setting
from ironpost_core.former import FormerKeys
from ironpost_core.settings import between


@attrs.frozen(kw_only=True)
class SbomConfig:
    """What is scanned, how often, and what is reported."""

    enabled: bool = setting(default=True, help="Whether targets are scanned; idle without targets.")
    targets: tuple[Path, ...] = setting(default=(), help="Folders to scan.", example=(Path("/srv/app"),))
    vulndb: Path | None = setting(
        default=None, help="The vulnerability database; unset: vulndb.sqlite in the plugin's state folder."
    )
    min_severity: Severity = setting(default=Severity.MEDIUM, help="The least severity that raises an alert.")
    scan_interval: Duration = setting(
        default=Duration.parse("1d"), help="The pause between two scans.", check=between(60, 31536000)
    )
    ignore_file: Path | None = setting(default=None, help="A file with findings to ignore, each with a reason.")


def _former(keys: FormerKeys) -> None:
    """The keys of the first design."""
    keys.renamed("scan_dirs", "targets")
    keys.gone("vuln_db_path", "that database had another format; name one of today's with vulndb", instead="vulndb")
    keys.gone("vuln_db_update_hours", "nothing is fetched from the network; replace the database's file instead")
    keys.gone("output_format", "it is chosen when an SBOM is written")


SECTION = Section(name="sbom", type=SbomConfig, help="Scan lockfiles and match vulnerabilities.", former=_former)
