"""Finds what the entry points of installed distributions offer. Reads metadata only; imports no plugin."""

from __future__ import annotations

import importlib.metadata
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import attrs

from ironpost_core.names import COMMANDS_GROUP, PLUGIN_NAME, PLUGINS_GROUP

log = logging.getLogger("ironpost.daemon")


@attrs.frozen(kw_only=True)
class Candidate:
    """One name in an entry-point group.

    Attributes:
        name: the entry point's name.
        entry_point: what to load; None when `problem` already forbids it.
        target: what the entry point names, such as ``ironpost_ebpf:EbpfPlugin``.
        distribution, version: who ships it.
        summary: the distribution's one-line summary.
        problem: why it must not be loaded; empty when it may.
    """

    name: str
    entry_point: importlib.metadata.EntryPoint | None
    target: str
    distribution: str
    version: str
    summary: str = ""
    problem: str = ""


def _candidate(entry_point: importlib.metadata.EntryPoint) -> Candidate:
    known = _about(entry_point.dist)
    return Candidate(
        name=entry_point.name,
        entry_point=entry_point,
        target=entry_point.value,
        distribution=known.get("Name", "unknown distribution"),
        version=known.get("Version", "unknown"),
        summary=known.get("Summary", ""),
    )


def _about(distribution: importlib.metadata.Distribution | None) -> dict[str, str]:
    """What a distribution says of itself, as far as that can be read."""
    try:
        if distribution is None:
            return {}
        metadata = distribution.metadata
        return {key: str(metadata[key]) for key in ("Name", "Version", "Summary") if key in metadata}
    except Exception:  # noqa: BLE001 - the stated boundary: metadata can be broken in any way
        return {}


def _refused(candidate: Candidate, problem: str) -> Candidate:
    return attrs.evolve(candidate, entry_point=None, problem=problem)


def settle_names(candidates: Iterable[Candidate], owner_of: str) -> list[Candidate]:
    """One candidate per name. Of several distributions that claim it, ``owner_of.format(name)`` wins, else neither.

    The losers are named: in the refusal, or in the winner's list as refused ones under ``name (distribution)``.
    """
    by_name: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_name[candidate.name].append(candidate)
    settled: list[Candidate] = []
    for name, claimants in sorted(by_name.items()):
        settled.extend(_settle(name, claimants, owner_of.format(name=name)))
    return settled


def _settle(name: str, claimants: Sequence[Candidate], owner: str) -> list[Candidate]:
    if len(claimants) == 1:
        return list(claimants)
    winners = [claimant for claimant in claimants if _normalised(claimant.distribution) == _normalised(owner)]
    if len(winners) == 1:
        problem = f"the name {name!r} belongs to {owner}; uninstall {{distribution}} or rename its entry point"
        losers = [claimant for claimant in claimants if claimant is not winners[0]]
        refused = [
            attrs.evolve(
                _refused(loser, problem.format(distribution=loser.distribution)), name=f"{name} ({loser.distribution})"
            )
            for loser in losers
        ]
        return [*winners, *refused]
    both = " and ".join(sorted(claimant.distribution for claimant in claimants))
    joint = attrs.evolve(claimants[0], distribution=both, version="", target=" and ".join(c.target for c in claimants))
    return [_refused(joint, f"{both} both claim the name {name!r}; none of them is loaded; uninstall all but one")]


def _normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _entry_points(group: str) -> list[importlib.metadata.EntryPoint]:
    try:
        return list(importlib.metadata.entry_points(group=group))
    except Exception:  # noqa: BLE001 - the stated boundary: one distribution with broken metadata hides no other
        return _entry_points_one_by_one(group)


def _entry_points_one_by_one(group: str) -> list[importlib.metadata.EntryPoint]:
    found: dict[str, list[importlib.metadata.EntryPoint]] = {}
    for distribution in importlib.metadata.distributions():
        try:
            name = _normalised(_about(distribution).get("Name", f"unknown {len(found)}"))
            # The first of a name on the path hides the others, as it does for import.
            found.setdefault(name, list(distribution.entry_points.select(group=group)))
        except Exception as error:  # noqa: BLE001 - see _entry_points
            place = getattr(distribution, "_path", "an unknown place")
            log.warning("the metadata at %s can't be read (%s); reinstall it", place, type(error).__name__)
    return [entry_point for entry_points in found.values() for entry_point in entry_points]


def find_plugins() -> list[Candidate]:
    """What stands in the group ``ironpost.plugins``, one per name, sorted."""
    found = [_candidate(entry_point) for entry_point in _entry_points(PLUGINS_GROUP)]
    return [
        candidate
        if PLUGIN_NAME.fullmatch(candidate.name) or candidate.problem
        else _refused(candidate, "a plugin's name is lower-case letters, digits and '_'; rename its entry point")
        for candidate in settle_names(found, "ironpost-plugin-{name}")
    ]


def find_commands() -> list[Candidate]:
    """What stands in the group ``ironpost.commands``, one per name, sorted; nobody owns a name."""
    found = [_candidate(entry_point) for entry_point in _entry_points(COMMANDS_GROUP)]
    return settle_names(found, "")
