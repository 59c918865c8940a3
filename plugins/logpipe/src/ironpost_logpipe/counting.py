"""The `threshold` of a rule as it is written, and in words."""

from __future__ import annotations

import attrs

from ironpost_core.settings import Duration, between, non_empty, setting

MAX_COUNT = 10_000
_DAY = 86_400
_LONGEST = 31 * _DAY
_LONGEST_MEMORY = 366 * _DAY
#: A rule that looks for what is new learns for so long, unless it says otherwise.
_LEARN = Duration(7 * _DAY)


@attrs.frozen(kw_only=True)
class After:
    """Another rule that must have fired before, by the same key."""

    rule: str = setting(help="Its id.", check=non_empty())
    within: Duration = setting(help="How long ago at most.", check=between(0.001, _LONGEST))


@attrs.frozen(kw_only=True)
class Threshold:
    """What it takes to raise an alert: so many events, so many different values, a rule before, or something new."""

    by: tuple[str, ...] | str = setting(default=(), help="Fields or named groups that make the key.")
    field: str | None = setting(default=None, help="The first design's name for a single `by`.")
    count: int | None = setting(default=None, help="How many events fire.", check=between(1, MAX_COUNT))
    timeframe: Duration | None = setting(
        default=None, help="The sliding window they must lie in.", check=between(0.001, _LONGEST)
    )
    distinct: str | None = setting(
        default=None, help="A field or named group whose different values are counted instead of events."
    )
    after: After | None = setting(default=None, help="Counts only what comes after another rule fired for the key.")
    first_seen: Duration | None = setting(
        default=None, help="Fires for a key that was not seen for so long.", check=between(1, _LONGEST_MEMORY)
    )
    learn: Duration | None = setting(
        default=None,
        help="With first_seen: how long after the rule's first event nothing is new yet; 7 days unless set.",
        check=between(0, _LONGEST_MEMORY),
    )

    def __attrs_post_init__(self) -> None:
        if self.by and self.field is not None:
            raise ValueError("give `by` or `field`, not both: they mean the same")
        if self.first_seen is not None:
            self._check_first_seen()
            return
        if self.learn is not None:
            raise ValueError("`learn` has no meaning without `first_seen`")
        if self.after is not None and self.distinct is None and self.count is None and self.timeframe is None:
            return
        if self.count is None:
            raise ValueError("`count` is missing: how many events fire")
        if self.timeframe is None:
            raise ValueError("`timeframe` is missing: the sliding window they must lie in")

    def _check_first_seen(self) -> None:
        if not self.keys:
            raise ValueError("`first_seen` needs `by`: what it is that is seen for the first time")
        for name in ("count", "timeframe", "distinct", "after"):
            if getattr(self, name) is not None:
                raise ValueError(f"`{name}` has no meaning with `first_seen`, which fires at a key's first event")

    @property
    def keys(self) -> tuple[str, ...]:
        """What the key is made of."""
        if self.field is not None:
            return (self.field,)
        return (self.by,) if isinstance(self.by, str) else self.by

    @property
    def events(self) -> int:
        """How many events fire; one, when only a rule before is asked for."""
        return 1 if self.count is None else self.count

    @property
    def span(self) -> float:
        """The sliding window in seconds, which is also how long a key is silent after it fired."""
        if self.timeframe is not None:
            return float(self.timeframe)
        return float(self.after.within) if self.after is not None else 0.0

    @property
    def learning(self) -> float:
        """For how many seconds after the rule's first event nothing counts as new."""
        if self.learn is not None:
            return float(self.learn)
        return float(min(_LEARN, self.first_seen or _LEARN))

    def changed(self, count: int | None, timeframe: Duration | None) -> Threshold:
        """The same with another count or timeframe; one that counts nothing stays as it is."""
        if self.count is None or self.timeframe is None:
            return self
        return attrs.evolve(
            self,
            count=self.count if count is None else count,
            timeframe=self.timeframe if timeframe is None else timeframe,
        )


def words(threshold: Threshold | None) -> str:
    """A threshold for people: ``5 events in 1m by source_ip``."""
    if threshold is None:
        return "each event"
    by = f" by {', '.join(threshold.keys)}" if threshold.keys else ""
    if threshold.first_seen is not None:
        return f"first seen in {threshold.first_seen}{by}, after learning for {Duration(threshold.learning)}"
    if threshold.count is None:
        what = "each event"
    elif threshold.distinct is not None:
        what = f"{threshold.count} different values of {threshold.distinct} in {threshold.timeframe}"
    else:
        what = f"{threshold.count} event{'s' * (threshold.count != 1)} in {threshold.timeframe}"
    after = threshold.after
    return f"{what}{by}" + (f", within {after.within} after {after.rule}" if after is not None else "")
