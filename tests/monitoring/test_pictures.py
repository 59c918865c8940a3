"""Pictures of the dashboards: what is written on them, that no label value gets out of its place, and one real one."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import struct
import threading
import time
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from boards import FOLDER, NAMES
from daemon_process import eventually
from monitoring.pictures import __main__ as command
from monitoring.pictures import board, browser, colours, gather, load, page, scales, uplot, views
from monitoring.pictures.errors import PictureError
from monitoring.pictures.gather import Answer, Happening, Named
from monitoring.pictures.prometheus import Prometheus, Span
from monitoring.pictures.substitute import substitute
from monitoring.pictures.units import text_of, tick_of
from real import missing, program

HOSTILE = '</script><img src=x onerror="document.title=1"><script>document.title=2</script>'
SPAN = Span(1_700_000_100, 1_700_001_000, 15)
LIBRARY = uplot.Library("const uPlot = null;", ".uplot {}")


def made_panel(title: str, kind: str = "timeseries", number: int = 1, **changes: Any) -> dict[str, Any]:
    """A panel's JSON as the generator makes it, small."""
    defaults = {"unit": "cps", "custom": {"axisSoftMin": 0, "fillOpacity": 15}, **changes}
    return {
        "id": number,
        "type": kind,
        "title": title,
        "description": "About it.",
        "gridPos": {"x": (number - 1) % 4 * 6, "y": (number - 1) // 4 * 6, "w": 6, "h": 6},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "area"},
        "targets": [
            {"expr": 'lines{instance=~"$instance"}', "legendFormat": "{{name}}", "instant": kind == "piechart"}
        ],
    }


def write_board(folder: Path, *panels: dict[str, Any], marks: tuple[dict[str, str], ...] = ()) -> Path:
    path = folder / "board.json"
    made = {"uid": "test", "title": f"Test {HOSTILE}", "panels": panels, "annotations": {"list": marks}}
    path.write_text(json.dumps(made))
    return path


def read_panel(folder: Path, title: str = "Lines", kind: str = "timeseries", **changes: Any) -> board.Panel:
    return board.read(write_board(folder, made_panel(title, kind, **changes))).panels[0]


def drawn(made: board.Panel, *series: Named, happened: tuple[Happening, ...] = ()) -> Any:
    return views.panel(made, Answer(series), happened, SPAN)["drawing"]


def course(name: str, *values: float | None) -> Named:
    """A series that has these values at its end and gaps before."""
    return Named(name, [None] * (len(SPAN.times) - len(values)) + list(values))


@contextlib.contextmanager
def answering(answer: Callable[[str, dict[str, str]], tuple[int, Any]]) -> Iterator[Prometheus]:
    """A server that answers each path and form as the test says."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, body = answer(self.path, dict(urllib.parse.parse_qsl(form)))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield Prometheus(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


def matrix(**values: list[list[Any]]) -> dict[str, Any]:
    found = [{"metric": {"name": name}, "values": points} for name, points in values.items()]
    return {"data": {"resultType": "matrix", "result": found}}


# -- variables ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ('x{instance=~"$instance"}', 'x{instance=~".+"}'),
        ('x{instance=~"${instance}"}', 'x{instance=~".+"}'),
        ("rate(x[$__rate_interval])", "rate(x[60s])"),
        ("rate(x[$__interval]) + $__interval_ms", "rate(x[15s]) + 15000"),
        ("increase(x[$__range]) / $__range_s / $__range_ms", "increase(x[3600s]) / 3600 / 3600000"),
        ("${datasource}", "ironpost-prometheus"),
        ('label_replace(x, "a", "$1", "b", "(.*)$")', 'label_replace(x, "a", "$1", "b", "(.*)$")'),
    ],
)
def test_variables_are_filled_in(expr: str, expected: str) -> None:
    assert substitute(expr, 15) == expected


def test_a_rate_covers_four_scrapes_and_more_than_a_step() -> None:
    assert substitute("$__rate_interval", 45) == "60s"
    assert substitute("$__rate_interval", 60) == "75s"


def test_the_hosts_and_the_range_can_be_chosen() -> None:
    assert substitute("$instance", 15, "web1") == "web1"
    assert substitute("$__range", 15, range_seconds=900) == "900s"


@pytest.mark.parametrize("expr", ["x[$window]", "x[${window}]", "${instance:regex}", "$instances"])
def test_an_unknown_variable_is_an_error(expr: str) -> None:
    with pytest.raises(ValueError, match="unknown variable"):
        substitute(expr, 15)


# -- units, colours, axes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0, "short", "0"),
        (4, "short", "4"),
        (12.345, "short", "12.3"),
        (0.0123, "short", "0.0123"),
        (1_700, "short", "1.70 K"),
        (2_500_000, "short", "2.50 Mil"),
        (0.257, "cps", "0.257 c/s"),
        (35, "cps", "35 c/s"),
        (1_250, "cps", "1.25K c/s"),
        (0, "bps", "0 b/s"),
        (1_500_000, "bps", "1.50 Mb/s"),
        (1_000, "Bps", "1 kB/s"),
        (0.5, "pps", "500 mp/s"),
        (56 * 1024**2, "bytes", "56 MiB"),
        (1_023, "bytes", "1023 B"),
        (1_000_000, "decbytes", "1 MB"),
        (0.00281, "percentunit", "0.281%"),
        (1, "percentunit", "100%"),
        (0, "s", "0 s"),
        (0.00000012, "s", "120 ns"),
        (0.000_55, "s", "550 µs"),
        (0.0036, "s", "3.60 ms"),
        (59, "s", "59 s"),
        (321, "s", "5.35 mins"),
        (7_200, "s", "2 hours"),
        (86_400 * 3.5, "s", "3.50 days"),
        (-1_500, "short", "-1.50 K"),
    ],
)
def test_values_are_written_as_grafana_does(value: float, unit: str, expected: str) -> None:
    assert text_of(value, unit) == expected


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [
        ([0, 0.25, 0.5, 1], "cps", ["0 c/s", "0.25 c/s", "0.5 c/s", "1 c/s"]),
        ([500, 1_000, 1_500], "short", ["500", "1 K", "1.5 K"]),
        ([0.0005, 0.001, 0.0015], "s", ["500 µs", "1 ms", "1.5 ms"]),
        ([0, 100], "bps", ["0 b/s", "100 b/s"]),
    ],
)
def test_ticks_have_as_many_digits_as_tell_them_apart(values: list[float], unit: str, expected: list[str]) -> None:
    assert [tick_of(value, unit, values[1] - values[0]) for value in values] == expected


def test_an_unknown_unit_or_colour_is_an_error() -> None:
    with pytest.raises(ValueError, match="unit 'parsec' is not known"):
        text_of(1, "parsec")
    with pytest.raises(ValueError, match="colour 'mauve' is not known"):
        colours.colour("mauve")


@pytest.mark.parametrize(("value", "expected"), [(-5, "green"), (0.99, "green"), (1, "red"), (7, "red")])
def test_a_value_has_the_colour_of_the_step_that_it_reached(value: float, expected: str) -> None:
    assert colours.of_value(value, [(float("-inf"), "green"), (1, "red")]) == colours.colour(expected)


@pytest.mark.parametrize(
    ("found", "bounds", "ends", "labels"),
    [
        ([0, 0], {"soft_low": 0}, (0, 100), ["0", "20", "40", "60", "80", "100"]),
        ([0, 0], {"soft_low": 0, "soft_high": 1}, (0, 1), ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([20, 20], {}, (0, 40), ["0", "10", "20", "30", "40"]),
        ([2, 10], {"soft_low": 0}, (0, 10.8), ["0", "2.5", "5", "7.5", "10"]),
        ([0.2, 0.4], {"low": 0, "high": 1}, (0, 1), ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([-4, 4], {"soft_low": 0}, (-4.8, 4.8), ["-4", "-2", "0", "2", "4"]),
    ],
)
def test_an_axis_has_room_for_its_values(found: Any, bounds: Any, ends: Any, labels: list[str]) -> None:
    axis = scales.values(found, "short", 5, scales.Bounds(**bounds))
    assert (axis.low, axis.high) == pytest.approx(ends)
    assert axis.labels == labels


def test_ticks_of_bytes_stand_at_powers_of_two() -> None:
    axis = scales.values([0, 50 * 1024**2], "bytes", 5, scales.Bounds(soft_low=0))
    assert axis.labels == ["0 B", "16 MiB", "32 MiB", "48 MiB"]


def test_times_are_round_and_of_utc() -> None:
    assert scales.times(Span(1_700_000_100, 1_700_001_000, 15), 4).labels == ["22:15", "22:20", "22:25", "22:30"]
    assert scales.times(Span(1_700_000_100, 1_700_000_160, 15), 9).labels[:2] == ["22:15:00", "22:15:15"]


def test_steps_are_never_smaller_than_the_pause_between_scrapes() -> None:
    assert command.span_of(15, 1_700_000_107) == Span(1_699_999_200, 1_700_000_100, 15)
    assert command.span_of(24 * 60, 1_700_000_107).step == 360


# -- dashboards ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_all_of_a_committed_dashboard_can_be_drawn(name: str) -> None:
    made = board.read(FOLDER / f"{name}.json")
    for value in (0.0, 1.0):
        given = {one.number: Answer([course(name, value) for name in ("high", "b")]) for one in made.panels}
        view = views.board(made, given, [], SPAN)
        assert [one["error"] for one in view["panels"]] == [""] * len(made.panels)
        assert all(one["drawing"] for one in view["panels"])
    empty = views.board(made, {one.number: Answer([]) for one in made.panels}, [], SPAN)
    assert [one["error"] for one in empty["panels"]] == [""] * len(made.panels)
    assert all(one["idle"] for one in empty["panels"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"type": "heatmap"}, "kind 'heatmap'"),
        ({"fieldConfig": {"defaults": {}, "overrides": [{"matcher": {"id": "byType"}, "properties": []}]}}, "override"),
        ({"fieldConfig": {"defaults": {"mappings": [{"type": "regex"}]}, "overrides": []}}, "mapping of type 'regex'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(PictureError, match=message):
        board.read(write_board(tmp_path, {**made_panel("Lines"), **wrong}))


def test_a_file_that_is_no_dashboard_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(PictureError, match=r"x\.json: not a dashboard"):
        board.read(tmp_path / "x.json")


def test_an_unknown_unit_is_an_error_of_its_panel_alone(tmp_path: Path) -> None:
    made = read_panel(tmp_path, unit="parsec")
    assert "unit 'parsec' is not known" in views.panel(made, Answer([course("a", 1)]), [], SPAN)["error"]


def test_a_pile_adds_up_and_keeps_its_gaps(tmp_path: Path) -> None:
    made = read_panel(tmp_path, custom={"stacking": {"mode": "normal"}})
    lines = drawn(made, course("a", 1, 2), course("b", None, 3))["lines"]
    assert [line["values"][-2:] for line in lines] == [[1, 2], [None, 5]]


def test_a_bar_without_height_is_not_drawn(tmp_path: Path) -> None:
    made = read_panel(tmp_path, custom={"drawStyle": "bars"})
    assert drawn(made, course("a", 0, 2))["lines"][0]["values"][-2:] == [None, 2]


def test_series_named_in_the_dashboard_have_their_colour_the_others_the_palettes(tmp_path: Path) -> None:
    panel = made_panel("Lines")
    fixed = {"id": "color", "value": {"mode": "fixed", "fixedColor": "dark-red"}}
    panel["fieldConfig"]["overrides"] = [{"matcher": {"id": "byName", "options": "b"}, "properties": [fixed]}]
    made = board.read(write_board(tmp_path, panel)).panels[0]
    legend = drawn(made, course("a", 1), course("b", 1))["legend"]
    assert legend == [
        {"name": "a", "colour": colours.of_series(0)},
        {"name": "b", "colour": colours.colour("dark-red")},
    ]


@pytest.mark.parametrize("kind", ["stat", "gauge"])
def test_the_absence_of_a_value_has_the_lowest_steps_colour(tmp_path: Path, kind: str) -> None:
    steps = [{"value": None, "color": "orange"}, {"value": 1, "color": "green"}]
    made = read_panel(tmp_path, kind=kind, noValue="down", thresholds={"steps": steps})
    shown = views.panel(made, Answer([]), [], SPAN)
    assert shown["idle"] == "down"
    assert [(one["text"], one["colour"]) for one in shown["drawing"]["items"]] == [("down", colours.colour("orange"))]


def test_a_gauge_shows_its_share_and_its_thresholds(tmp_path: Path) -> None:
    steps = [{"value": None, "color": "green"}, {"value": 0.5, "color": "red"}]
    limits = {"min": 0, "max": 2, "unit": "percentunit"}
    made = read_panel(tmp_path, kind="gauge", thresholds={"steps": steps}, **limits)
    drawing = drawn(made, course("a", 1))
    assert [(one["text"], one["share"]) for one in drawing["items"]] == [("100%", 0.5)]
    assert [(ring["from"], ring["to"]) for ring in drawing["rings"]] == [(0.0, 0.25), (0.25, 1.0)]


def test_slices_are_shares_of_the_whole_and_bars_of_the_largest(tmp_path: Path) -> None:
    series = course("a", 1), course("b", 3)
    assert [one["share"] for one in drawn(read_panel(tmp_path, kind="piechart"), *series)["items"]] == [0.25, 0.75]
    bars = drawn(read_panel(tmp_path, kind="bargauge"), *series)["items"]
    assert [one["share"] for one in bars] == pytest.approx([1 / 3, 1])


def test_states_have_the_names_and_colours_of_the_dashboard(tmp_path: Path) -> None:
    named = {
        "type": "value",
        "options": {"0": {"text": "failed", "color": "red"}, "1": {"text": "up", "color": "green"}},
    }
    made = read_panel(tmp_path, kind="state-timeline", mappings=[named])
    series = Named("ebpf", [1.0] * 30 + [0.0] * 31)
    drawing = drawn(made, series)
    assert [one["name"] for one in drawing["legend"]] == ["failed", "up"]
    stretches = [(one["from"], one["to"], one["colour"]) for one in drawing["rows"][0]["states"]]
    assert stretches == [(0, 0.5, colours.colour("green")), (0.5, 1, colours.colour("red"))]
    unnamed = views.panel(made, Answer([course("ebpf", 2)]), [], SPAN)
    assert "states without a name and colour: [2]" in unnamed["error"]


# -- Prometheus ---------------------------------------------------------------------------------------------------


def test_series_are_named_by_the_legend_and_have_gaps_where_there_is_no_number(tmp_path: Path) -> None:
    made = board.read(write_board(tmp_path, made_panel("Lines")))
    asked = []

    def answer(path: str, form: dict[str, str]) -> tuple[int, Any]:
        asked.append((path, form))
        return 200, matrix(a=[[SPAN.start, "1"], [SPAN.start + 15, "NaN"], [SPAN.end, "+Inf"]], b=[[SPAN.end, "NaN"]])

    with answering(answer) as server:
        found = gather.answers(made, server, SPAN)
    assert [one.name for one in found[1].series] == ["a"]
    assert found[1].series[0].values == [1.0] + [None] * 60
    times = {"start": str(SPAN.start), "end": str(SPAN.end), "step": "15"}
    assert asked == [("/api/v1/query_range", {"query": 'lines{instance=~".+"}', **times})]


def test_instant_queries_are_asked_at_the_end_and_sorted_by_labels(tmp_path: Path) -> None:
    made = board.read(write_board(tmp_path, made_panel("Share", "piechart")))
    result = [{"metric": {"name": name}, "value": [0, value]} for name, value in (("b", "2"), ("a", "1"))]

    def answer(path: str, form: dict[str, str]) -> tuple[int, Any]:
        assert (path, form["time"]) == ("/api/v1/query", str(SPAN.end))
        return 200, {"data": {"resultType": "vector", "result": result}}

    with answering(answer) as server:
        found = gather.answers(made, server, SPAN)
    assert found[1].series == [Named("a", [1.0]), Named("b", [2.0])]


def test_a_refused_query_is_an_error_that_names_panel_and_query(tmp_path: Path) -> None:
    made = board.read(write_board(tmp_path, made_panel("Lines"), made_panel("More", number=2)))
    with answering(lambda *_: (400, {"error": "parse error"})) as server:
        found = gather.answers(made, server, SPAN)
        assert found[2].error == (
            """panel 'More', query lines{instance=~"$instance"}: Prometheus refuses it: parse error"""
        )
    view = views.board(made, found, [], SPAN)
    assert [one["error"] for one in view["panels"]] == [found[1].error, found[2].error]


def test_an_annotation_lasts_as_long_as_its_query_has_values(tmp_path: Path) -> None:
    mark = {"name": "Reloads", "iconColor": "blue", "expr": "increase(reloads[$__rate_interval]) > 0"}
    made = board.read(write_board(tmp_path, made_panel("Lines"), marks=(mark,)))
    first = SPAN.start - SPAN.start % 60
    times = [first + 120, first + 180, first + 480]

    def answer(_: str, form: dict[str, str]) -> tuple[int, Any]:
        assert (form["query"], form["step"]) == ("increase(reloads[75s]) > 0", "60")
        return 200, matrix(a=[[time, "1"] for time in times])

    with answering(answer) as server:
        found = gather.happenings(made, server, SPAN)
    assert [(one.start, one.end) for one in found] == [(times[0], times[1]), (times[2], times[2])]
    marks = drawn(made.panels[0], course("a", 1), happened=tuple(found))["marks"]
    assert [one["colour"] for one in marks] == [colours.colour("blue")] * 2


def test_a_refused_annotation_is_named(tmp_path: Path) -> None:
    mark = {"name": "Reloads", "iconColor": "blue", "expr": "x["}
    made = board.read(write_board(tmp_path, made_panel("Lines"), marks=(mark,)))
    with (
        answering(lambda *_: (503, b"not now")) as server,
        pytest.raises(PictureError, match=r"annotation 'Reloads', query x\[: Prometheus answers 503: not now"),
    ):
        gather.happenings(made, server, SPAN)


def test_an_address_without_a_prometheus_is_named() -> None:
    with (
        answering(lambda *_: (200, b"<html>")) as server,
        pytest.raises(PictureError, match="no Prometheus answers at"),
    ):
        server.values("up", 0)
    with pytest.raises(PictureError, match=f"no Prometheus answers at {server.base}"):
        server.values("up", 0)
    with pytest.raises(PictureError, match="begins with http"):
        Prometheus("file:///etc/passwd?").values("up", 0)


# -- the page -----------------------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """What a browser would see: the tags in their order, and the texts of the scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["script"]:
            self.scripts.append(data)


def hostile_view(folder: Path) -> Any:
    made = board.read(write_board(folder, made_panel(HOSTILE), made_panel("Share", "piechart", 2)))
    given = {1: Answer([course(HOSTILE, 1)]), 2: Answer([Named(HOSTILE, [1.0])])}
    return views.board(made, given, [Happening("Reloads", "blue", SPAN.start, SPAN.end)], SPAN)


def test_no_text_gets_out_of_its_place(tmp_path: Path) -> None:
    view = hostile_view(tmp_path)
    seen = Elements(page.write(view, "today", LIBRARY))
    assert seen.tags.count("script") == 3
    assert "img" not in seen.tags
    assert json.loads(seen.scripts[0]) == json.loads(json.dumps(view))
    assert "<" not in seen.scripts[0]


def test_only_the_pages_own_scripts_may_run(tmp_path: Path) -> None:
    text = page.write(hostile_view(tmp_path), "today", LIBRARY)
    policy = re.search(r'content="(default-src [^"]*)"', text)
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-\S{44}' 'sha256-\S{44}'", policy[1]
    )


