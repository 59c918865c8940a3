from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from ironpost_logpipe.config import (
    DockerSource,
    FileSource,
    JournalSource,
    LogPipelineConfig,
    StdinSource,
    SyslogSource,
)
from ironpost_logpipe.event import FIELDS, PREFIXES
from ironpost_logpipe.formats import FORMATS
from ironpost_logpipe.rules import OBSERVABLE_GROUPS
from logpipe.helpers import bundled

README = (Path(__file__).parents[2] / "plugins" / "logpipe" / "README.md").read_text(encoding="utf-8")
SECTIONS = (LogPipelineConfig, FileSource, DockerSource, JournalSource, SyslogSource, StdinSource)
KEYS = {field.name for cls in SECTIONS for field in attrs.fields(cls)}


@pytest.mark.parametrize("name", sorted(KEYS - {"type"}))
def test_every_key_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", sorted({*FIELDS, *OBSERVABLE_GROUPS, *(rule.id for rule in bundled())}))
def test_every_field_observable_and_rule_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README


def test_the_table_of_fields_is_that_of_the_code() -> None:
    table = README.partition("## Fields\n\n")[2].partition("\n\n")[0]
    fields = {**FIELDS, **{f"{prefix}*": what for prefix, what in PREFIXES.items()}}
    assert table.splitlines()[2:] == [f"| `{name}` | {what} |" for name, what in fields.items()]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_in_the_table_of_formats(name: str) -> None:
    table = README.partition("## Formats\n\n")[2].partition("\n\n")[0]
    assert f"| `{name}` | " in table
