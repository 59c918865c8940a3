from __future__ import annotations

import logging
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from ironpost_daemon import discovery
from ironpost_daemon.discovery import Candidate, find_commands, find_plugins, settle_names


def candidate(name: str, distribution: str) -> Candidate:
    target = f"{distribution}:Plugin"
    return Candidate(
        name=name,
        entry_point=EntryPoint(name, target, "ironpost.plugins"),
        target=target,
        distribution=distribution,
        version="1",
    )


def install(
    site: Path, distribution: str, plugins: str = "", commands: str = "", metadata: str | bytes | None = None
) -> Path:
    """The metadata of an installed distribution, as pip leaves it."""
    folder = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
    folder.mkdir(parents=True)
    if metadata is None:
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\nSummary: About {distribution}\n"
    (folder / "METADATA").write_bytes(metadata if isinstance(metadata, bytes) else metadata.encode())
    (folder / "entry_points.txt").write_text(f"[ironpost.plugins]\n{plugins}\n[ironpost.commands]\n{commands}\n")
    return folder


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder that is all that this Python has installed."""
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    return tmp_path


# -- names ------------------------------------------------------------------------------------------------------


def test_names_that_nobody_else_claims_are_kept_and_sorted():
    robin, canary = candidate("robin", "a"), candidate("canary", "b")
    assert settle_names([robin, canary], "ironpost-plugin-{name}") == [canary, robin]


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("canary", "ironpost-plugin-canary"),
        ("canary", "IronPost_Plugin.canary"),
        ("my_canary", "ironpost-plugin-my-canary"),
        ("my_canary", "ironpost_plugin_my__canary"),
    ],
)
def test_of_several_the_one_named_for_it_wins_and_the_others_are_told_why(name, owner):
    owned, other, third = candidate(name, owner), candidate(name, "cuckoo"), candidate(name, "magpie")
    winner, *losers = settle_names([other, owned, third], "ironpost-plugin-{name}")
    assert winner is owned
    assert [(loser.name, loser.entry_point) for loser in losers] == [
        (f"{name} (cuckoo)", None),
        (f"{name} (magpie)", None),
    ]
    assert f"belongs to ironpost-plugin-{name}; uninstall cuckoo or rename" in losers[0].problem


@pytest.mark.parametrize("owner_of", ["ironpost-plugin-{name}", ""])
def test_without_an_owner_none_is_loaded_and_both_are_named(owner_of):
    (joint,) = settle_names([candidate("canary", "magpie"), candidate("canary", "cuckoo")], owner_of)
    assert (joint.name, joint.entry_point, joint.distribution) == ("canary", None, "cuckoo and magpie")
    assert joint.target == "magpie:Plugin and cuckoo:Plugin"
    assert "cuckoo and magpie both claim the name 'canary'; none of them is loaded" in joint.problem


# -- what is installed ------------------------------------------------------------------------------------------


def test_what_the_metadata_says_of_a_plugin(site):
    install(site, "ironpost-plugin-canary", plugins="canary = canary.plugin:Canary", commands="sing = canary.cli:sing")
    (plugin,), (command,) = find_plugins(), find_commands()
    assert (plugin.name, plugin.target, plugin.problem) == ("canary", "canary.plugin:Canary", "")
    assert (plugin.distribution, plugin.version, plugin.summary) == (
        "ironpost-plugin-canary",
        "1.2",
        "About ironpost-plugin-canary",
    )
    assert (command.name, command.target) == ("sing", "canary.cli:sing")
    assert plugin.entry_point is not None
    with pytest.raises(ModuleNotFoundError):
        plugin.entry_point.load()


def test_nothing_is_imported(site):
    install(site, "canary", plugins="canary = canary:Canary")
    (site / "canary.py").write_text("raise AssertionError('imported')")
    assert [plugin.problem for plugin in find_plugins()] == [""]


@pytest.mark.parametrize("name", ["Canary", "can-ary", "1canary", "canary.two"])
def test_a_name_that_can_not_be_one(site, name):
    install(site, "canary", plugins=f"{name} = canary:Canary")
    (plugin,) = find_plugins()
    assert plugin.entry_point is None
    assert "rename its entry point" in plugin.problem


def test_a_loser_keeps_its_reason_though_its_shown_name_is_no_plugins(site):
    install(site, "ironpost-plugin-canary", plugins="canary = a:A")
    install(site, "cuckoo", plugins="canary = b:B")
    assert [bool(plugin.problem) for plugin in find_plugins()] == [False, True]
    assert "belongs to ironpost-plugin-canary" in find_plugins()[1].problem


@pytest.mark.parametrize("metadata", ["Metadata-Version: 2.1\n", "", b"\xff\xfe\x00["])
@pytest.mark.parametrize("others", [0, 1])
def test_a_distribution_that_says_nothing_of_itself(site, metadata, others):
    install(site, "canary", plugins="canary = a:A", metadata=metadata)
    for _ in range(others):
        (install(site, "broken") / "entry_points.txt").write_bytes(b"\xff")
    (plugin,) = find_plugins()
    assert (plugin.distribution, plugin.version, plugin.summary) == ("unknown distribution", "unknown", "")


def test_an_entry_point_without_a_distribution(monkeypatch):
    points = EntryPoints([EntryPoint("canary", "a:A", "ironpost.plugins")])
    monkeypatch.setattr(discovery.importlib.metadata, "entry_points", lambda group: points.select(group=group))
    assert [plugin.distribution for plugin in find_plugins()] == ["unknown distribution"]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00[", b"[ironpost.plugins]\nno equals sign\n", b"no section\n"])
def test_broken_metadata_hides_no_other_distribution(site, caplog, content):
    broken = install(site, "broken")
    (broken / "entry_points.txt").write_bytes(content)
    install(site, "canary", plugins="canary = a:A")
    with caplog.at_level(logging.WARNING):
        found = find_plugins()
    assert [plugin.name for plugin in found] == ["canary"]
    assert all("broken-1.2.dist-info" in record.getMessage() for record in caplog.records)


def test_walking_one_by_one_takes_the_first_of_a_name_on_the_path(site, tmp_path, monkeypatch):
    second = tmp_path / "second"
    monkeypatch.setattr("sys.path", [str(site), str(second)])
    install(site, "canary", plugins="canary = first:A")
    install(second, "canary", plugins="canary = second:A")
    (install(second, "broken") / "entry_points.txt").write_bytes(b"\xff")
    assert [plugin.target for plugin in find_plugins()] == ["first:A"]


def test_the_four_and_their_commands_are_here():
    assert {"ebpf", "guard", "logpipe", "sbom"} <= {plugin.name for plugin in find_plugins()}
    assert {"logs", "rules"} <= {command.name for command in find_commands()}