def test_a_page_says_how_it_was_made_and_when(tmp_path: Path) -> None:
    text = page.write(hostile_view(tmp_path), "2023-11-14 22:15 to 22:30 UTC", LIBRARY)
    assert f"<footer>{page.FOOT}</footer>" in text
    assert "2023-11-14 22:15 to 22:30 UTC" in text
    assert "drawn from the dashboard's JSON and a live Prometheus by uPlot" in page.FOOT


def test_a_library_that_ends_its_own_script_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="its own end tag"):
        page.write(hostile_view(tmp_path), "today", uplot.Library("'</SCRIPT>'", ""))


def test_another_library_than_the_known_one_is_refused(tmp_path: Path) -> None:
    dist = tmp_path / "node_modules" / "uplot" / "dist"
    dist.mkdir(parents=True)
    with pytest.raises(PictureError, match="No such file"):
        uplot.library(tmp_path)
    (dist / "uPlot.iife.min.js").write_text("evil()")
    with pytest.raises(PictureError, match=r"is not that of uplot@[\d.]+ \(remove the folder"):
        uplot.library(tmp_path)


def test_a_page_without_verdicts_is_an_error() -> None:
    with pytest.raises(PictureError, match="its script did not run"):
        browser.verdicts("<html><body>data-verdict</body></html>")


