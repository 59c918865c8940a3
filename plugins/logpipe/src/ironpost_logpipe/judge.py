"""From hits to alerts: keys, thresholds, observables, ids."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ironpost_core.alerts import Alert, Key, Observable, Trust, canonical_address, deterministic_id
from ironpost_core.settings import Duration
from ironpost_logpipe.chunks import Chunk, Cursor, Source
from ironpost_logpipe.event import OBSERVABLE_FIELDS, Event, getter, is_field
from ironpost_logpipe.journal_export import cursor_of
from ironpost_logpipe.matcher import Hit
from ironpost_logpipe.rules import OBSERVABLE_GROUPS, Rule
from ironpost_logpipe.thresholds import Burst, Windows
from ironpost_logpipe.times import TimeReader

_ADDRESSES = frozenset(("source_ip", "destination_ip"))
_BY_SOURCE = ("source_ip",)
_CACHED_ADDRESSES = 65_536
#: No address is longer, its zone included; whoever writes a longer text must not fill the cache with it.
_LONGEST_ADDRESS = 64
#: A longer value of a key stands there as its beginning and a digest, or one sender's long names would fill the memory.
_LONGEST_VALUE = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 253_402_300_799.0  # the end of the year 9999


class Judge:
    """Decides which hits become alerts. Its state is `windows`; all else is a function of the lines.

    Args:
        windows: the counters.
        times: reads the lines' own times.
    """

    def __init__(self, windows: Windows, times: TimeReader) -> None:
        self.windows = windows
        self._times = times
        self._addresses: dict[bytes, str | None] = {}
        self._offsets: tuple[Chunk | None, list[int]] = (None, [])

    def refresh(self) -> None:
        """To be called before each batch."""
        self._times.refresh()

    def alert(self, hit: Hit, chunk: Chunk) -> Alert | None:
        """The alert that this hit raises, if any."""
        document = hit.rule.document
        if document.status == "test":
            return None
        key = self._key(hit)
        if key is None:
            return None
        time = self._time(hit.event, chunk)
        threshold = document.threshold
        if threshold is None:
            burst: Burst | None = Burst(1, time, time)
        else:
            window = (document.id, str(_worth(hit.event, chunk.source)), key)
            burst = self.windows.add(window, time, threshold.count, threshold.timeframe)
        return None if burst is None else self._raise(hit, chunk, key, burst)

    def _time(self, event: Event, chunk: Chunk) -> float:
        """The line's own time for what is read again; else, and when it has none, that of its arrival."""
        if chunk.source.live or not event.stamp:
            return chunk.arrived
        time = self._times.read(event.stamp)
        return chunk.arrived if time is None or not 0 <= time <= _LATEST else time

    def _key(self, hit: Hit) -> tuple[bytes, ...] | None:
        """The values of the threshold's key; None when one is missing or is no address where it must be one."""
        if hit.rule.keys == _BY_SOURCE:  # by far the most frequent key, without the loop
            text = hit.captures.get("source_ip") or _value(hit, "source_ip") or b""
            address = self._address(text)
            return None if address is None else (address.encode("ascii"),)
        values = []
        for name in hit.rule.keys:
            value = _value(hit, name)
            if value is not None and name in _ADDRESSES:
                address = self._address(value)
                value = None if address is None else address.encode("ascii")
            if value is None:
                return None
            values.append(value if len(value) <= _LONGEST_VALUE else _digested(value))
        return tuple(values)

    def _address(self, text: bytes) -> str | None:
        if len(text) > _LONGEST_ADDRESS:
            return None
        try:
            return self._addresses[text]
        except KeyError:
            if len(self._addresses) >= _CACHED_ADDRESSES:
                self._addresses.clear()
            found = self._addresses[text] = address_in(text)
            return found

    def _raise(self, hit: Hit, chunk: Chunk, key: tuple[bytes, ...], burst: Burst) -> Alert:
        document = hit.rule.document
        observables = self._observables(hit, chunk)
        return Alert(
            id=self._id(hit, chunk, key),
            rule=document.id,
            title=document.title,
            severity=document.severity,
            time=_moment(burst.last),
            host=_host(hit, chunk),
            message=_message(hit.rule, burst, observables),
            count=burst.count,
            first_seen=_moment(min(burst.first, burst.last)),
            last_seen=_moment(burst.last),
            tags=document.tags,
            evidence=(hit.event.raw,),
            observables=observables,
        )

    def _id(self, hit: Hit, chunk: Chunk, key: tuple[bytes, ...]) -> str:
        """The same after a crash for what is read again, else any."""
        if chunk.after is None:
            return uuid.uuid4().hex
        if isinstance(chunk.after, Cursor):
            return deterministic_id(hit.rule.id, *key, cursor_of(chunk.lines[hit.line]))
        if self._offsets[0] is not chunk:
            self._offsets = (chunk, chunk.offsets())
        start = self._offsets[1][hit.line]
        # Only the bytes up to this line, or the id would depend on how far the file had grown when it was read.
        head = (chunk.after.head if chunk.head is None else chunk.head)[: start + len(chunk.lines[hit.line])]
        return deterministic_id(hit.rule.id, *key, head, start, hit.event.raw)

    def _observables(self, hit: Hit, chunk: Chunk) -> tuple[Observable, ...]:
        found: dict[Key, Observable] = {}
        trust = _worth(hit.event, chunk.source)
        for name, kind in OBSERVABLE_GROUPS.items():
            value = _value(hit, name) if name in OBSERVABLE_FIELDS else hit.captures.get(name)
            if not value:
                continue
            text = self._address(value) if name in _ADDRESSES else value.decode("utf-8", "backslashreplace")
            _note(found, lambda kind=kind, text=text: Observable(kind, text or "", trust))  # type: ignore[misc]
        if hit.event.app and Key.PROCESS not in found:
            app = hit.event.app.decode("utf-8", "backslashreplace")
            _note(found, lambda: Observable(Key.PROCESS, app, trust))
        found |= {observable.key: observable for observable in chunk.source.observables}
        return tuple(found.values())


