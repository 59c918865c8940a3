"""``ironpost rules …`` and ``ironpost logs …``. What is heavy is imported when a command runs."""

from __future__ import annotations

import contextlib
import errno
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from ironpost_logpipe.formats import FORMATS

if TYPE_CHECKING:
    from ironpost_logpipe.config import LogPipelineConfig
    from ironpost_logpipe.rulefiles import Loaded

EXIT_NO = 1
EXIT_CONFIG = 78

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_format_option = click.option(
    *("--format", "format_"),
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="How lines are read.",
)
_rules_option = click.option(
    "--rules",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Use the rules of this folder or file instead of those configured; may be repeated.",
)


@click.group()
def rules() -> None:
    """List, check, test and explain detection rules."""


@click.group()
def logs() -> None:
    """Run logs through the rules."""


@rules.command("list")
@_rules_option
@_json_option
@click.pass_context
def list_rules(context: click.Context, folders: tuple[Path, ...], as_json: bool) -> None:
    """List the rules that the daemon would use.

    \b
    Example: ironpost rules list --json
    """
    from ironpost_logpipe.counting import words
    from ironpost_logpipe.explain import listed

    loaded = _load(context, folders)
    rows = [
        {
            "id": rule.id,
            "severity": str(rule.document.severity),
            "status": rule.document.status,
            "title": rule.document.title,
            "threshold": words(rule.document.threshold),
            "file": rule.origin,
            "overridden_by": list(rule.overridden),
            "exceptions": [listed(each) for each in rule.exemptions],
        }
        for rule in loaded.rules
    ]
    if as_json:
        _print_json(rows)
    else:
        for row in rows:
            _print_row(row)
    _report(loaded)


def _print_row(row: dict[str, Any]) -> None:
    changed = f" (changed by {', '.join(row['overridden_by'])})" if row["overridden_by"] else ""
    click.echo(
        _safe(f"{row['id']:36} {row['severity']:9} {row['status']:9} {row['title']} ({row['threshold']}){changed}")
    )
    for exception in row["exceptions"]:
        click.echo(_safe(f"{'':36} {_exception_line(exception)}"))


def _exception_line(exception: dict[str, Any]) -> str:
    until = f" until {exception['until']}" if exception["until"] else ""
    reason = f": {exception['reason']}" if exception["reason"] else ""
    return f"except {' or '.join(exception['conditions'])}{until}{reason}"


@rules.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@_json_option
@click.pass_context
def validate(context: click.Context, paths: tuple[Path, ...], as_json: bool) -> None:
    """Check rule files; every problem with file and line. Without PATHS: the rules that the daemon would use.

    \b
    Example: ironpost rules validate ./rules
    Exits with 1 when there are problems.
    """
    loaded = _load(context, paths)
    if as_json:
        problems = [{"file": each.file, "line": each.line, "problem": str(each)} for each in loaded.problems]
        _print_json({"files": loaded.files, "rules": len(loaded.rules), "problems": problems})
    else:
        for problem in loaded.problems:
            click.echo(_safe(str(problem)), err=True)
        click.echo(f"{len(loaded.rules)} rules in {loaded.files} files, {len(loaded.problems)} problems")
    if loaded.problems:
        context.exit(EXIT_NO)


@rules.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@_json_option
@click.pass_context
def lint(context: click.Context, paths: tuple[Path, ...], as_json: bool) -> None:
    """Say what is odd about rules that work, and what those cost that are evaluated on every line.

    \b
    Example: ironpost rules lint ./rules
    Exits with 1 when there are warnings or a file is broken; notes are no reason.
    """
    from ironpost_logpipe import lint as linting

    loaded = _load(context, paths)
    found = linting.lint(loaded.rules)
    warnings = [finding for finding in found if finding.weight == "warning"]
    if as_json:
        keys = ("rule", "origin", "check", "weight", "what")
        _print_json([{key: getattr(finding, key) for key in keys} for finding in found])
    else:
        for finding in found:
            click.echo(_safe(str(finding)))
        click.echo(f"{len(loaded.rules)} rules, {len(warnings)} warnings, {len(found) - len(warnings)} notes")
    _report(loaded)
    if warnings or loaded.problems:
        context.exit(EXIT_NO)