# -- the command, and real programs -------------------------------------------------------------------------------


@pytest.fixture
def fetched(request: pytest.FixtureRequest) -> uplot.Library:
    """The real uPlot, kept for the next run."""
    program("npm")
    try:
        return uplot.library(request.config.cache.mkdir("uplot"))
    except PictureError as error:
        missing(str(error))
        raise


def test_an_error_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplot, "library", lambda _: LIBRARY)
    done = CliRunner().invoke(command.main, ["--prometheus", "http://127.0.0.1:1", "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert re.fullmatch(r"Error: no Prometheus answers at http://127\.0\.0\.1:1: .*refused.*\n", done.output)
    assert list(tmp_path.iterdir()) == []


def rows_with_ink(picture: bytes) -> int:
    """How many of a PNG's rows are not of one colour; its rows are filtered, so that one colour is mostly zeros."""
    width, height = struct.unpack(">II", picture[16:24])
    chunks, at = b"", 8
    while at < len(picture):
        (size,) = struct.unpack(">I", picture[at : at + 4])
        if picture[at + 4 : at + 8] == b"IDAT":
            chunks += picture[at + 8 : at + 8 + size]
        at += size + 12
    raw = zlib.decompress(chunks)
    stride = len(raw) // height
    assert stride > width
    return sum(stride - raw[row * stride : (row + 1) * stride].count(0) > width // 20 for row in range(height))


@pytest.mark.real
def test_a_real_browser_draws_a_page(tmp_path: Path, fetched: uplot.Library, monkeypatch: pytest.MonkeyPatch) -> None:
    program("chromium")
    kinds = ("timeseries", "piechart", "stat", "bargauge", "gauge", "state-timeline", "timeseries", "timeseries")
    up = {"type": "value", "options": {"1": {"text": HOSTILE, "color": "green"}}}
    panels = [made_panel(f"{kind} {HOSTILE}", kind, number, mappings=[up]) for number, kind in enumerate(kinds, 1)]
    panels[6]["targets"][0]["expr"] = "nothing"
    panels[7]["targets"][0]["expr"] = "refused["

    def answer(path: str, form: dict[str, str]) -> tuple[int, Any]:
        if form["query"] == "refused[":
            return 400, {"error": f"bad {HOSTILE}"}
        if path == "/api/v1/query":
            found = [{"metric": {"name": HOSTILE}, "value": [0, "1"]}]
            return 200, {"data": {"resultType": "vector", "result": found}}
        points = (
            [] if form["query"] == "nothing" else [[time, "1"] for time in range(*map(int, list(form.values())[1:]))]
        )
        return 200, matrix(**{HOSTILE: points})

    monkeypatch.setattr(command, "DASHBOARDS", write_board(tmp_path, *panels).parent)
    monkeypatch.setattr(uplot, "library", lambda _: fetched)
    with answering(answer) as server:
        arguments = ["--prometheus", server.base, "--out", str(tmp_path / "out"), "--pages", str(tmp_path / "pages")]
        done = CliRunner().invoke(command.main, arguments)
    assert done.exit_code == 1, done.output
    assert "8 panels, 6 drawn" in done.output
    assert f"timeseries {HOSTILE}: no data: No data" in done.output
    assert f"Prometheus refuses it: bad {HOSTILE}" in done.output
    picture = (tmp_path / "out" / "test.png").read_bytes()
    assert 10_000 < len(picture) < 250_000
    assert struct.unpack(">II", picture[16:24]) == (page.WIDTH, page.size({"rows": 12})[1])
    assert rows_with_ink(picture) > 100
    assert [path.name for path in (tmp_path / "pages").iterdir()] == ["test.html"]


@pytest.mark.real
def test_the_load_is_seen_by_a_real_prometheus(tmp_path: Path) -> None:
    program("prometheus")

    def seen(server: Prometheus, query: str) -> bool:
        return any(one.values[0] for one in server.values(query, int(time.time())))

    with load.after(4, tmp_path) as address:
        server = Prometheus(address)
        eventually(lambda: seen(server, "ironpost_log_pipeline_logs_processed_total"), "lines are processed")
        eventually(lambda: seen(server, 'ironpost_daemon_config_reloads_total{result="failure"}'), "a reload failed")
        eventually(lambda: seen(server, 'ironpost_log_pipeline_parse_errors_total{format="syslog"}'), "a line is noise")
