"""TLS for syslog (RFC 5425): the listener's certificate, and who may be a client."""

from __future__ import annotations

import ssl
from pathlib import Path

from ironpost_core.errors import SourceError
from ironpost_logpipe.config import SyslogSource


def server_context(config: SyslogSource, source: str) -> ssl.SSLContext:
    """TLS 1.2 or newer with the configured certificate; clients must show one too when `tls_ca` is set.

    Raises:
        SourceError: names `source`, the key, the file and what to do.
    """
    assert config.tls_cert is not None  # noqa: S101 - the configuration was checked
    assert config.tls_key is not None  # noqa: S101
    for key, path in (("tls_cert", config.tls_cert), ("tls_key", config.tls_key), ("tls_ca", config.tls_ca)):
        if path is not None:
            _check_readable(source, key, path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    # Senders of syslog never read. A ticket that waits for one would make its close a reset, which loses messages.
    context.num_tickets = 0
    try:
        # The password is given so that OpenSSL does not ask on the terminal for one.
        context.load_cert_chain(config.tls_cert, config.tls_key, password="")
    except (OSError, ValueError) as error:
        what = f"tls_cert {config.tls_cert} and tls_key {config.tls_key} can't be used together: {error}"
        cure = "give a PEM chain, the listener's own certificate first, and its unencrypted PEM key"
        raise SourceError(source, what, cure) from error
    if config.tls_ca is not None:
        _demand_certificates(context, source, config.tls_ca)
    return context


def _demand_certificates(context: ssl.SSLContext, source: str, authorities: Path) -> None:
    try:
        context.load_verify_locations(authorities)
    except (OSError, ValueError) as error:
        what = f"tls_ca {authorities} holds no certificate authority: {error}"
        raise SourceError(source, what, "give a PEM file with the certificates that sign the clients' ones") from error
    context.verify_mode = ssl.CERT_REQUIRED


def _check_readable(source: str, key: str, path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        cure = f"make it readable for the daemon's user, or set {key} in log_pipeline.sources to another file"
        raise SourceError(source, f"{key} {path} can't be read: {error.strerror}", cure) from error