def _worth(event: Event, source: Source) -> Trust:
    """What a line is worth: nobody's word for it when others could write it, else what its source says."""
    if event.forgeable:
        return Trust.CLAIMED
    return source.trust if source.weigh is None else source.weigh(event)


def _value(hit: Hit, name: str) -> bytes | None:
    """What the rule caught under a name; for a name under which it catches nothing, the line's field of that name."""
    value = hit.captures.get(name)
    if value is None and name not in hit.rule.detection.groups and is_field(name):
        return getter(name)(hit.event)
    return value


def _note(found: dict[Key, Observable], make: Callable[[], Observable]) -> None:
    """Add an observable, unless its text is none: an empty user, a host name for an address, a port of 0."""
    try:
        observable = make()
    except ValueError:
        return
    found[observable.key] = observable


def _digested(value: bytes) -> bytes:
    return value[: _LONGEST_VALUE // 2] + hashlib.blake2b(value, digest_size=_LONGEST_VALUE // 4).hexdigest().encode()


def address_in(text: bytes) -> str | None:
    """The address that a captured text is, in its canonical form; None for anything else, names among them."""
    try:
        return canonical_address(text.decode("ascii"))
    except ValueError:
        return None


def _moment(seconds: float) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)


def _host(hit: Hit, chunk: Chunk) -> str:
    """For what came over the network, the host that the line names, else the sender; files are this host's."""
    if not chunk.senders:
        return ""
    return hit.event.host.decode("utf-8", "backslashreplace")[:255] or chunk.senders[hit.line]


def _message(rule: Rule, burst: Burst, observables: tuple[Observable, ...]) -> str:
    about = ", ".join(f"{observable.key} {observable.value}" for observable in observables)
    if burst.count == 1:
        return about
    span = Duration(round(abs(burst.last - burst.first)))
    return f"{burst.count} events in {span}: {about}" if about else f"{burst.count} events in {span}"
