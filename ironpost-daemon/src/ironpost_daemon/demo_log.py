"""A day of syslog as a small Debian fleet writes it, with attackers hidden in it: what `ironpost demo` replays.

The same seed, start and count give the same lines everywhere, and `truth` says who attacks in them, so that a test
can compare it with what was found. Attackers have addresses of the documentation ranges, all others private ones.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import attrs

from ironpost_daemon import demo_scenes as scenes

#: The attackers of a day need this much room.
MIN_LINES = 2_000
_DAY = 86_400.0
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: How busy each hour of the day is, from midnight on.
_BUSY = (1, 1, 1, 1, 1, 2, 3, 5, 8, 10, 10, 9, 7, 9, 10, 9, 8, 7, 5, 4, 3, 3, 2, 1)
_GUESSED = ("root", "admin", "test", "oracle", "postgres", "ubuntu", "git", "user", "pi", "ftpuser", "hadoop", "sales")
#: User names made to fool log readers: another's address in the place of the source's, terminal and markup codes.
_TRICKS = (
    "x from {framed} port 1 ssh2",
    "root from {framed}",
    "[bold red]root[/bold red]",
    "\\033[31madmin",
    "rhost={framed}",
    "a: Accepted password for root from {framed} port 22 ssh2",
)


@attrs.frozen(kw_only=True)
class Truth:
    """Who is who in the lines of one seed and count.

    Attributes:
        guessing: addresses that guess at least eight passwords within a minute; each must be found.
        breached: of them, those that got in at the end.
        below_threshold: attackers that take their time or share the work; nothing by address and minute finds them.
        scanners: addresses that only knock (no password tried), at ssh, the firewall or the web server.
        innocent: addresses that must never be accused; one of them mistypes its password twice.
        framed: innocent ones that attackers write into user names.
        sudo_failing: users who fail at sudo again and again.
    """

    guessing: frozenset[str]
    breached: frozenset[str]
    below_threshold: frozenset[str]
    scanners: frozenset[str]
    innocent: frozenset[str]
    framed: frozenset[str]
    sudo_failing: frozenset[str]


def truth(seed: int, count: int) -> Truth:
    """Who attacks in `lines(seed, …, count)`; more lines have more attackers.

    Raises:
        ValueError: fewer than `MIN_LINES` lines.
    """
    return _cast(random.Random(seed), count)  # noqa: S311 - a story, not a secret


def lines(seed: int, start: datetime, count: int) -> Iterator[str]:
    """`count` lines without line ends in the order of their times, all within 24 hours from `start`.

    Raises:
        ValueError: fewer than `MIN_LINES` lines.
    """
    rng = random.Random(seed)  # noqa: S311 - a story, not a secret
    story = _Story(rng, _cast(rng, count))
    story.attacks()
    story.everyday(count)
    return story.lines(start)


def _cast(rng: random.Random, count: int) -> Truth:
    if count < MIN_LINES:
        raise ValueError(f"{count} lines are too few for a day with attackers; at least {MIN_LINES}")
    networks = [ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
    outside = [str(network[host]) for network in networks for host in range(1, 255)]
    rng.shuffle(outside)
    free = iter(outside)
    guessing = [next(free) for _ in range(min(4 + count // 2_500, 400))]
    guessing += [f"2001:db8:{rng.randrange(1, 0xFFFF):x}::{rng.randrange(1, 0xFFFF):x}" for _ in range(2)]
    inside = [f"10.20.{net}.{host}" for net in range(4) for host in rng.sample(range(2, 255), 10)]
    return Truth(
        guessing=frozenset(guessing),
        breached=frozenset(guessing[:1]),
        below_threshold=frozenset(next(free) for _ in range(14)),
        scanners=frozenset(next(free) for _ in range(40)),
        innocent=frozenset(inside),
        framed=frozenset(inside[:2]),
        sudo_failing=frozenset(("mallory", "trent")),
    )


class _Story:
    """Collects scenes, puts them in order and writes them as lines."""

    def __init__(self, rng: random.Random, who: Truth) -> None:
        self._rng = rng
        self._who = who
        self._innocent = sorted(who.innocent)
        self._scanners = sorted(who.scanners)
        self._entries: list[tuple[float, int, str, str, str]] = []

    def _add(self, at: float, scene: scenes.Scene) -> None:
        for offset, host, app, message in scene:
            self._entries.append((min(at + offset, _DAY - 1), len(self._entries), host, app, message))

    def _host(self) -> str:
        return self._rng.choice(("web1", "web1", "db1"))

    def attacks(self) -> None:
        """All that `Truth` tells of."""
        framed, guessing = sorted(self._who.framed), sorted(self._who.guessing)
        self._rng.shuffle(guessing)
        tricky, spraying, *others = guessing
        self._guess(tricky, [trick.format(framed=self._rng.choice(framed)) for trick in _TRICKS * 4])
        self._guess(spraying, [*_GUESSED, *scenes.PEOPLE], pace=(2.0, 5.0))  # each name once
        for address in others:
            self._guess(address, [self._rng.choice(_GUESSED)] * self._rng.randrange(14, 50))
        self._slow_one()
        self._group()
        self._sudo_failures()
        self._mistyping()

    def _guess(self, address: str, users: list[str], pace: tuple[float, float] = (0.7, 3.0)) -> None:
        at, host = self._rng.uniform(600, _DAY - 4_000), self._host()
        for user in users:
            self._add(at, scenes.failed_password(self._rng, host, user, address))
            at += self._rng.uniform(*pace)
        if address in self._who.breached:
            self._add(at + 1, scenes.login(self._rng, host, "backup", address))

    def _slow_one(self) -> None:
        """Tries every twenty minutes, all day."""
        address = min(self._who.below_threshold)
        for number in range(64):
            at = 600 + number * 1_300 + self._rng.uniform(0, 200)
            self._add(at, scenes.failed_password(self._rng, "db1", "root", address))

    def _group(self) -> None:
        """Many who share the work: nobody tries more than twice."""
        at = self._rng.uniform(10_000, 70_000)
        for address in sorted(self._who.below_threshold)[1:]:
            for _ in range(self._rng.randrange(1, 3)):
                self._add(at, scenes.failed_password(self._rng, "web1", self._rng.choice(_GUESSED), address))
                at += self._rng.uniform(15, 60)

    def _sudo_failures(self) -> None:
        for user in sorted(self._who.sudo_failing):
            at = self._rng.uniform(20_000, 70_000)
            reason = "user NOT in sudoers" if user == "trent" else "3 incorrect password attempts"
            for number in range(8):
                self._add(at + number * 7, scenes.sudo_refused(self._rng, "web1", user, reason))

    def _mistyping(self) -> None:
        """An innocent who gets in at the third try."""
        address = min(self._who.innocent - self._who.framed)
        at = self._rng.uniform(30_000, 50_000)
        self._add(at, scenes.failed_password(self._rng, "web1", "alice", address))
        self._add(at + 9, scenes.failed_password(self._rng, "web1", "alice", address))
        self._add(at + 20, scenes.login(self._rng, "web1", "alice", address))

    def everyday(self, count: int) -> None:
        """Fill up to `count` lines with what happens on any day."""
        kinds: dict[Callable[[], scenes.Scene], int] = {
            self._visit: 5,
            lambda: scenes.page(self._rng, "web1", self._rng.choice(self._innocent)): 58,
            lambda: scenes.probe(self._rng, "web1", self._rng.choice(self._scanners)): 2,
            lambda: scenes.cron(self._rng, self._host()): 12,
            lambda: scenes.unit(self._rng, self._host()): 6,
            lambda: scenes.kernel(self._rng, self._host()): 3,
            lambda: scenes.blocked(self._rng, self._host(), self._rng.choice(self._scanners)): 3,
            lambda: scenes.knock(self._rng, self._host(), self._rng.choice(self._scanners)): 3,
        }
        tell, weights = list(kinds), list(kinds.values())
        while len(self._entries) < count:
            hour = self._rng.choices(range(24), _BUSY)[0]
            scene = self._rng.choices(tell, weights)[0]
            self._add(hour * 3_600 + self._rng.uniform(0, 3_600), scene())
        del self._entries[count:]

    def _visit(self) -> scenes.Scene:
        rng, host, user = self._rng, self._host(), self._rng.choice(scenes.PEOPLE)
        how = rng.choice(("publickey", "publickey", "password"))
        scene = scenes.login(rng, host, user, rng.choice(self._innocent), how)
        if rng.random() < 0.5:
            scene += [(after + 5, where, app, text) for after, where, app, text in scenes.sudo(rng, host, user)]
        return scene

    def lines(self, start: datetime) -> Iterator[str]:
        """All entries in order, as rsyslog writes them."""
        self._entries.sort()
        zone = start.strftime("%z") or "+0000"
        for at, _number, host, app, message in self._entries:
            moment = start + timedelta(seconds=at)
            month, day = _MONTHS[moment.month - 1], moment.day
            clock = f"{moment.hour:02}:{moment.minute:02}:{moment.second:02}"
            own_time = f"{day:02}/{month}/{moment.year}:{clock} {zone}"
            yield f"{month} {day:2} {clock} {host} {app}: {message.replace(scenes.TIME, own_time, 1)}"
