"""What waits to be written into the history: one ordered queue of alerts and checkpoints, and the plugins' way into it.

Neighbours: `history` takes batches from here and writes them by `history_store`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import attrs

from ironpost_core import Alert

#: How many alerts go into one transaction at most.
BATCH = 4_096
#: For how long (s) nothing but subscribers' positions may wait for company, so that they don't cost an fsync each.
LINGER = 0.2
#: For how long (s) the writer lets a batch grow when the one before began less than `BUSY` s ago. A lone alert never
#: waits; a flood is stored in few large transactions instead of many small ones, each with its fsync.
GATHER = 0.01
BUSY = 0.1
LARGEST_CHECKPOINT = 64 << 20

#: Reading and writing each field without a look-up by name; `_from` runs once for each alert.
_SLOTS = tuple((slot.__get__, slot.__set__) for slot in (vars(Alert)[field.name] for field in attrs.fields(Alert)))


@attrs.define(eq=False)
class _Counts:
    """One publisher's share of the queue."""

    plugin: str
    pending: int = 0
    refused: int = 0
    closed: bool = False
    #: The place in the queue of what it handed over last, and of its last alert.
    last: int = 0
    last_alert: int = 0


@attrs.define(eq=False)
class WaitingAlert:
    """An alert as it will be stored."""

    owner: _Counts
    alert: Alert
    body: str
    place: int


@attrs.define(eq=False)
class _WaitingCheckpoint:
    """`value` is None when a later one took its place behind alerts that came between."""

    owner: _Counts
    key: str
    value: bytes | None
    place: int


@attrs.define
class Batch:
    """What one transaction writes. `checkpoints` are by (plugin, key), `positions` by subscriber."""

    alerts: list[WaitingAlert] = attrs.field(factory=list)
    checkpoints: dict[tuple[str, str], bytes] = attrs.field(factory=dict)
    positions: dict[str, int] = attrs.field(factory=dict)
    last: int = 0
    positions_last: int = 0


