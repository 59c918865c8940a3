"""``python -m monitoring.pictures``: draws the committed dashboards, by default after a quarter of an hour of load."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from ironpost_core.errors import IronpostError
from ironpost_core.files import write_atomic
from monitoring.pictures import board, browser, gather, load, page, uplot, views
from monitoring.pictures.prometheus import Prometheus, Span
from monitoring.pictures.substitute import SCRAPE_INTERVAL

DASHBOARDS = Path(__file__).parents[1] / "grafana" / "dashboards"
_POINTS = 240
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--prometheus", "address", help="A running server's address; else one is started, and a daemon under load."
)
@click.option("--minutes", default=15.0, show_default=True, help="How much time is shown; so long the load lasts.")
@click.option("--until", type=int, help="The end of that time as Unix time; now unless given.")
@click.option("--out", default="docs/pictures", show_default=True, type=_FOLDER, help="Where the pictures go.")
@click.option("--pages", type=_FOLDER, help="Where the HTML pages go; else they are not kept.")
@click.option("--uplot", "plotting", default="build/pictures", show_default=True, type=_FOLDER, help="uPlot's folder.")
def main(address: str | None, minutes: float, until: int | None, out: Path, pages: Path | None, plotting: Path) -> None:
    """Draw pictures of the dashboards; exit code 1 when a panel can't be drawn."""
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ironpost-pictures-")))
        try:
            library = uplot.library(plotting)
            if address is None:
                address = stack.enter_context(load.after(round(minutes * 60), scratch))
            server, span = Prometheus(address), span_of(minutes, until or int(time.time()))
            good = [
                draw(path, server, span, library, out, pages or scratch) for path in sorted(DASHBOARDS.glob("*.json"))
            ]
        except IronpostError as error:
            raise click.ClickException(str(error)) from error
    sys.exit(0 if all(good) else 1)


def span_of(minutes: float, until: int) -> Span:
    """So much time up to `until`, in steps as Grafana chooses them: not smaller than the pause between two scrapes."""
    seconds = round(minutes * 60)
    step = max(1, round(seconds / _POINTS / SCRAPE_INTERVAL)) * SCRAPE_INTERVAL
    end = until - until % step
    return Span(end - seconds // step * step, end, step)


def draw(path: Path, server: Prometheus, span: Span, library: uplot.Library, out: Path, pages: Path) -> bool:
    """One dashboard's picture; whether all its panels could be drawn. Says on standard output what became of them."""
    made = board.read(path)
    view = views.board(made, gather.answers(made, server, span), gather.happenings(made, server, span), span)
    for folder in (out, pages):
        folder.mkdir(parents=True, exist_ok=True)
    text, raw = pages / f"{made.uid}.html", pages / f"{made.uid}.png"
    text.write_text(page.write(view, _shown(span), library), encoding="utf-8")
    found = browser.shoot(text, raw, page.size(view))
    picture = raw.read_bytes()
    raw.unlink()
    write_atomic(out / f"{made.uid}.png", picture, 0o644)
    click.echo(f"{out / made.uid}.png: {len(picture) // 1000} kB, {_summary(found)}")
    return all(one.state != "error" for one in found)


def _shown(span: Span) -> str:
    begin, end = (datetime.fromtimestamp(at, UTC) for at in (span.start, span.end))
    return f"{begin:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"


def _summary(found: Sequence[browser.Verdict]) -> str:
    odd = [f"\n  {one.title}: {one.state}: {one.why}" for one in found if one.state != "ok"]
    return f"{len(found)} panels, {len(found) - len(odd)} drawn" + "".join(odd)


if __name__ == "__main__":
    main()
