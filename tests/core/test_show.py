from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from ironpost_core.config import MetricsConfig, Section, load
from ironpost_core.settings import Duration, Secret, setting
from ironpost_core.show import as_json, reference_markdown, render_toml


@attrs.frozen(kw_only=True)
class Retry:
    times: int = setting(default=3, help="How often.", unit="attempts")


@attrs.frozen(kw_only=True)
class FileSink:
    type: Literal["jsonl"] = setting(default="jsonl", help="Which.")
    path: Path = setting(help="Where to.", example=Path("/var/log/alerts.jsonl"))


@attrs.frozen(kw_only=True)
class WebSink:
    type: Literal["webhook"] = setting(default="webhook", help="Which.")
    url: str = setting(help="Where to.", secret=True)
    retry: Retry = setting(factory=Retry, help="When it fails.")
    headers: tuple[Retry, ...] = setting(default=(), help="Headers.")


@attrs.frozen(kw_only=True)
class Alerts:
    keep: Duration = setting(default=Duration(3600), help="How long.\nThen gone.", example=Duration(60))
    mode: Literal["a", "b"] | None = setting(default=None, help="One of a|b.")
    paths: tuple[Path, ...] | None = setting(default=None, help="Paths.")
    labels: Mapping[str, str] = setting(factory=dict, help="Labels.")
    token: Secret | None = setting(default=None, help="A token.")
    sinks: tuple[FileSink | WebSink, ...] = setting(default=(), help="Where to.")
    retry: Retry = setting(factory=lambda: Retry(times=7), help="In general.")
    other: Retry | None = setting(default=None, help="In particular.")


@attrs.frozen(kw_only=True)
class Strict:
    name: str = setting(help="Its name.")


SECTIONS = (Section("metrics", MetricsConfig, "Where metrics are served."), Section("alerts", Alerts))
CHANGED = {
    "metrics": MetricsConfig(basic_auth_user="a", basic_auth_password=Secret("hunter2")),
    "alerts": Alerts(
        keep=Duration(5),
        labels={"a b": "c"},
        token=Secret("/x", "file"),
        sinks=(FileSink(path=Path("/a")), WebSink(url="https://hunter2", headers=(Retry(times=1),))),
        other=Retry(times=2),
    ),
}

EXAMPLE = """\
[alerts]

# How long.
# Then gone.
# Environment: IRONPOST_ALERTS_KEEP
#keep = "1h"

# One of a|b.
# Environment: IRONPOST_ALERTS_MODE
# mode = "a"

# Paths.
# Environment: IRONPOST_ALERTS_PATHS
# paths = ["…"]

# Labels.
#labels = {}

# A token.
# Environment: IRONPOST_ALERTS_TOKEN
# token = "…"

# Where to.
# [[alerts.sinks]]
# type = "jsonl"
# path = "/var/log/alerts.jsonl"  # Where to. Required.

# [[alerts.sinks]]
# type = "webhook"
# url = "***"  # Where to. Required.
# [alerts.sinks.retry]
# times = 3  # How often.
# [[alerts.sinks.headers]]
# times = 3  # How often.

# In general.
[alerts.retry]

# How often.
# Unit: attempts.
# Environment: IRONPOST_ALERTS_RETRY_TIMES
#times = 7

# In particular.
# [alerts.other]
# times = 3  # How often.
"""

EFFECTIVE = """\
[alerts]
keep = "5s"
labels = { "a b" = "c" }
token = { file = "/x" }

[[alerts.sinks]]
type = "jsonl"
path = "/a"

[[alerts.sinks]]
type = "webhook"
url = "***"

[alerts.sinks.retry]
times = 3

[[alerts.sinks.headers]]
times = 1

[alerts.retry]
times = 7

[alerts.other]
times = 2
"""


def read(text: str) -> Mapping[str, Any]:
    loaded = load(text.encode(), file=None, sections=SECTIONS, environ={})
    assert loaded.problems == ()
    return loaded.values


def uncommented(text: str) -> str:
    return re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE)


def test_the_example_file_explains_every_key() -> None:
    assert render_toml(SECTIONS[1:], {}, comments=True) == EXAMPLE


def test_the_example_file_gives_the_defaults_also_without_its_comment_signs() -> None:
    text = render_toml(SECTIONS, {}, comments=True)
    defaults = {"metrics": MetricsConfig(), "alerts": Alerts()}
    assert read(text) == defaults
    assert uncommented(text) != text
    assert read(uncommented(text)) == defaults


def test_the_effective_configuration_masks_secrets() -> None:
    assert render_toml(SECTIONS[1:], CHANGED, comments=False) == EFFECTIVE
    whole = render_toml(SECTIONS, CHANGED, comments=False)
    assert 'basic_auth_password = "***"' in whole
    assert "hunter2" not in whole
    assert render_toml(SECTIONS, {}, comments=False) == ""