@rules.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@_json_option
@click.pass_context
def test(context: click.Context, paths: tuple[Path, ...], as_json: bool) -> None:
    """Run the examples inside rule files. Without PATHS: those of the rules that the daemon would use, not overridden.

    \b
    Example: ironpost rules test ./rules
    Exits with 1 when an example fails or a file is broken.
    """
    from ironpost_logpipe import examples

    loaded = _load(context, paths, overridden=False)
    failed = [failure for rule in loaded.rules for failure in examples.failures(rule, loaded.rules)]
    ran = sum(examples.count(rule) for rule in loaded.rules)
    untested = [rule.id for rule in loaded.rules if not examples.count(rule)]
    if as_json:
        listed = [{"rule": f.rule, "kind": f.kind, "line": f.line, "why": f.why} for f in failed]
        _print_json({"examples": ran, "failures": listed, "rules_without_examples": untested})
    else:
        for failure in failed:
            click.echo(_safe(f"{failure.rule}: {failure.kind}: {failure.why}: {failure.line}"), err=True)
        without = f", {len(untested)} rules have none" if untested else ""
        click.echo(f"{ran} examples, {len(failed)} failed{without}")
    _report(loaded)
    if failed or loaded.problems:
        context.exit(EXIT_NO)


@rules.command()
@click.argument("line")
@click.option("--rule", "only", help="Explain this rule alone.")
@_format_option
@_rules_option
@_json_option
@click.pass_context
def explain(
    context: click.Context, line: str, only: str | None, format_: str, folders: tuple[Path, ...], as_json: bool
) -> None:
    """Show how LINE is read and which conditions of which rules hold. Without --rule: the rules that come closest.

    \b
    Example: ironpost rules explain 'Nov  3 10:00:00 web1 sshd[1]: Failed password for root from 192.0.2.1 port 1 ssh2'
    Exits with 1 when no rule matches, or exceptions drop what matches.
    """
    from datetime import UTC, datetime

    from ironpost_logpipe.explain import explain as explained

    loaded = _load(context, folders)
    chosen = [rule for rule in loaded.rules if only is None or rule.id == only]
    if only is not None and not chosen:
        raise click.BadParameter(f"there is no rule {only!r}", context, param_hint="--rule")
    result = explained(chosen, line, format_, now=datetime.now(UTC))
    if as_json:
        _print_json(result)
    else:
        _print_explained(result)
    if not any(rule["matches"] and not rule["excepted"] for rule in result["rules"]):
        context.exit(EXIT_NO)


def _print_explained(result: dict[str, Any]) -> None:
    if not result["parsed"]:
        click.echo("not a line of this format")
    for name, value in result["fields"].items():
        if name != "raw":
            click.echo(_safe(f"{name:10} {value}"))
    if result["repeated"] > 1:
        click.echo(f"{'repeated':10} {result['repeated']} times")
    for rule in [each for each in result["rules"] if each["held"]][:5]:
        verdict = "matches, but is dropped" if rule["excepted"] else "matches" if rule["matches"] else "does not match"
        changed = f" (changed by {', '.join(rule['overridden_by'])})" if rule["overridden_by"] else ""
        click.echo(_safe(f"\n{rule['id']}: {verdict}{changed}"))
        for step in rule["conditions"]:
            why = f": {step['why']}" if "why" in step else ""
            indent = "  " * (step["depth"] + 1)
            click.echo(_safe(f"{indent}{'yes' if step['holds'] else 'no '} {step['condition']}{why}"))
        for name, value in rule["captures"].items():
            click.echo(_safe(f"  {name} = {value}"))
        for exception in rule["exceptions"]:
            state = "over" if exception["over"] else "holds" if exception["drops"] else "does not hold"
            click.echo(_safe(f"  {_exception_line(exception)} ({state})"))
        click.echo(_safe(f"  raises an alert for: {rule['threshold']}"))


