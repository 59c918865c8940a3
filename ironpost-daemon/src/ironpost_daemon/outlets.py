"""The sinks as subscribers of the bus: each on its own worker, with its own position in the history."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ironpost_core import State
from ironpost_daemon.accounts import Accounts
from ironpost_daemon.bus import Bus, Subscription
from ironpost_daemon.calls import describe
from ironpost_daemon.sinks import Sink, build
from ironpost_daemon.status import PartStatus

log = logging.getLogger("ironpost.alerts")


class Outlets:
    """All configured sinks."""

    def __init__(self, configs: Sequence[Any], bus: Bus, accounts: Accounts) -> None:
        self._pairs: list[tuple[Sink, Subscription]] = []
        for config in configs:
            sink = build(config)
            subscription = bus.subscribe(f"sink:{sink.name}", sink.deliver, not_from=None)
            accounts.watch_sink(f"sink:{sink.name}", subscription)
            self._pairs.append((sink, subscription))

    def start(self) -> None:
        """Begin to deliver."""
        for _, subscription in self._pairs:
            subscription.start()

    def stop(self, timeout: float) -> None:
        """Deliver what can be delivered within `timeout` seconds, then close."""
        for _, subscription in self._pairs:
            subscription.ask_to_stop()
        deadline = time.monotonic() + timeout
        for sink, subscription in self._pairs:
            subscription.stop(max(0.0, deadline - time.monotonic()))
            try:
                sink.close()
            except Exception as error:  # noqa: BLE001 - one sink that can't be closed keeps no other open
                log.warning("sink %s was not closed: %s", sink.name, describe(error))

    def statuses(self) -> Iterator[PartStatus]:
        """How each sink is: degraded while its latest delivery failed."""
        for sink, subscription in self._pairs:
            failing = subscription.last_error
            yield PartStatus(
                name=f"sink:{sink.name}", health=State.DEGRADED if failing else State.HEALTHY, reason=failing or ""
            )
