"""What the daemon answers to its operators: over the control socket everything, over HTTP what only reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Final

import attrs

from ironpost_core import ActionError, Alert, ConfigError, Problem, Severity, setting
from ironpost_core.settings import between
from ironpost_core.structure import FAILED, Report, structure
from ironpost_core.wording import shown
from ironpost_daemon.configuration import Configuration
from ironpost_daemon.history import History, Stored
from ironpost_daemon.status import DaemonStatus
from ironpost_daemon.supervisor import Supervisor

#: Seconds for what the daemon answers itself; an action has its own deadline.
DEADLINE: Final = 10.0
RELOAD_DEADLINE: Final = 60.0
#: How many alerts are read at once, at least, where few of many may be asked for.
PAGE: Final = 500
_DIGITS: Final = re.compile(r"[0-9]{1,19}")


@attrs.frozen(kw_only=True)
class AlertQuery:
    """Which alerts of the history are asked for; all conditions hold together."""

    limit: int = setting(default=100, help="How many at most, the newest.", check=between(1, 10_000))
    after: int | None = setting(
        default=None, help="Only those with a higher number, oldest first.", check=between(0, 2**63 - 1)
    )
    severity: Severity | None = setting(default=None, help="The least severity.")
    plugin: str | None = setting(default=None, help="Who raised it.")
    rule: str | None = setting(default=None, help="A glob of rule ids.")
    since: str | None = setting(default=None, help="Only those recorded since this time (ISO 8601).")


class Requests:
    """The calls by name."""

    def __init__(
        self,
        *,
        status: Callable[[], DaemonStatus],
        history: History,
        supervisor: Supervisor,
        reload: Callable[[], dict[str, str]],
        configuration: Configuration,
    ) -> None:
        self._status = status
        self._history = history
        self._supervisor = supervisor
        self._reload = reload
        self._configuration = configuration
        self._calls: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "status": lambda _: self._status().to_dict(),
            "plugins": lambda _: [plugin.to_dict() for plugin in self._status().plugins],
            "alerts": self._alerts,
            "reload": lambda _: self._reload(),
        }

    def control(self, call: str, arguments: Mapping[str, Any]) -> Any:
        """Answer a call over the control socket.

        Raises:
            ActionError: no such call, or it was refused; the text is for the operator.
        """
        known = self._calls.get(call)
        try:
            if known is not None:
                return known(arguments)
            if "." not in call:
                raise ActionError(f"no call {call!r}; there are {', '.join(sorted(self._calls))} and <plugin>.<action>")
            return self._supervisor.act(call, arguments)
        except ConfigError as error:
            raise ActionError(str(error)) from error

    def deadline_of(self, call: str) -> float:
        """Seconds after which the caller of `call` is told that it has not finished."""
        if call in self._calls or "." not in call:
            return RELOAD_DEADLINE if call == "reload" else DEADLINE
        try:
            return self._supervisor.action(call)[1].deadline
        except ActionError:
            return DEADLINE

    def api(self) -> Mapping[str, Callable[[Mapping[str, str]], Any]]:
        """What ``/api/v1/`` serves: path → answer to its query."""
        return {
            "status": lambda _: self._status().to_dict(),
            "plugins": lambda _: [plugin.to_dict() for plugin in self._status().plugins],
            "alerts": lambda query: self._alerts(_numbers(query)),
        }

    def _alerts(self, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        report = Report()
        query: AlertQuery = structure(AlertQuery, arguments, ("alerts",), report)
        if query is FAILED:
            raise ConfigError(report.problems)
        since = None if query.since is None else _moment(query.since)
        if query.after is not None:
            return [_plain(stored) for stored in self._newer(query, query.after, since)]
        found = self._history.recent(
            limit=query.limit, severity=query.severity, plugin=query.plugin, rule=query.rule, since=since
        )
        return [_plain(stored) for stored in found]

    def _newer(self, query: AlertQuery, after: int, since: datetime | None) -> Iterator[Stored]:
        """Those after a number that the query asks for, at most `limit`, oldest first."""
        left = query.limit
        while left > 0:
            page = self._history.read_after(after, max(query.limit, PAGE))
            if not page:
                return
            after = page[-1].number
            for stored in page:
                if left > 0 and _asked_for(stored.alert, query) and (since is None or stored.recorded >= since):
                    left -= 1
                    yield stored


def _asked_for(alert: Alert, query: AlertQuery) -> bool:
    return (
        (query.severity is None or alert.severity >= query.severity)
        and (query.plugin is None or alert.plugin == query.plugin)
        and (query.rule is None or fnmatchcase(alert.rule, query.rule))
    )


def _plain(stored: Stored) -> dict[str, Any]:
    return {"number": stored.number, "recorded": stored.recorded.isoformat()} | stored.alert.to_dict()


def _numbers(query: Mapping[str, str]) -> dict[str, Any]:
    """A URL's query with what is to be a number, and looks like one, as one."""
    return {
        key: int(text) if key in ("limit", "after") and _DIGITS.fullmatch(text) else text for key, text in query.items()
    }


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        problem = Problem(where="alerts.since", what=f"found {shown(text)}", remedy="expected 2026-01-31T12:00:00Z")
        raise ConfigError([problem]) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
