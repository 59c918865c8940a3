"""The section ``[sbom]``."""

from __future__ import annotations

from pathlib import Path

import attrs

from ironpost_core import Duration, Section, Severity, setting
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


SECTION = Section(name="sbom", type=SbomConfig, help="Scan lockfiles and match vulnerabilities.")
