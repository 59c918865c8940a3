"""A web request for each alert, signed when a secret is given, with a body that fits whoever receives it."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final, Literal

import attrs

from ironpost_core import Alert, Clock, ConfigError, Secret, setting
from ironpost_core.settings import matches
from ironpost_daemon.sinks.base import Sink
from ironpost_daemon.sinks.http import HttpSinkConfig, Poster
from ironpost_daemon.sinks.template import Template
from ironpost_daemon.subscription import RetryError

TIMESTAMP_HEADER: Final = "X-Ironpost-Timestamp"
SIGNATURE_HEADER: Final = "X-Ironpost-Signature"
_CONTENT_TYPE: Final = r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+(; ?[a-z]+=[A-Za-z0-9-]+)?"


def _template(instance: Any, attribute: attrs.Attribute[str], value: str) -> None:
    Template(value, instance.content_type, instance.markup)


@attrs.frozen(kw_only=True)
class WebhookSink(HttpSinkConfig):
    """Sends each alert as an HTTP POST."""

    type: Literal["webhook"] = setting(default="webhook", help="An HTTP POST for each alert.")
    content_type: str = setting(
        default="application/json",
        help="The body's type. Values are escaped for JSON and for forms; in other types they are put in as they are.",
        check=matches(
            'a content type such as "application/json"', r"[A-Za-z0-9.+*-]+/[A-Za-z0-9.+*-]+(; ?[a-z]+=[A-Za-z0-9-]+)?"
        ),
    )
    markup: Literal["none", "html"] = setting(
        default="none",
        help="html escapes <, > and & in values, as Slack wants, so that no log line mentions a channel.",
    )
    body: str = setting(
        default="${alert}",
        help="The body; ${title}, ${severity}, ${message}, ${host}, ${rule}, ${source_ip} … are filled in, ${alert} is"
        " the whole alert as JSON. For Discord add allowed_mentions, so that no log line can call people.",
        check=_template,
        example='{"text": "${severity}: ${title} on ${host}"}',
    )
    secret: Secret | None = setting(
        default=None,
        help=f"Signs: {SIGNATURE_HEADER} is sha256= and the hexadecimal HMAC-SHA256 over"
        f" {TIMESTAMP_HEADER}, a dot and the body.",
    )


class Webhook(Sink):
    """The sender; ConfigError when a secret or the CA file can't be used."""

    def __init__(self, config: WebhookSink, name: str, clock: Clock) -> None:
        super().__init__(config, name)
        self._template = Template(config.body, config.content_type, config.markup)
        self._secret = config.secret
        self._clock = clock
        self._poster = Poster(config, name, clock)
        self._signature(b"")

    def send(self, alert: Alert) -> None:
        """Post it; raises as `Poster.post`."""
        body = self._template.render(alert)
        try:
            signature = self._signature(body)
        except ConfigError as error:
            raise RetryError(str(error)) from None
        self._poster.post(body, self._template.content_type, signature)

    def _signature(self, body: bytes) -> dict[str, str]:
        if self._secret is None:
            return {}
        timestamp = str(int(self._clock.now().timestamp()))
        key = self._secret.reveal().encode()
        digest = hmac.new(key, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
        return {TIMESTAMP_HEADER: timestamp, SIGNATURE_HEADER: f"sha256={digest}"}
