"""From hits to alerts: keys, thresholds, observables, ids."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta

from ironpost_core.alerts import Alert, Key, Observable, Trust, canonical_address, deterministic_id
from ironpost_core.settings import Duration
from ironpost_logpipe.chunks import Chunk, Cursor, Source
from ironpost_logpipe.conditions import Captures
from ironpost_logpipe.counting import After
from ironpost_logpipe.event import OBSERVABLE_FIELDS, Event, getter, is_field
from ironpost_logpipe.journal_export import cursor_of
from ironpost_logpipe.matcher import Hit
from ironpost_logpipe.rules import OBSERVABLE_GROUPS, Rule
from ironpost_logpipe.thresholds import Burst, WindowKey, Windows
from ironpost_logpipe.times import TimeReader

_ADDRESSES = frozenset(("source_ip", "destination_ip"))
_BY_SOURCE = ("source_ip",)
_CACHED_ADDRESSES = 65_536
#: No address is longer, its zone included; whoever writes a longer text must not fill the cache with it.
_LONGEST_ADDRESS = 64
#: A longer value of a key stands there as its beginning and a digest, or one sender's long names would fill the memory.
_LONGEST_VALUE = 64
_CLAIMED = str(Trust.CLAIMED)
_FALLING = tuple(sorted(Trust, reverse=True))
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
        self._addresses: dict[bytes, tuple[bytes] | None] = {}
        self._captures: Captures | None = None
        self._names: tuple[str, ...] = ()
        self._found: tuple[tuple[bytes, ...] | None, float] = (None, 0.0)
        self._worth = Trust.CLAIMED, _CLAIMED
        self._offsets: tuple[Chunk | None, list[int]] = (None, [])

    def refresh(self) -> None:
        """To be called before each batch."""
        self._times.refresh()
        self._captures = None

    def alert(self, hit: Hit, chunk: Chunk) -> Alert | None:
        """The alert that this hit raises, if any."""
        rule, source, captures = hit.rule, chunk.source, hit.captures
        if captures is not self._captures or rule.keys != self._names:
            self._captures, self._names = captures, rule.keys
            self._found = self._key(rule, hit), self._time(hit.event, chunk)
            self._worth = _worth(hit.event, source)
        key, time = self._found  # rules with the same conditions come one after the other with the same captures
        if key is None:
            return None
        trust, trust_name = self._worth
        if rule.counts is None:
            burst, trust = self._judged(hit, key, time, trust)
        else:  # by far the most frequent kinds
            count, timeframe, distinct = rule.counts
            window = (rule.document.id, trust_name, key)
            if distinct is None:
                burst = self.windows.add(window, time, count, timeframe, hit.event.repeated)
            else:
                burst = self._counted(hit, window, time, rule.counts)
        if burst is None or rule.document.status == "test":
            return None
        return self._raise(hit, chunk, key, burst, trust)

    def _counted(self, hit: Hit, window: WindowKey, time: float, counts: tuple[int, float, str | None]) -> Burst | None:
        count, timeframe, distinct = counts
        if distinct is None:
            return self.windows.add(window, time, count, timeframe, hit.event.repeated)
        value = self._value(hit, distinct)
        return None if value is None else self.windows.add_value(window, value, time, count, timeframe)

    def _judged(self, hit: Hit, key: tuple[bytes, ...], time: float, trust: Trust) -> tuple[Burst | None, Trust]:
        """What a hit brings about with any other threshold, or none, and what it is worth."""
        document = hit.rule.document
        threshold = document.threshold
        if threshold is None:
            return Burst(hit.event.repeated, time, time), trust
        if threshold.after is not None:
            before = self._trust_before(threshold.after, key, time)
            if before is None:
                return None, trust
            trust = min(trust, before)
        window = (document.id, str(trust), key)
        if threshold.first_seen is None:
            return self._counted(hit, window, time, (threshold.events, threshold.span, threshold.distinct)), trust
        new = self.windows.is_new(window, time, threshold.first_seen, threshold.learning)
        return Burst(1, time, time) if new else None, trust

    def _trust_before(self, after: After, key: tuple[bytes, ...], time: float) -> Trust | None:
        """What the events were worth by which the rule before fired in time, the best of them; None when it did not."""
        for trust in _FALLING:
            fired = self.windows.fired((after.rule, str(trust), key))
            if fired is not None and 0 <= time - fired <= after.within:
                return trust
        return None

    def _time(self, event: Event, chunk: Chunk) -> float:
        """The line's own time for what is read again; else, and when it has none, that of its arrival."""
        if chunk.source.live or not event.stamp:
            return chunk.arrived
        time = self._times.read(event.stamp)
        return chunk.arrived if time is None or not 0 <= time <= _LATEST else time

    def _key(self, rule: Rule, hit: Hit) -> tuple[bytes, ...] | None:
        """The values of the threshold's key; None when one is missing or is no address where it must be one."""
        names = rule.keys
        if names == _BY_SOURCE and "source_ip" in hit.captures:  # by far the most frequent key, without the loop
            text = hit.captures["source_ip"]
            return self._addresses[text] if text in self._addresses else self._address(text)
        values = []
        for name in names:
            value = self._value(hit, name)
            if value is None:
                return None
            values.append(value)
        return tuple(values)

    def _value(self, hit: Hit, name: str) -> bytes | None:
        """What a hit has by this name, an address in its canonical form and a long text with a digest."""
        value = _text(hit, name)
        if value is not None and name in _ADDRESSES:
            address = self._address(value)
            return None if address is None else address[0]
        return value if value is None or len(value) <= _LONGEST_VALUE else _digested(value)

    def _address(self, text: bytes) -> tuple[bytes] | None:
        """The canonical form of an address, as the key that it mostly is; None for any other text."""
        try:
            return self._addresses[text]
        except KeyError:
            pass
        if len(text) > _LONGEST_ADDRESS:
            return None
        if len(self._addresses) >= _CACHED_ADDRESSES:
            self._addresses.clear()
        address = address_in(text)
        found = self._addresses[text] = None if address is None else (address.encode("ascii"),)
        return found

    def _raise(self, hit: Hit, chunk: Chunk, key: tuple[bytes, ...], burst: Burst, trust: Trust) -> Alert:
        document = hit.rule.document
        observables = self._observables(hit, chunk, trust)
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

    def _observables(self, hit: Hit, chunk: Chunk, trust: Trust) -> tuple[Observable, ...]:
        found: dict[Key, Observable] = {}
        for name, kind in OBSERVABLE_GROUPS.items():
            value = _text(hit, name) if name in OBSERVABLE_FIELDS else hit.captures.get(name)
            if not value:
                continue
            text = value if name not in _ADDRESSES else (self._address(value) or (b"",))[0]
            _note(found, kind, text, trust)
        if hit.event.app and Key.PROCESS not in found:
            _note(found, Key.PROCESS, hit.event.app, trust)
        found |= {observable.key: observable for observable in chunk.source.observables}
        return tuple(found.values())