class WriteQueue:
    """One queue for all plugins, in the order in which things were handed over, with a bound for each publisher."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._changed = threading.Condition(threading.Lock())
        self._entries: deque[WaitingAlert | _WaitingCheckpoint] = deque()
        self._checkpoints: dict[tuple[str, str], _WaitingCheckpoint] = {}
        self._positions: dict[str, int] = {}
        self._in_flight = Batch()
        self._place = self._written = 0
        self._positions_place = self._positions_written = 0
        self._urgent = self._closed = self._asleep = False
        self._taken = float("-inf")

    def is_full(self, owner: _Counts) -> bool:
        """Whether an alert of this owner is refused now; counted when it is."""
        with self._changed:
            return self._refuses(owner)

    def _refuses(self, owner: _Counts) -> bool:
        refused = self._closed or owner.closed or owner.pending >= self.capacity
        owner.refused += refused
        return refused

    def put_alert(self, owner: _Counts, alert: Alert, body: str) -> bool:
        """Add an alert at the end; False when it is refused, counted."""
        with self._changed:
            if self._refuses(owner):
                return False
            owner.pending += 1
            self._place += 1
            owner.last = owner.last_alert = self._place
            self._entries.append(WaitingAlert(owner, alert, body, self._place))
            self._wake()
            return True

    def put_checkpoint(self, owner: _Counts, key: str, value: bytes) -> bool:
        """Add or replace a checkpoint; it never gets before an alert that its owner handed over earlier."""
        with self._changed:
            if self._closed or owner.closed:
                return False
            waiting = self._checkpoints.get((owner.plugin, key))
            if waiting is not None and waiting.owner is owner and waiting.place > owner.last_alert:
                waiting.value = value
                return True
            if waiting is not None:
                waiting.value = None
            self._place += 1
            owner.last = self._place
            entry = _WaitingCheckpoint(owner, key, value, self._place)
            self._checkpoints[owner.plugin, key] = entry
            self._entries.append(entry)
            self._wake()
            return True

    def put_position(self, subscriber: str, number: int, *, urgent: bool) -> int:
        """Note a subscriber's position; gives what `positions_settled` wants."""
        with self._changed:
            first = not self._positions
            self._positions[subscriber] = number
            self._positions_place += 1
            if urgent:
                self._hasten()
            elif first:
                self._wake()
            return self._positions_place

    def unwritten_checkpoint(self, plugin: str, key: str) -> bytes | None:
        """The checkpoint that waits or is being written."""
        with self._changed:
            waiting = self._checkpoints.get((plugin, key))
            return waiting.value if waiting is not None else self._in_flight.checkpoints.get((plugin, key))

    def take(self, timeout: float) -> Batch | None:
        """The next batch, waiting at most `timeout` seconds for one; None when there is none.

        Until `done` is called for it, its alerts count against their owners' bounds.
        """
        with self._changed:
            self._wait_for_work(timeout)
            batch = Batch(positions=self._positions, last=self._written, positions_last=self._positions_place)
            self._positions, self._urgent = {}, False
            while self._entries and len(batch.alerts) < BATCH:
                self._move(self._entries.popleft(), batch)
            self._in_flight = batch
            return batch if batch.last > self._written or batch.positions else None

    def _wait_for_work(self, timeout: float) -> None:
        self._asleep = True
        if self._changed.wait_for(self._anything, timeout):
            self._changed.wait_for(lambda: self._entries or self._urgent or self._closed, LINGER)
        self._asleep = False
        if time.monotonic() - self._taken < BUSY:
            self._changed.wait_for(lambda: self._urgent or self._closed, GATHER)
        self._taken = time.monotonic()

    def _wake(self) -> None:
        if self._asleep:
            self._changed.notify_all()

    def _hasten(self) -> None:
        self._urgent = True
        self._changed.notify_all()

    def _anything(self) -> bool:
        return bool(self._entries or self._positions or self._closed)

    def _move(self, entry: WaitingAlert | _WaitingCheckpoint, batch: Batch) -> None:
        batch.last = entry.place
        if isinstance(entry, WaitingAlert):
            batch.alerts.append(entry)
        elif entry.value is not None:
            batch.checkpoints[entry.owner.plugin, entry.key] = entry.value
            del self._checkpoints[entry.owner.plugin, entry.key]

    def done(self, batch: Batch) -> None:
        """The batch is stored."""
        with self._changed:
            for waiting in batch.alerts:
                waiting.owner.pending -= 1
            self._written = batch.last
            self._positions_written = batch.positions_last
            self._in_flight = Batch()
            self._changed.notify_all()

    def settled(self, owner: _Counts | None, timeout: float) -> bool:
        """Wait until all that this owner (None: anyone) handed over before is stored; False after `timeout` seconds."""
        with self._changed:
            place = self._place if owner is None else owner.last
            if self._written < place:
                self._hasten()
            return self._changed.wait_for(lambda: self._written >= place, timeout)

    def positions_settled(self, place: int, timeout: float) -> bool:
        """Wait until the position that `put_position` gave `place` for is stored; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._positions_written >= place, timeout)

    def close_owner(self, owner: _Counts) -> None:
        """Refuse what this owner hands over from now on; what waits is still written."""
        with self._changed:
            owner.closed = True

    def close(self) -> None:
        """Refuse everything from now on; `take` no longer waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether it refuses everything."""
        return self._closed

    def __len__(self) -> int:
        with self._changed:
            return len(self._entries) + len(self._in_flight.alerts) + len(self._in_flight.checkpoints)


class PluginPublisher:
    """A plugin's way into the history; `ironpost_core.hookspecs.Publisher` says what its methods promise."""

    def __init__(
        self, plugin: str, host: str, queue: WriteQueue, stored_checkpoint: Callable[[str, str], bytes | None]
    ) -> None:
        self._counts = _Counts(plugin)
        self._host = host
        self._queue = queue
        self._stored_checkpoint = stored_checkpoint

    @property
    def pending(self) -> int:
        """How many of its alerts are not stored yet."""
        return self._counts.pending

    @property
    def refused(self) -> int:
        """How many alerts were refused, the queue being full or this publisher closed."""
        return self._counts.refused

    def publish(self, alert: Alert) -> bool:
        """Hand over an alert, with host and plugin filled in; False when it is refused.

        Raises:
            TypeError, ValueError: it is no alert, or one without an id; nothing was handed over.
        """
        if not isinstance(alert, Alert):
            raise TypeError(f"published {type(alert).__name__}, expected an Alert")
        if not alert.id:
            raise ValueError(f"published an alert of {alert.rule} with an empty id; it would hide others")
        if self._counts.pending >= self._queue.capacity and self._queue.is_full(self._counts):
            return False
        filled = _from(alert, self._counts.plugin, alert.host or self._host)
        return self._queue.put_alert(self._counts, filled, filled.to_json())

    def checkpoint(self, key: str, value: bytes) -> None:
        """Remember `value` under `key`, with or after every alert published before; nothing happens when closed.

        Raises:
            ValueError: it is larger than 64 MiB, or the key is not UTF-8.
        """
        key.encode()
        if len(value) > LARGEST_CHECKPOINT:
            raise ValueError(f"checkpoint {key!r} has {len(value)} bytes, at most {LARGEST_CHECKPOINT} are kept")
        self._queue.put_checkpoint(self._counts, key, bytes(value))

    def last_checkpoint(self, key: str) -> bytes | None:
        """The value last handed over under `key`, in this run or, as far as it was stored, in an earlier one."""
        waiting = self._queue.unwritten_checkpoint(self._counts.plugin, key)
        return waiting if waiting is not None else self._stored_checkpoint(self._counts.plugin, key)

    def settle(self, timeout: float) -> bool:
        """Wait until all that was handed over is stored; False when `timeout` seconds were not enough."""
        return self._queue.settled(self._counts, timeout)

    def close(self) -> None:
        """Refuse everything from now on; what was handed over is still stored."""
        self._queue.close_owner(self._counts)


def _from(alert: Alert, plugin: str, host: str) -> Alert:
    if alert.plugin == plugin and alert.host == host:
        return alert
    # attrs.evolve would check and convert every field again, which costs more than storing the alert.
    filled = object.__new__(Alert)
    for read, write in _SLOTS:
        write(filled, read(alert))
    object.__setattr__(filled, "plugin", plugin)
    object.__setattr__(filled, "host", host)
    return filled
