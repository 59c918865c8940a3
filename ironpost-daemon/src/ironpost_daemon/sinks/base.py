"""What all sinks share: which alerts they take, how failures are counted, and the keys for that."""

from __future__ import annotations

import abc
import fnmatch

import attrs

from ironpost_core import Alert, Severity, setting
from ironpost_core.settings import each, matches, non_empty


@attrs.frozen(kw_only=True)
class SinkConfig:
    """The keys that every sink has."""

    name: str | None = setting(
        default=None,
        help="Its name in metrics and messages; by default its type. Two sinks of one type need names.",
        check=matches('a name such as "oncall"', r"[a-z][a-z0-9_-]{0,62}"),
        example="oncall",
    )
    min_severity: Severity = setting(default=Severity.INFO, help="The lowest severity that it gets.")
    rules: tuple[str, ...] = setting(
        default=("*",), help="Globs of the rule ids that it gets.", check=[non_empty(), each(non_empty())]
    )


class DeliveryError(Exception):
    """An alert can't be delivered, and trying again would not help."""


class Sink(abc.ABC):
    """One way out for alerts; fed by one thread.

    Attributes:
        name: as configured.
        failures: how many attempts to deliver failed.
    """

    def __init__(self, config: SinkConfig, name: str) -> None:
        self.name = name
        self.failures = 0
        self._min_severity = config.min_severity
        self._rules = config.rules

    def deliver(self, alert: Alert) -> None:
        """Send an alert out, unless the sink is not for it.

        Raises:
            RetryError: not now; the same alert must be delivered again.
            DeliveryError: not at all.
        """
        if not self.wants(alert):
            return
        try:
            self.send(alert)
        except BaseException:
            self.failures += 1
            raise

    def wants(self, alert: Alert) -> bool:
        """Whether severity and rule are those that it was configured for."""
        return alert.severity >= self._min_severity and any(
            fnmatch.fnmatchcase(alert.rule, rule) for rule in self._rules
        )

    @abc.abstractmethod
    def send(self, alert: Alert) -> None:
        """Send it; raises as `deliver`."""

    def close(self) -> None:
        """Let go of what is open; called after the last `deliver`."""
        return
