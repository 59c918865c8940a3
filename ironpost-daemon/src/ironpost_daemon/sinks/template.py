"""Bodies of web requests from a user's template: ``${title}`` and the like, escaped so that no alert can break out.

What attackers write ends up in alerts, so a value is escaped for the body's content type before it is put in.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote_plus

import attrs

from ironpost_core import Alert, Key
from ironpost_core.alerts import readable
from ironpost_core.wording import did_you_mean

_PLACEHOLDER: Final = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>[^{}]*)\}|(?P<stray>))")
_FIELDS: Final = ("id", "time", "host", "plugin", "rule", "title", "severity", "message", "count", "first_seen",
                  "last_seen", "tags", "evidence", "cause", "depth")  # fmt: skip
#: The whole alert as a JSON object; only for JSON bodies.
WHOLE: Final = "alert"
NAMES: Final = (*_FIELDS, *(key.value for key in Key))


def values_of(alert: Alert) -> dict[str, str]:
    """What each placeholder stands for; empty when the alert has none of it."""
    data = alert.to_dict()
    values = {name: _text(data[name]) for name in _FIELDS}
    return values | {key.value: alert.observable(key) or "" for key in Key}


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "\n".join(readable(str(item)) for item in value)
    return readable(str(value), 4_000)


def is_json(content_type: str) -> bool:
    """Whether a content type stands for JSON."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _escape_for(content_type: str) -> Callable[[str], str]:
    if is_json(content_type):
        return lambda text: json.dumps(text)[1:-1]
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        return quote_plus
    return str


@attrs.frozen
class Template:
    """A checked template.

    Raises:
        ValueError: an unknown placeholder, a stray ``$``, or a JSON body that would not always be JSON.
    """

    text: str
    content_type: str
    markup: str = "none"

    def __attrs_post_init__(self) -> None:
        for match in _PLACEHOLDER.finditer(self.text):
            self._check(match)
        if not is_json(self.content_type):
            return
        # A quote, a backslash and a newline stay harmless only inside of a JSON string.
        sample = dict.fromkeys(NAMES, 'a"b\\c\n') | {"count": "1", "depth": "0"}
        try:
            json.loads(self._fill(sample, "{}"))
        except ValueError as error:
            raise ValueError(f"it does not give JSON: {error}; put placeholders in quotes") from None

    def _check(self, match: re.Match[str]) -> None:
        name = match["name"]
        if match["stray"] is not None:
            raise ValueError(f"there is a stray $ at character {match.start() + 1}; write ${{name}}, or $$ for a $")
        if name is None or name in NAMES or (name == WHOLE and is_json(self.content_type)):
            return
        hint = did_you_mean(name, (*NAMES, WHOLE)) or f"known are {', '.join(NAMES)}"
        raise ValueError(f"unknown placeholder ${{{name}}}; {hint}")

    def render(self, alert: Alert) -> bytes:
        """The body for this alert."""
        return self._fill(values_of(alert), alert.to_json()).encode()

    def _fill(self, values: Mapping[str, str], whole: str) -> str:
        escape = _escape_for(self.content_type)

        def fill(match: re.Match[str]) -> str:
            name = match["name"]
            if name is None:
                return "$"
            if name == WHOLE:
                return whole
            text = html.escape(values[name], quote=False) if self.markup == "html" else values[name]
            return escape(text)

        return _PLACEHOLDER.sub(fill, self.text)