def test_the_effective_configuration_means_the_same_when_read() -> None:
    values = {"metrics": MetricsConfig(port=1), "alerts": Alerts(sinks=(FileSink(path=Path("/a")),), mode="b")}
    assert read(render_toml(SECTIONS, values, comments=False)) == values


def test_a_file_to_edit_keeps_what_is_set() -> None:
    values = {
        "metrics": MetricsConfig(port=1),
        "alerts": Alerts(sinks=(FileSink(path=Path("/a")),), other=Retry(times=2), labels={"a": "b"}),
    }
    text = render_toml(SECTIONS, values, comments=True)
    assert read(text) == values
    assert "\nport = 1\n" in text
    assert "hunter2" not in render_toml(SECTIONS, CHANGED, comments=True)


def test_a_required_key_is_an_example() -> None:
    assert '# name = "…"' in render_toml([Section("strict", Strict)], {}, comments=True)


def test_the_plain_form_masks_secrets() -> None:
    assert "hunter2" not in repr(as_json(CHANGED))


REFERENCE = """\
## `[alerts]`

| key | type | default | unit | environment | meaning |
|---|---|---|---|---|---|
| `keep` | a duration with its unit such as "30s", "5m" or "1h30m" | `"1h"` |  | `IRONPOST_ALERTS_KEEP` | \
How long. Then gone. |
| `mode` | "a" or "b" | not set |  | `IRONPOST_ALERTS_MODE` | One of a\\|b. |
| `paths` | a list, each item a path | not set |  | `IRONPOST_ALERTS_PATHS` | Paths. |
| `labels` | a table | `{}` |  |  | Labels. |
| `token` | a text, {file = "…"} or {env = "…"} | not set |  | `IRONPOST_ALERTS_TOKEN` | A token. |
| `sinks` | an array of tables | `[]` |  |  | Where to. |
| `retry` | a table | `{ times = 7 }` |  |  | In general. |
| `other` | a table | not set |  |  | In particular. |

### `[[alerts.sinks]]` with `type` "jsonl"

| key | type | default | unit | environment | meaning |
|---|---|---|---|---|---|
| `type` | "jsonl" | `"jsonl"` |  |  | Which. |
| `path` | a path | required |  |  | Where to. |

### `[[alerts.sinks]]` with `type` "webhook"

| key | type | default | unit | environment | meaning |
|---|---|---|---|---|---|
| `type` | "webhook" | `"webhook"` |  |  | Which. |
| `url` | a text | required |  |  | Where to. |
| `retry` | a table | `{ times = 3 }` |  |  | When it fails. |
| `headers` | an array of tables | `[]` |  |  | Headers. |

### `[alerts.sinks.retry]`

| key | type | default | unit | environment | meaning |
|---|---|---|---|---|---|
| `times` | a whole number | `3` | attempts |  | How often. |

### `[[alerts.sinks.headers]]`

| key | type | default | unit | environment | meaning |
|---|---|---|---|---|---|
| `times` | a whole number | `3` | attempts |  | How often. |

### `[alerts.retry]`

| key | type | default | unit | environment | meaning |
|---|---|---|---|---|---|
| `times` | a whole number | `3` | attempts | `IRONPOST_ALERTS_RETRY_TIMES` | How often. |

### `[alerts.other]`

| key | type | default | unit | environment | meaning |
|---|---|---|---|---|---|
| `times` | a whole number | `3` | attempts | `IRONPOST_ALERTS_OTHER_TIMES` | How often. |
"""


def test_the_reference_lists_every_key() -> None:
    assert reference_markdown(SECTIONS[1:]) == REFERENCE
    assert "Where metrics are served." in reference_markdown(SECTIONS)


@attrs.frozen(kw_only=True)
class Branch:
    name: str = setting(default="", help="Its name.")
    branches: tuple[Branch, ...] = setting(default=(), help="More of them.")
    twin: Branch | None = setting(default=None, help="Another one.")


@attrs.frozen(kw_only=True)
class Tree:
    branches: tuple[Branch, ...] = setting(default=(), help="What it holds.")


def test_a_table_that_can_hold_itself_is_shown_once() -> None:
    section = Section(name="tree", type=Tree)
    assert reference_markdown([section]).count("### `[[tree.branches") == 1
    assert render_toml([section], {}, comments=True).count("[tree.branches") == 1
    value = Tree(branches=(Branch(name="a", branches=(Branch(name="b", twin=Branch(name="c")),)),))
    written = render_toml([section], {"tree": value}, comments=False)
    assert "[[tree.branches.branches]]" in written
    assert load(written.encode(), file="f", sections=[section], environ={}).values["tree"] == value
