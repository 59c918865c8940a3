"""A live Prometheus, asked over its HTTP API."""

from __future__ import annotations

import http.client
import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from monitoring.pictures.errors import PictureError

_DEADLINE = 30


@attrs.frozen
class Span:
    """The time that a graph shows, in whole seconds."""

    start: int
    end: int
    step: int

    @property
    def times(self) -> range:
        """Where its points are."""
        return range(self.start, self.end + 1, self.step)


@attrs.frozen
class Series:
    """Labels and values; None where there is none or where it is no finite number."""

    labels: Mapping[str, str]
    values: Sequence[float | None]


@attrs.frozen
class Prometheus:
    """The server at `base`, such as ``http://127.0.0.1:9090``.

    Every method raises ValueError when the server refuses the query, PictureError when there is no talking to it.
    """

    base: str

    def courses(self, query: str, span: Span) -> list[Series]:
        """Values over time, one for each of the span's times."""
        answer = self._ask("query_range", query=query, start=span.start, end=span.end, step=span.step)
        courses = []
        for found in _results(answer, "matrix"):
            at = {round(float(time)): _finite(value) for time, value in found["values"]}
            courses.append(Series(found["metric"], [at.get(time) for time in span.times]))
        return courses

    def values(self, query: str, time: int) -> list[Series]:
        """Values at one time, in the order of their labels."""
        found = _results(self._ask("query", query=query, time=time), "vector")
        series = [Series(one["metric"], [_finite(one["value"][1])]) for one in found]
        return sorted(series, key=lambda one: sorted(one.labels.items()))

    def _ask(self, what: str, **parameters: str | int) -> Any:
        address = f"{self.base.rstrip('/')}/api/v1/{what}"
        if not address.startswith(("http://", "https://")):
            raise PictureError(f"{self.base}: an address that begins with http:// or https:// is needed")
        try:
            form = urllib.parse.urlencode(parameters).encode()
            with urllib.request.urlopen(address, form, timeout=_DEADLINE) as answer:  # noqa: S310 - checked above
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(_reason(error)) from error
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise PictureError(f"no Prometheus answers at {self.base}: {error!r}") from error


def _reason(error: urllib.error.HTTPError) -> str:
    text = error.read().decode("utf-8", "replace")
    try:
        return f"Prometheus refuses it: {json.loads(text)['error']}"
    except (ValueError, KeyError, TypeError):
        return f"Prometheus answers {error.code}: {text[:200]}"


def _results(answer: Any, kind: str) -> list[Any]:
    if answer["resultType"] == "scalar" and kind == "vector":
        return [{"metric": {}, "value": answer["result"]}]
    if answer["resultType"] != kind:
        raise ValueError(f"it gives a {answer['resultType']}, not a {kind}")
    return list(answer["result"])


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
