"""The keys of ``[log_pipeline]`` in the first design, where kinds of sources were named and had one key each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, get_args

from ironpost_core.former import FormerKeys, as_toml
from ironpost_core.structure import FAILED
from ironpost_logpipe.config import USUAL_LOGS, SyslogSource

_Kind = Literal["file", "syslog", "journald"]
_KEYS: Final = {"file": ("watch_paths", "paths"), "syslog": ("syslog_bind", "listen")}
"""Kind of source → its key in the first design, and what that is called in a source of this type now."""
_STORED: Final = "alerts are kept in a file below general.data_dir, without a database server"
_STORAGE: Final = {
    "postgres_url": _STORED,
    "redis_url": _STORED,
    "retention_days": "how long alerts are kept is history_days in the section [alerts]; set it there",
}


def former(keys: FormerKeys) -> None:
    """Put them into today's terms."""
    keys.renamed("flush_interval_secs", "flush_interval", kind=int, into=lambda seconds: f"{seconds}s")
    keys.gone_table("storage", _STORAGE)
    sources = keys.table.get("sources")
    given = [kind for kind, (key, _) in _KEYS.items() if key in keys.table]
    if sources is None and given:
        _make_tables(keys, given)
    elif _are_kinds(sources, given):
        _take_kinds(keys, given)
    else:
        for kind in given:
            keys.gone(_KEYS[kind][0], "", instead="sources")


def _are_kinds(sources: object, given: Sequence[str]) -> bool:
    """Whether it is a list of kinds; an empty one is when there are keys that belong to kinds."""
    if not isinstance(sources, list):
        return False
    return any(each in get_args(_Kind) for each in sources) or bool(given and not sources)


def _take_kinds(keys: FormerKeys, given: Sequence[str]) -> None:
    kinds = keys.take("sources", tuple[_Kind, ...])
    if kinds is FAILED:
        for kind in given:
            keys.take(_KEYS[kind][0])
        return
    for kind in given:
        if kind not in kinds:
            keys.gone(_KEYS[kind][0], f'sources does not name "{kind}"')
    _make_tables(keys, dict.fromkeys(kinds))
    if tables := keys.table.get("sources"):
        keys.note("sources", "is an array of tables now", f"read as {as_toml('sources', tables)}")
    else:
        keys.note("sources", "no source is left", "the machine's usual logs are followed; enabled = false reads none")


def _make_tables(keys: FormerKeys, kinds: Iterable[str]) -> None:
    """Set `sources` to one table for each kind, with the value of its key or else the usual one."""
    tables: list[dict[str, Any]] = []
    usual = {"file": list(USUAL_LOGS), "syslog": SyslogSource().listen}
    for kind in kinds:
        if kind == "journald":
            tables.append({"type": "journal"})
            continue
        key, now = _KEYS[kind]
        value = keys.take(key)
        if kind == "file" and value == []:
            keys.note(key, "does nothing any more", "it names no file; without any source the usual logs are followed")
            continue
        if value is not FAILED:
            keys.came_from(("sources", len(tables), now), key)
            keys.note(key, f'is called {now} in a source of type "{kind}" now', f"read as {as_toml(now, value)}")
        tables.append({"type": kind, now: usual[kind] if value is FAILED else value})
    if tables:
        keys.table["sources"] = tables
