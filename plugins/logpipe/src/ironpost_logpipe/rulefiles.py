"""Rule files: found, read, and reported with file and line when broken; the good ones load all the same."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import MappingProxyType

import attrs

from ironpost_core.errors import Problem, RuleError
from ironpost_core.structure import FAILED, Report, structure
from ironpost_core.wording import any_of, did_you_mean
from ironpost_logpipe.linking import linked, shared
from ironpost_logpipe.rules import (
    Override,
    Rule,
    RuleDocument,
    RuleFault,
    apply_overrides,
    compile_rule,
    idle_overrides,
)
from ironpost_logpipe.yamldoc import MAX_SIZE, Document, read_documents

SUFFIXES = (".yaml", ".yml")
_MAX_FILES = 10_000


@attrs.frozen
class Loaded:
    """What came of the rule files.

    Attributes:
        rules: every rule that can be used, disabled ones too, overrides applied.
        problems: what is wrong with the others.
        files: how many files were read.
        kept: files that are broken now and whose rules stay as they were before.
        by_file: file → its rules as they are used, without overrides, if it was whole when they were read.
    """

    rules: tuple[Rule, ...]
    problems: tuple[Problem, ...] = ()
    files: int = 0
    kept: tuple[str, ...] = ()
    by_file: Mapping[str, tuple[Rule, ...]] = attrs.field(factory=dict, repr=False)


def bundled_packs() -> dict[str, Path]:
    """The packs that come with this package: name → file."""
    folder = Path(str(resources.files("ironpost_logpipe") / "packs"))
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def load_rules(
    folders: Iterable[Path],
    packs: Sequence[str],
    overrides: Sequence[Override] = (),
    before: Mapping[str, tuple[Rule, ...]] = MappingProxyType({}),
) -> Loaded:
    """All rules of the bundled `packs` and the `folders`; a later one replaces a bundled one of the same id.

    A file that is broken gives the rules that it has in `before`, `Loaded.by_file` of the load that is in force, and
    else those of its rules that are not broken.
    """
    problems: list[Problem] = []
    bundled = bundled_packs()
    unknown = [pack for pack in packs if pack not in bundled]
    problems += [
        Problem(
            where="log_pipeline.packs",
            what=f"there is no pack {pack!r}",
            remedy=did_you_mean(pack, bundled) or f"there are {any_of(bundled)}",
        )
        for pack in unknown
    ]
    reading = _Reading(before, problems)
    for pack in packs:
        if pack in bundled:
            reading.read(bundled[pack])
    rules = {rule.id: rule for rule in reading.rules}
    reading.rules = []
    for folder in folders:
        reading.read_folder(folder)
    own: dict[str, Rule] = {}
    for rule in reading.rules:
        if rule.id in own:
            problems.append(_duplicate(rule, own[rule.id]))
        else:
            own[rule.id] = rule
    rules = shared((rules | own).values())
    problems += idle_overrides(tuple(rules.values()), overrides)
    changed = tuple(apply_overrides(rule, overrides) for rule in rules.values())
    usable, unlinked = linked(changed)
    return Loaded(tuple(usable), (*problems, *unlinked), reading.files, tuple(reading.kept), reading.by_file)


@attrs.define
class _Reading:
    """Reads one file after the other; where one is broken, what it gave before is taken."""

    before: Mapping[str, tuple[Rule, ...]]
    problems: list[Problem]
    rules: list[Rule] = attrs.field(factory=list)
    files: int = 0
    kept: list[str] = attrs.field(factory=list)
    by_file: dict[str, tuple[Rule, ...]] = attrs.field(factory=dict)

    def read(self, file: Path) -> None:
        """One file."""
        self.files += 1
        problems: list[Problem] = []
        rules = tuple(_read(file, problems))
        self.problems += problems
        if problems and str(file) in self.before:
            self._keep(str(file))
            return
        self.rules += rules
        if not problems:
            self.by_file[str(file)] = rules

    def _keep(self, file: str) -> None:
        self.kept.append(file)
        self.by_file[file] = self.before[file]
        self.rules += self.before[file]

    def read_folder(self, folder: Path) -> None:
        """All rule files of a folder; of one that can't be read, those that it had before."""
        found = _files_in(folder, self.problems)
        if found is None:
            for known in [known for known in self.before if Path(known).is_relative_to(folder)]:
                self._keep(known)
        for file in found or ():
            self.read(file)


def read_rule_file(file: Path) -> Loaded:
    """The rules of one file."""
    problems: list[Problem] = []
    rules: dict[str, Rule] = {}
    for rule in _read(file, problems):
        if rule.id in rules:
            problems.append(_duplicate(rule, rules[rule.id]))
        rules.setdefault(rule.id, rule)
    return Loaded(tuple(rules.values()), tuple(problems), 1)


def parse_rules(name: str, content: bytes) -> Loaded:
    """The rules of a file's content; `name` is for messages."""
    try:
        documents = read_documents(name, content)
    except RuleError as error:
        return Loaded((), error.problems, 1)
    problems: list[Problem] = []
    rules = [_rule(name, document, problems) for document in documents]
    return Loaded(tuple(rule for rule in rules if rule is not None), tuple(problems), 1)


def _rule(name: str, document: Document, problems: list[Problem]) -> Rule | None:
    report = Report(file=name, lines=document.lines)
    written = structure(RuleDocument, document.data, (), report)
    # A key that is missing has no line; then the document's own says most.
    problems += [attrs.evolve(each, line=each.line or document.line) for each in report.problems]
    if written is FAILED:
        return None
    try:
        return compile_rule(written, f"{name}:{document.line}")
    except RuleFault as fault:
        report = Report(file=name, lines=document.lines)
        report.add(fault.at, fault.what, fault.remedy)
        problems += report.problems
        return None


def _read(file: Path, problems: list[Problem]) -> Iterable[Rule]:
    try:
        if file.exists() and not file.is_file():
            raise OSError(errno.EINVAL, "is not a regular file")  # to open a FIFO would wait for its writer
        with file.open("rb") as opened:
            content = opened.read(MAX_SIZE + 1)
    except OSError as error:
        what = f"can't be read: {error.strerror}"
        problems.append(Problem(where="", what=what, remedy="check its owner and mode", file=str(file)))
        return ()
    loaded = parse_rules(str(file), content)
    problems += loaded.problems
    return loaded.rules


def _files_in(folder: Path, problems: list[Problem]) -> list[Path] | None:
    """The rule files of a folder and those below, in the order of their names; None when it can't be read."""
    try:
        if folder.is_file():
            return [folder]
        next(folder.iterdir(), None)
        found = sorted(file for file in folder.rglob("*") if file.suffix in SUFFIXES and not _hidden(file, folder))
    except OSError as error:
        what = f"the rule folder {folder} can't be read: {error.strerror}"
        problems.append(Problem(where="log_pipeline.rule_dirs", what=what, remedy="make it, or leave it out"))
        return None
    if len(found) > _MAX_FILES:
        what = f"the rule folder {folder} has {len(found)} rule files; only the first {_MAX_FILES} are read"
        problems.append(Problem(where="log_pipeline.rule_dirs", what=what, remedy="put several rules into one file"))
    return found[:_MAX_FILES]


def _hidden(file: Path, folder: Path) -> bool:
    """Whether it, or a folder on the way to it, is hidden: editors and `kubectl` leave copies there."""
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _duplicate(rule: Rule, first: Rule) -> Problem:
    file, _, line = rule.origin.rpartition(":")
    what = f"the rule id {rule.id!r} is taken by {first.origin}"
    return Problem(where="id", what=what, remedy="give each rule an id of its own", file=file, line=int(line))
