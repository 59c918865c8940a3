"""Files of the first design: kinds of sources by name, each with one key of its own in the section."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from ironpost_core.config import Loaded, load
from ironpost_core.settings import Duration
from ironpost_logpipe.config import (
    USUAL_LOGS,
    FileSource,
    JournalSource,
    LogPipelineConfig,
    Source,
    SyslogSource,
    address_of,
    section,
    sources_of,
)

Sources = tuple[Source, ...]
SYSLOG = SyslogSource(listen="0.0.0.0:514")
FILES = FileSource(paths=(Path("/var/log/a"), Path("/var/log/b*")))
USUAL = FileSource(paths=tuple(map(Path, USUAL_LOGS)))
BIND = 'syslog_bind = "0.0.0.0:514"\n'
WATCH = 'watch_paths = ["/var/log/a", "/var/log/b*"]\n'


def read(text: str) -> Loaded:
    return load(f"[log_pipeline]\n{text}".encode(), file="f", sections=[section()], environ={})


def config(text: str) -> LogPipelineConfig:
    loaded = read(text)
    assert [str(problem) for problem in loaded.problems] == []
    found: LogPipelineConfig = loaded.values["log_pipeline"]
    return found


def warned(text: str) -> dict[str, str]:
    return {f"{problem.line} {problem.where.partition('.')[2]}": problem.what for problem in read(text).warnings}


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        (f'sources = ["syslog", "file"]\n{BIND}{WATCH}', (SYSLOG, FILES)),
        (f'sources = ["file", "syslog"]\n{BIND}{WATCH}', (FILES, SYSLOG)),
        (f'sources = ["syslog"]\n{BIND}{WATCH}', (SYSLOG,)),
        (f'sources = ["file", "file"]\n{BIND}{WATCH}', (FILES,)),
        (f'sources = ["journald", "file"]\n{WATCH}', (JournalSource(), FILES)),
        (f"{BIND}{WATCH}", (FILES, SYSLOG)),
        (BIND, (SYSLOG,)),
        (WATCH, (FILES,)),
        ('sources = ["file"]\n', (USUAL,)),
        ('sources = ["syslog"]\n', (SyslogSource(),)),
        ('sources = ["journald", "journald"]\n', (JournalSource(),)),
        (f"sources = []\n{BIND}{WATCH}", ()),
        (f'sources = ["file", "syslog"]\nwatch_paths = []\n{BIND}', (SYSLOG,)),
        ("watch_paths = []\n", ()),
    ],
)
def test_named_kinds_with_their_keys_become_sources(text: str, sources: Sources) -> None:
    assert config(text).sources == sources
    assert read(text).warnings


def test_a_listener_that_nobody_gave_an_address_is_not_opened_to_others() -> None:
    (source,) = config('sources = ["syslog"]\n').sources
    assert isinstance(source, SyslogSource)
    assert ip_address(address_of(source.listen)[0]).is_loopback


def test_without_any_source_left_the_usual_logs_are_followed_and_that_is_said() -> None:
    text = 'sources = ["file"]\nwatch_paths = []\n'
    assert sources_of(config(text)) == (FileSource(name="usual logs", paths=USUAL.paths),)
    assert str(read(text).warnings[0]) == (
        "f:2: log_pipeline.sources: no source is left "
        "(the machine's usual logs are followed; enabled = false reads none)"
    )


def test_the_journal_is_a_source_of_its_own_now() -> None:
    assert [str(warning) for warning in read('sources = ["journald"]\n').warnings] == [
        'f:2: log_pipeline.sources: is an array of tables now (read as sources = [{ type = "journal" }])',
    ]


def test_each_key_is_warned_about_with_what_to_write_now() -> None:
    assert [str(warning) for warning in read(f'sources = ["syslog", "file"]\n{BIND}{WATCH}').warnings] == [
        "f:2: log_pipeline.sources: is an array of tables now "
        '(read as sources = [{ type = "syslog", listen = "0.0.0.0:514" }, '
        '{ type = "file", paths = ["/var/log/a", "/var/log/b*"] }])',
        "f:3: log_pipeline.syslog_bind: is called listen "
        'in a source of type "syslog" now (read as listen = "0.0.0.0:514")',
        "f:4: log_pipeline.watch_paths: is called paths "
        'in a source of type "file" now (read as paths = ["/var/log/a", "/var/log/b*"])',
    ]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (f'sources = ["syslog"]\n{BIND}{WATCH}', {"4 watch_paths": "does nothing any more"}),
        (f"sources = []\n{BIND}", {"2 sources": "no source is left", "3 syslog_bind": "does nothing any more"}),
        ("watch_paths = []\n", {"2 watch_paths": "does nothing any more"}),
        ("flush_interval_secs = 5\n", {"2 flush_interval_secs": "is called flush_interval now"}),
    ],
)
def test_what_no_longer_counts_is_warned_about(text: str, warning: dict[str, str]) -> None:
    assert warning.items() <= warned(text).items()


def test_the_storage_is_gone_key_by_key_and_its_password_is_not_shown() -> None:
    loaded = read(
        '[log_pipeline.storage]\npostgres_url = "postgresql://me:hunter2@db/x"\nredis_url = "redis://:hunter2@db"\n'
        "retention_days = 30\n"
    )
    assert loaded.values["log_pipeline"] == LogPipelineConfig()
    assert [(warning.line, warning.where) for warning in loaded.warnings] == [
        (3, "log_pipeline.storage.postgres_url"),
        (4, "log_pipeline.storage.redis_url"),
        (5, "log_pipeline.storage.retention_days"),
    ]
    assert "history_days" in loaded.warnings[2].remedy
    assert "hunter2" not in repr(loaded)


def test_seconds_become_an_interval() -> None:
    assert config("flush_interval_secs = 5\n").flush_interval == Duration(5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sources = []\n",
        'flush_interval = "5s"\n',
        '[[log_pipeline.sources]]\ntype = "file"\npaths = ["/a"]\n[[log_pipeline.sources]]\ntype = "stdin"\n',
    ],
)
def test_keys_of_today_bring_no_warning(text: str) -> None:
    config(text)
    assert read(text).warnings == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "flush_interval_secs = 30\n",
            "f:2: log_pipeline.flush_interval_secs: found 30s (expected a value from 0 to 10)",
        ),
        (
            'flush_interval_secs = "5s"\n',
            'f:2: log_pipeline.flush_interval_secs: found "5s" (expected a whole number)',
        ),
        (
            'flush_interval = "5s"\nflush_interval_secs = 5\n',
            "f:3: log_pipeline.flush_interval_secs: is a former name of flush_interval, which is set too "
            "(set only flush_interval)",
        ),
        (
            f'sources = ["syslog", "fiel"]\n{BIND}{WATCH}',
            'f:2: log_pipeline.sources[1]: found "fiel" (expected "file", "syslog" or "journald"; '
            'did you mean "file"?)',
        ),
        (
            'sources = ["/var/log/a"]\n',
            'f:2: log_pipeline.sources[0]: found "/var/log/a" (expected a table; write [log_pipeline.sources[0]])',
        ),
        (
            'sources = "file"\n',
            'f:2: log_pipeline.sources: found "file" (expected an array of tables; write it in brackets: […])',
        ),
        (
            'sources = ["file", "syslog"]\nsyslog_bind = "here"\n',
            'f:3: log_pipeline.syslog_bind: expected an address with a port such as "127.0.0.1:5514" or "[::1]:5514"',
        ),
        (
            'sources = ["syslog", "file"]\n\nwatch_paths = ["/a", 5]\n',
            "f:4: log_pipeline.watch_paths[1]: found 5 (expected a path; put it in quotes)",
        ),
        (
            'watch_paths = "/a"\n',
            'f:2: log_pipeline.watch_paths: found "/a" (expected a list, each item a path; write it in brackets: […])',
        ),
        ("syslog_bind = []\n", "f:2: log_pipeline.syslog_bind: found an empty list (expected a text)"),
        (
            f'{WATCH}[[log_pipeline.sources]]\ntype = "stdin"\n',
            "f:2: log_pipeline.watch_paths: is a former name of sources, which is set too (set only sources)",
        ),
        ("[log_pipeline.storage]\nretention_day = 3\n", 'unknown key (did you mean "retention_days"?)'),
        ("syslog_bnd = 1\n", "unknown key"),
    ],
)
def test_a_wrong_value_is_one_error_at_the_key_that_was_written(text: str, problem: str) -> None:
    (found,) = read(text).problems
    assert problem in str(found)


def test_a_secret_in_the_place_of_its_table_is_not_shown() -> None:
    (found,) = read('storage = "postgres://u:S3cr3t@h/db"\n').problems
    assert "S3cr3t" not in str(found)
    assert "expected a table" in str(found)
