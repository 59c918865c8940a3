"""Certificates for tests, made by the real openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from real import program


class Pair(NamedTuple):
    """A certificate and its key, both PEM files."""

    certificate: Path
    key: Path


def certificate(folder: Path, name: str, signer: Pair | None = None) -> Pair:
    """A certificate for `name` and 127.0.0.1; without `signer` it is an authority of its own."""
    made = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    command = [program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", str(made.key), "-out", str(made.certificate)]
    command += ["-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"]
    if signer is not None:
        command += ["-CA", str(signer.certificate), "-CAkey", str(signer.key)]
        command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(command, check=True, capture_output=True)
    return made
