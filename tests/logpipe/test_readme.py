from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from ironpost_logpipe.config import FileSource, JournalSource, LogPipelineConfig, StdinSource, SyslogSource
from ironpost_logpipe.event import FIELDS
from ironpost_logpipe.rules import OBSERVABLE_GROUPS
from logpipe.helpers import bundled

README = (Path(__file__).parents[2] / "plugins" / "logpipe" / "README.md").read_text(encoding="utf-8")
KEYS = {
    field.name
    for cls in (LogPipelineConfig, FileSource, JournalSource, SyslogSource, StdinSource)
    for field in attrs.fields(cls)
}


@pytest.mark.parametrize("name", sorted(KEYS - {"type"}))
def test_every_key_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", sorted({*FIELDS, *OBSERVABLE_GROUPS, *(rule.id for rule in bundled())}))
def test_every_field_observable_and_rule_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README
