"""Who may see what over HTTP: authentication, and the check that a request comes from this very machine.

Alerts hold evidence, so without authentication they are shown on loopback only, and only to who addressed this
server by a loopback name: a web page that had its own name resolved to 127.0.0.1 (DNS rebinding) does not.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Sequence

import attrs

from ironpost_core import ConfigError, Problem, Secret
from ironpost_core.config import MetricsConfig

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]+)(?::([0-9]{1,5}))?")


@attrs.frozen
class Access:
    """What clients have to show. Secrets are kept as digests, so that comparing takes the same time for all lengths.

    Attributes:
        basic: the digest of ``user:password``, or None.
        bearer: the digest of the token, or None.
    """

    basic: bytes | None
    bearer: bytes | None

    @classmethod
    def of(cls, config: MetricsConfig) -> Access:
        """Read the secrets that the configuration names.

        Raises:
            ConfigError: a secret can't be read or is empty.
        """
        basic = bearer = None
        if config.basic_auth_user is not None and config.basic_auth_password is not None:
            password = _reveal(config.basic_auth_password, "basic_auth_password")
            basic = _digest(f"{config.basic_auth_user}:{password}".encode())
        if config.bearer_token is not None:
            bearer = _digest(_reveal(config.bearer_token, "bearer_token").encode())
        return cls(basic, bearer)

    @property
    def required(self) -> bool:
        """Whether any authentication is configured."""
        return self.basic is not None or self.bearer is not None

    @property
    def challenge(self) -> str:
        """The value of WWW-Authenticate."""
        return 'Basic realm="ironpost", charset="UTF-8"' if self.basic is not None else 'Bearer realm="ironpost"'

    def granted(self, headers: Sequence[str]) -> bool:
        """Whether these Authorization headers, of which there must be one, hold the right credentials."""
        if len(headers) != 1:
            return False
        scheme, _, credentials = headers[0].strip().partition(" ")
        credentials = credentials.strip()
        if scheme.lower() == "bearer" and self.bearer is not None:
            return hmac.compare_digest(_digest(credentials.encode("utf-8", "surrogateescape")), self.bearer)
        if scheme.lower() == "basic" and self.basic is not None:
            try:
                given = base64.b64decode(credentials, validate=True)
            except (binascii.Error, ValueError):
                return False
            return hmac.compare_digest(_digest(given), self.basic)
        return False


def _reveal(secret: Secret, setting: str) -> str:
    text = secret.reveal()
    if not text:
        raise ConfigError(
            [Problem(where=f"metrics.{setting}", what="is empty", remedy="set it, or remove the setting")]
        )
    return text


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def is_loopback(address: object) -> bool:
    """Whether this text is an address of the loopback interface; IPv4-mapped ones count as what they map."""
    try:
        parsed = ipaddress.ip_address(str(address).partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def names_loopback(host_headers: Sequence[str], port: int, default_port: int) -> bool:
    """Whether these Host headers, of which there must be one, name this machine's loopback interface and `port`."""
    found = _HOST.fullmatch(host_headers[0].strip()) if len(host_headers) == 1 else None
    if found is None:
        return False
    name, given_port = found[1].strip("[]").lower(), int(found[2] or default_port)
    return given_port == port and (name == "localhost" or is_loopback(name))