def _worth(event: Event, source: Source) -> tuple[Trust, str]:
    """What a line is worth, and the word for it: nobody vouches for it when others could write it, else its source."""
    if event.forgeable:
        return Trust.CLAIMED, _CLAIMED
    if source.weigh is None:
        return source.trust, source.trust_name
    trust = source.weigh(event)
    return trust, str(trust)


def _text(hit: Hit, name: str) -> bytes | None:
    """What the rule caught under a name; for a name under which it catches nothing, the line's field of that name."""
    value = hit.captures.get(name)
    if value is None and name not in hit.rule.detection.groups and is_field(name):
        return getter(name)(hit.event)
    return value


def _note(found: dict[Key, Observable], key: Key, text: bytes, trust: Trust) -> None:
    """Add an observable, unless its text is none: an empty user, a host name for an address, a port of 0."""
    try:
        found[key] = Observable(key, text.decode("utf-8", "backslashreplace"), trust)
    except ValueError:
        return


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
    threshold = rule.document.threshold
    said = [about] if about else []
    if burst.count > 1:
        what = "events" if threshold is None or threshold.distinct is None else f"values of {threshold.distinct}"
        said.insert(0, f"{burst.count} {what} in {Duration(round(abs(burst.last - burst.first)))}")
    if threshold is not None and threshold.after is not None:
        said.insert(0, f"after {threshold.after.rule}")
    if threshold is not None and threshold.first_seen is not None:
        said.insert(0, f"first seen in {threshold.first_seen}")
    return ": ".join(said)
