"""The alert bus: each subscriber reads the history, as its log, from its own position on, on a thread of its own.

Nothing is kept in memory twice. A position is saved after handling, so a crash repeats alerts and never loses one.
Neighbours: `history` numbers the alerts; `subscription` is one subscriber.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from ironpost_core import Alert, Clock
from ironpost_core.alerts import MAX_DEPTH
from ironpost_daemon.history import History, Wanted
from ironpost_daemon.subscription import RetryError, Subscription

__all__ = ["Bus", "RetryError", "Subscription"]


class Bus:
    """Subscribers of the history.

    Args:
        history: opened; it should call `wake` from its `on_stored`.
        clock: for pauses and for the age of alerts.
        log: where subscribers' failures go.
        replay_max_age: seconds; unseen alerts recorded earlier than this before a start are not delivered to
            plugins, for which they come too late to react to. Sinks get them all the same.
        backlog: how many alerts a subscriber may lag behind before the oldest are skipped.
    """

    def __init__(
        self, history: History, *, clock: Clock, log: logging.Logger, replay_max_age: float, backlog: int = 10_000
    ) -> None:
        self._history = history
        self._clock = clock
        self._log = log
        self._replay_max_age = timedelta(seconds=replay_max_age)
        self._backlog = backlog
        self._lock = threading.Lock()
        self._subscriptions: dict[str, Subscription] = {}

    def subscribe(self, name: str, handle: Callable[[Alert], None], *, not_from: str | None) -> Subscription:
        """A new subscriber; call its `start`. What is stored after this call it gets, even if the daemon is killed now.

        Args:
            name: also the key of its position, so it stays the same over restarts.
            handle: called with each alert, in the history's order. What it raises is logged and counted, and the next
                alert follows; after `RetryError` the same one comes again.
            not_from: a plugin's own name: it gets neither its own alerts nor any deeper than `MAX_DEPTH`. None (a
                sink) gets all.

        Raises:
            ValueError: a subscription with this name is still active; stop or revoke it first.
        """
        wanted = Wanted(not_from=not_from, max_depth=None if not_from is None else MAX_DEPTH)
        self._check_free(name)
        # Not under the lock: it waits for the writer, who calls wake.
        subscription = Subscription(
            name,
            handle,
            wanted=wanted,
            history=self._history,
            clock=self._clock,
            log=self._log,
            replay_max_age=None if not_from is None else self._replay_max_age,
            backlog=self._backlog,
        )
        with self._lock:
            self._check_free(name)
            self._subscriptions[name] = subscription
        return subscription

    def _check_free(self, name: str) -> None:
        earlier = self._subscriptions.get(name)
        if earlier is not None and not earlier.ended:
            raise ValueError(f"{name} is subscribed already")

    def wake(self) -> None:
        """Tell all workers that alerts were stored."""
        with self._lock:
            for subscription in self._subscriptions.values():
                subscription.wake()

    def drain(self, timeout: float) -> bool:
        """Wait until the plugins' subscribers have handled all that is stored; sinks may take as long as they need."""
        pause, deadline = threading.Event(), time.monotonic() + timeout
        with self._lock:
            plugins = [each for each in self._subscriptions.values() if each.is_plugin]
        while any(each.lag for each in plugins) and time.monotonic() < deadline:
            pause.wait(0.01)
        return not any(each.lag for each in plugins)

    def stop(self, timeout: float) -> bool:
        """Have all subscribers drain side by side and end within `timeout` seconds; whether all did."""
        with self._lock:
            subscriptions = list(self._subscriptions.values())
        for subscription in subscriptions:
            subscription.ask_to_stop()
        deadline = time.monotonic() + timeout
        ended = [each.stop(max(0.0, deadline - time.monotonic())) for each in subscriptions]
        return all(ended)
