"""HTTP for sinks: one POST with timeout, checked TLS, own headers and authentication, and no surprises by redirects."""

from __future__ import annotations

import base64
import email.utils
import http
import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

import attrs

from ironpost_core import Clock, ConfigError, Duration, Problem, Secret, setting
from ironpost_core.alerts import readable
from ironpost_core.settings import UnfitError, between, together_with
from ironpost_daemon.sinks.base import DeliveryError, SinkConfig
from ironpost_daemon.subscription import RetryError

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_RESERVED: Final = ("host", "content-length", "content-type", "transfer-encoding", "connection", "expect")
_RETRIED: Final = (408, 425, 429)


def web_address(instance: object, attribute: attrs.Attribute[Any], value: Secret) -> None:
    """A validator: http or https with a host. One in a file or variable is checked when the sink is made."""
    if value.place is None and not _is_address(value.reveal()):
        raise UnfitError(attribute.name, value, 'an address such as "https://example.org/hook"')


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return good and url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc


def _header_names(instance: object, attribute: attrs.Attribute[Any], value: Mapping[str, Secret]) -> None:
    for name in value:
        if not _TOKEN.fullmatch(name) or name.lower() in _RESERVED:
            raise ValueError(f"{name!r} can't be set as a header")


@attrs.frozen(kw_only=True)
class HttpSinkConfig(SinkConfig):
    """The keys of sinks that speak HTTP."""

    url: Secret = setting(
        help="Where to send. It counts as a secret, since chat services put their token into it.", check=web_address
    )
    timeout: Duration = setting(
        default=Duration.parse("10s"), help="How long to wait for the other side.", check=between(0.1, 300)
    )
    headers: dict[str, Secret] = setting(factory=dict, help="Further headers.", check=_header_names)
    bearer_token: Secret | None = setting(default=None, help="Sent as Authorization: Bearer.")
    username: str | None = setting(default=None, help="For basic authentication.", check=together_with("password"))
    password: Secret | None = setting(default=None, help="For basic authentication.", check=together_with("username"))
    ca_file: Path | None = setting(
        default=None, help="A PEM file with the certificate authorities to trust instead of the system's."
    )


class _SameHostRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect within scheme, host and port is followed as the same POST; any other could leak alerts or secrets."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if (old.scheme, old.netloc) != (new.scheme, new.netloc) or code == http.HTTPStatus.SEE_OTHER:
            return None
        return urllib.request.Request(newurl, data=req.data, headers=dict(req.header_items()), method="POST")  # noqa: S310 - same scheme as the checked one


class Poster:
    """Sends bodies to one address.

    Raises:
        ConfigError: a secret or the CA file can't be read or used.
    """

    def __init__(self, config: HttpSinkConfig, name: str, clock: Clock, *, path: str = "") -> None:
        self._config = config
        self._where = f"alerts.sinks ({name})"
        self._path = path
        self._clock = clock
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(context=self._tls()),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _SameHostRedirects(),
        ):
            self._opener.add_handler(handler)
        self._target()
        self._headers()

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._config.ca_file)
        except (OSError, ValueError) as error:
            what = f"{self._config.ca_file}: {getattr(error, 'strerror', None) or 'holds no certificates'}"
            raise self._unusable(what, "name a PEM file that the daemon may read in ca_file") from error

    def _target(self) -> str:
        url = self._config.url.reveal()
        if not _is_address(url):
            raise self._unusable("url is not a web address", "it begins with https:// or http:// and holds no password")
        return url.rstrip("/") + self._path if self._path else url

    def _headers(self) -> dict[str, str]:
        config = self._config
        headers = {"User-Agent": "ironpost"} | {name: value.reveal() for name, value in config.headers.items()}
        if config.username is not None and config.password is not None:
            pair = f"{config.username}:{config.password.reveal()}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        if config.bearer_token is not None:
            headers["Authorization"] = "Bearer " + config.bearer_token.reveal()
        for name, value in headers.items():
            if not (value.isascii() and value.isprintable()):
                raise self._unusable(f"header {name} has characters that a header can't have", "use plain ASCII")
        return headers

    def _unusable(self, what: str, remedy: str) -> ConfigError:
        return ConfigError([Problem(where=self._where, what=what, remedy=remedy)])

    def post(self, body: bytes, content_type: str, headers: Mapping[str, str]) -> None:
        """Send one body. Secrets are read anew, so that a renewed one counts at once.

        Raises:
            RetryError: the network, a secret or the other side is not ready; `after` is what that side asked for.
            DeliveryError: the other side does not want this body, now or later.
        """
        try:
            every = self._headers() | {"Content-Type": content_type, **headers}
            request = urllib.request.Request(self._target(), data=body, headers=every, method="POST")  # noqa: S310 - checked
            with self._opener.open(request, timeout=self._config.timeout) as response:
                response.read(1)
        except urllib.error.HTTPError as error:
            with error:
                raise self._judged(error) from None
        except ConfigError as error:
            raise RetryError(str(error)) from None
        except (OSError, http.client.HTTPException) as error:
            # The causes are not attached and URLs not shown: both may hold secrets.
            reason = getattr(error, "reason", None) or error
            raise RetryError(f"no answer: {type(reason).__name__}: {readable(str(reason), 200)}") from None

    def _judged(self, error: urllib.error.HTTPError) -> Exception:
        what = f"answered {error.code} {readable(str(error.reason), 100)}"
        if error.code in _RETRIED or error.code >= 500:
            return RetryError(what, self._seconds(error.headers.get("Retry-After")))
        if 300 <= error.code < 400:
            what += ", a redirect that is not followed: it leads to another host or to no POST"
        return DeliveryError(what)

    def _seconds(self, text: str | None) -> float | None:
        """What Retry-After says, as seconds from now."""
        if text is None:
            return None
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            moment = email.utils.parsedate_to_datetime(text)
            return max(0.0, (moment - self._clock.now()).total_seconds())
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