@logs.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@_rules_option
@_format_option
@_json_option
@click.pass_context
def replay(
    context: click.Context, files: tuple[Path, ...], folders: tuple[Path, ...], format_: str, as_json: bool
) -> None:
    """Run FILES (- is standard input) through parser, rules and thresholds, without a daemon.

    Prints the alerts and a summary; with --json an alert per line, the summary last.

    \b
    Example: ironpost logs replay /var/log/auth.log
    Exits with 1 when there were alerts, as grep does the other way round.
    """
    from ironpost_logpipe.replay import Replay

    loaded = _load(context, folders)
    _report(loaded)
    run = Replay(loaded.rules, format_=format_, progress=_progress(files, as_json))
    for file in files:
        try:
            with _opened(file) as opened:
                for alert in run.run(file, opened):
                    click.echo(alert.to_json() if as_json else _alert_line(alert))
        except BrokenPipeError:
            raise  # nobody reads the alerts any more; click ends quietly
        except OSError as error:
            raise click.UsageError(f"{click.format_filename(file)} can't be read: {error.strerror or error}") from None
    summary = run.summary
    if as_json:
        click.echo(json.dumps({"summary": summary.to_dict()}))
    else:
        _print_summary(summary)
    context.exit(EXIT_NO if summary.alerts else 0)


def _opened(file: Path) -> contextlib.AbstractContextManager[BinaryIO]:
    if str(file) != "-":
        return file.open("rb")
    if sys.stdin is None or sys.stdin.closed:
        raise OSError(errno.EBADF, "standard input is closed")
    return contextlib.nullcontext(sys.stdin.buffer)


def _alert_line(alert: Any) -> str:
    return f"{alert.time:%Y-%m-%d %H:%M:%S}Z {alert.severity!s:8} {alert.rule}: {alert.message}"


def _print_summary(summary: Any) -> None:
    rate = summary.lines / summary.seconds if summary.seconds else 0.0
    click.echo(f"\n{summary.lines:,} lines in {summary.seconds:.2f} s ({rate:,.0f} lines/s)", err=True)
    dropped = f" ({summary.exempted:,} dropped by exceptions)" if summary.exempted else ""
    found = f"{summary.matches:,} matches{dropped}, {summary.alerts:,} alerts"
    click.echo(f"{summary.parse_errors:,} parse errors, {found}", err=True)
    for source, events in summary.sources.most_common(10):
        click.echo(f"  {events:8,} events from {source}", err=True)


def _progress(files: Sequence[Path], as_json: bool) -> Any:
    """A progress bar on a terminal, for files whose size is known."""
    if as_json or not sys.stderr.isatty() or any(not file.is_file() for file in files):
        return lambda _: None
    bar = click.progressbar(length=sum(file.stat().st_size for file in files), file=sys.stderr, label="replay")
    return bar.update


def _load(context: click.Context, paths: Sequence[Path], *, overridden: bool = True) -> Loaded:
    from ironpost_logpipe.rulefiles import load_rules

    if paths:
        missing = [path for path in paths if not path.exists()]
        if missing:
            raise click.BadParameter(f"{missing[0]} does not exist", context)
        return load_rules(paths, ())
    config = _config(context)
    return load_rules(config.rule_dirs, config.packs, config.override if overridden else ())


def _config(context: click.Context) -> LogPipelineConfig:
    from ironpost_core.errors import ConfigError
    from ironpost_logpipe.config import LogPipelineConfig, section

    if context.obj is None:  # not run by the operator's tool, so there is no configuration file
        return LogPipelineConfig()
    try:
        config: LogPipelineConfig = context.obj.section(section())
    except ConfigError as error:
        click.echo(_safe(str(error)), err=True)
        context.exit(EXIT_CONFIG)
    return config


def _report(loaded: Loaded) -> None:
    for problem in loaded.problems:
        click.echo(_safe(str(problem)), err=True)


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _safe(text: str) -> str:
    from ironpost_core.alerts import readable

    return "\n".join(readable(line, 4000) for line in text.split("\n"))
