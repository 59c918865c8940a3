"""How well a running plugin is: what its health hook says, and what the daemon itself sees of it.

Neighbours: `host` shows it together with the plugin's life.
"""

from __future__ import annotations

import contextlib
import json

from ironpost_core import Clock, Health, PluginError, State
from ironpost_core.registration import Hooks
from ironpost_daemon.bus import Subscription
from ironpost_daemon.calls import Calls, Flight
from ironpost_daemon.threads import Spawner

HEALTH_DEADLINE = 0.5
READER_TROUBLE_SHOWN = 60.0
#: Seconds after which a start or an alert hook that has not returned is unhealthy.
SLOW = 10.0

_RANK = {State.HEALTHY: 0, State.DEGRADED: 1, State.UNHEALTHY: 2}


class HealthWatch:
    """Asks one plugin's health hook and adds the troubles that the plugin may not know of."""

    def __init__(self, name: str, calls: Calls, clock: Clock) -> None:
        self._name = name
        self._calls = calls
        self._clock = clock
        self._asking: Flight[Health] | None = None
        self._reader_trouble: tuple[float, str] | None = None

    def reader_failed(self, reason: str) -> None:
        """Remember that its metric reader failed, to be shown for a minute."""
        self._reader_trouble = (self._clock.monotonic(), reason)

    def ask(self, hooks: Hooks) -> None:
        """Begin to ask, so that `look` at several plugins waits for all of them together."""
        with contextlib.suppress(PluginError):
            self._asking = self._begin_to_ask(hooks)

    def look(self, hooks: Hooks, spawner: Spawner, subscription: Subscription | None) -> Health:
        """The worst of what the hook says (waited for at most 0.5 s) and what is seen. Never raises."""
        worst = self._asked(hooks)
        for state, reason in self._troubles(spawner, subscription):
            if _RANK[state] >= _RANK[worst.state]:
                worst = Health(state, "; ".join(filter(None, (reason, worst.reason))), details=worst.details)
        return worst

    def _begin_to_ask(self, hooks: Hooks) -> Flight[Health] | None:
        if not hooks.has("ironpost_health"):
            return None
        return self._calls.begin(
            "ironpost_health", lambda: _checked(self._name, hooks.call("ironpost_health")), share=True
        )

    def _asked(self, hooks: Hooks) -> Health:
        asking, self._asking = self._asking, None
        try:
            asking = asking or self._begin_to_ask(hooks)
            return Health() if asking is None else self._calls.finish("ironpost_health", asking, HEALTH_DEADLINE)
        except PluginError as error:
            return Health(State.UNHEALTHY, error.what)

    def _troubles(self, spawner: Spawner, subscription: Subscription | None) -> list[tuple[State, str]]:
        troubles = []
        if failing := spawner.failing():
            troubles.append((State.UNHEALTHY, failing))
        if self._reader_trouble and self._clock.monotonic() - self._reader_trouble[0] < READER_TROUBLE_SHOWN:
            troubles.append((State.DEGRADED, f"metrics reader: {self._reader_trouble[1]}"))
        busy_since = subscription.busy_since if subscription is not None else None
        if busy_since is not None and self._clock.monotonic() - busy_since > SLOW:
            seconds = self._clock.monotonic() - busy_since
            troubles.append((State.UNHEALTHY, f"ironpost_alert has not returned for {seconds:.0f} s"))
        return troubles


def _checked(plugin: str, health: object) -> Health:
    """What a health hook returned, as data of our own that can be shown: the plugin may go on changing its details."""
    if not isinstance(health, Health):
        raise PluginError(plugin, f"its health is {health!r:.200}, not a Health")
    for given, kind in ((health.state, State), (health.reason, str), (health.details, dict)):
        if not isinstance(given, kind):
            raise PluginError(plugin, f"its health holds {given!r:.200} in the place of a {kind.__name__}")
    details = json.loads(json.dumps(health.details, allow_nan=False))
    return Health(health.state, health.reason, details=details)
