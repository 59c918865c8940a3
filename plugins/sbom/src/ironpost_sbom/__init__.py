"""The sbom plugin: scans lockfiles, writes SBOMs and matches vulnerabilities, offline."""

from __future__ import annotations

from ironpost_sbom.plugin import SbomPlugin

__all__ = ["SbomPlugin"]
