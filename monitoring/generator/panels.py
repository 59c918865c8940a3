"""A panel as data, and the ways to draw one: each function here is a value for `Panel.draw`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import attrs
from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    gauge,
    piechart,
    prometheus,
    stat,
    statetimeline,
)
from grafana_foundation_sdk.builders import timeseries as timelines
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import piechart as pies

from ironpost_core.metrics import SEVERITIES

Builder: TypeAlias = bargauge.Panel | gauge.Panel | piechart.Panel | stat.Panel | statetimeline.Panel | timelines.Panel
B = TypeVar("B", bargauge.Panel, gauge.Panel, piechart.Panel, stat.Panel, statetimeline.Panel, timelines.Panel)

#: What series are called that belong to a plugin or sink.
BY_MODULE = "{{module}}"
#: Units whose axis goes up to 1 at least, so that a graph of nothing is not scaled to anything.
_WHOLES = ("short", "percentunit")
#: The variable's default is the provisioned data source, so neither import by hand nor provisioning lacks one.
DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
SEVERITY_COLOURS = {"critical": "dark-red", "high": "red", "medium": "orange", "low": "yellow", "info": "blue"}
RESULT_COLOURS = {"success": "green", "failure": "red"}
#: What is shown where the daemon is not heard from.
DOWN = ("down", "red")


@attrs.frozen
class Query:
    """One query of a panel, and what its series are called (Grafana's ``{{label}}`` in it)."""

    expr: str
    legend: str


@attrs.frozen
class Panel:
    """One panel.

    Attributes:
        title: its heading.
        about: behind the heading's mark: what is shown, and what of it is worth attention.
        queries: at least one; a text alone is a query whose series are called as the panel.
        width: in columns of the grid.
        unit: one of Grafana's names of units.
        draw: how.
        steps: from this value on, this colour; None is the lowest.
        colours: series of these names have these colours.
        values: a value's name and colour.
        idle: shown in place of a value that there is none of, and in which colour.
        most: where a dial ends.
        link: the uid of the dashboard with the details.
    """

    title: str
    about: str
    queries: Sequence[Query] | str
    width: int = attrs.field(kw_only=True)
    unit: str = attrs.field(kw_only=True)
    draw: Callable[[Panel], Builder] = attrs.field(kw_only=True)
    steps: Mapping[float | None, str] = attrs.field(kw_only=True, factory=lambda: {None: "blue"})
    colours: Mapping[str, str] = attrs.field(kw_only=True, factory=dict)
    values: Mapping[int, tuple[str, str]] = attrs.field(kw_only=True, factory=dict)
    idle: tuple[str, str] = attrs.field(kw_only=True, default=("no data", "text"))
    most: float = attrs.field(kw_only=True, default=1.0)
    link: str = attrs.field(kw_only=True, default="")


def by_severity(of: Callable[..., str], name: str) -> list[Query]:
    """A metric's values by severity, the gravest first (a single query's would stand in the order of their names)."""
    return [Query(of(name, severity=severity), severity) for severity in reversed(SEVERITIES)]


def number(panel: Panel) -> Builder:
    """One number, coloured by the steps: of this moment, because the last one of a time range may be old."""
    builder = stat.Panel().graph_mode(looks.BigValueGraphMode.NONE).color_mode(looks.BigValueColorMode.VALUE)
    return _dressed(builder.text_mode(looks.BigValueTextMode.VALUE).reduce_options(_last()), panel, instant=True)


def dial(panel: Panel) -> Builder:
    """A share between 0 and `Panel.most`."""
    return _dressed(gauge.Panel().reduce_options(_last()).min(0).max(panel.most), panel, instant=True)


def bars(panel: Panel) -> Builder:
    """A bar for each series."""
    builder = bargauge.Panel().orientation(looks.VizOrientation.HORIZONTAL).reduce_options(_last()).min(0)
    return _dressed(builder.display_mode(looks.BarGaugeDisplayMode.BASIC), panel, instant=True)


def pie(panel: Panel) -> Builder:
    """Shares of a whole."""
    legend = piechart.PieChartLegendOptions().show_legend(True).placement(looks.LegendPlacement.RIGHT)
    legend.display_mode(looks.LegendDisplayMode.TABLE).values([pies.PieChartLegendValues.VALUE])
    builder = piechart.Panel().pie_type(pies.PieChartType.DONUT).legend(legend).reduce_options(_last())
    builder.hide_from(common.HideSeriesConfig().legend(False).tooltip(False).viz(False))
    return _dressed(builder, panel, instant=True)


def course(panel: Panel) -> Builder:
    """Values over time."""
    return _dressed(_lines(panel), panel)


def stacked(panel: Panel) -> Builder:
    """Values over time, one on top of the other."""
    return _dressed(_lines(panel).stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL)), panel)


def incidents(panel: Panel) -> Builder:
    """What happens now and then, as columns over time, a minute or more apart.

    That is the panel's interval and not the query's: Grafana takes the latter for the time between two scrapes, and
    `$__rate_interval` would be four of them, so that each event stood there four times.
    """
    builder = _lines(panel).draw_style(looks.GraphDrawStyle.BARS).fill_opacity(80)
    return _dressed(builder.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL)), panel).interval("1m")


def states(panel: Panel) -> Builder:
    """States over time, named and coloured by `Panel.values`."""
    builder = statetimeline.Panel().show_value(looks.VisibilityMode.NEVER).row_height(0.8).legend(_legend())
    builder.line_width(0).fill_opacity(70)
    return _dressed(builder, panel)


def _lines(panel: Panel) -> timelines.Panel:
    tooltip = common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING)
    builder = timelines.Panel().legend(_legend()).tooltip(tooltip).show_points(looks.VisibilityMode.NEVER)
    builder.draw_style(looks.GraphDrawStyle.LINE).line_width(1).fill_opacity(15).axis_soft_min(0)
    return builder.axis_soft_max(1) if panel.unit in _WHOLES else builder


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().show_legend(True).display_mode(looks.LegendDisplayMode.LIST)
    return legend.placement(looks.LegendPlacement.BOTTOM).calcs([])


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _dressed(builder: B, panel: Panel, *, instant: bool = False) -> B:
    """What every kind has: texts, unit, queries, colours."""
    queries = [Query(panel.queries, panel.title)] if isinstance(panel.queries, str) else panel.queries
    builder.title(panel.title).description(panel.about).unit(panel.unit).datasource(DATASOURCE)
    steps = [models.Threshold(value=value, color=colour) for value, colour in panel.steps.items()]
    builder.thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    builder.no_value(panel.idle[0]).mappings(_mappings(panel))
    if any(query.legend == BY_MODULE for query in queries):  # a module has the same colour in all panels
        builder.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    for ref_id, query in zip("ABCDEF", queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref_id)
        target = target.instant() if instant else target.range()
        builder.with_target(target.datasource(DATASOURCE))
    for name, colour in panel.colours.items():
        fixed = {"mode": "fixed", "fixedColor": colour}
        builder.override_by_name(name, [models.DynamicConfigValue(id_val="color", value=fixed)])
    return builder


def _mappings(panel: Panel) -> list[models.ValueMapping]:
    text, colour = panel.idle
    absent = models.DashboardSpecialValueMapOptions(
        match=models.SpecialValueMatch.NULL, result=models.ValueMappingResult(text=text, color=colour)
    )
    shown = {str(key): models.ValueMappingResult(text=name, color=col) for key, (name, col) in panel.values.items()}
    return [*([models.ValueMap(options=shown)] if shown else []), models.SpecialValueMap(options=absent)]
