"""Relative links in Markdown lead to something that is there, headings included; paths of machines stand nowhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (?P<title>.+)$", re.MULTILINE)
MACHINE = re.compile(r"(?<![\w.])/(?:work|home|root|tmp|Users)/\S*")


def pages() -> list[Path]:
    """Every Markdown file of the repository: those that git knows or would add."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=False)
    found = [ROOT / name for name in done.stdout.splitlines()] or [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    return [path for path in found if path.exists()]


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    titles = (re.sub(r"[^\w\- ]", "", heading["title"].lower()) for heading in HEADING.finditer(text))
    return {title.strip().replace(" ", "-") for title in titles}


def broken_links(path: Path) -> list[str]:
    broken = []
    for link in LINK.finditer(FENCE.sub("", path.read_text(encoding="utf-8"))):
        target, _, anchor = link["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        there = (path.parent / target).resolve() if target else path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(link["target"])
    return broken


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    assert broken_links(path) == []


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_machine_paths(path):
    assert MACHINE.findall(path.read_text(encoding="utf-8")) == []


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Some `title` here\n[a](#some-title-here) [b](#none) [c](gone.md) [d](https://example.org)\n")
    assert broken_links(page) == ["#none", "gone.md"]
