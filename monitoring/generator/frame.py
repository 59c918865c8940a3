"""What all dashboards share: names, variables, annotations, links between them, and the grid."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import attrs
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from ironpost_core.metrics import CONTAINER_GUARD_ISOLATIONS_TOTAL, DAEMON_BUILD_INFO, DAEMON_CONFIG_RELOADS_TOTAL
from monitoring.generator.panels import DATASOURCE, Builder, Panel
from monitoring.generator.queries import FAILURE, SUCCESS, event, values_of

#: Uid and name of the data source that `provisioning/` makes.
DATASOURCE_UID, DATASOURCE_NAME = "ironpost-prometheus", "Prometheus"
TAG = "ironpost"
GRID_WIDTH = 24
OVERVIEW, LOG_PIPELINE, SECURITY, PLUGINS = (
    "ironpost-overview",
    "ironpost-log-pipeline",
    "ironpost-security",
    "ironpost-plugins",
)
TITLES = {
    OVERVIEW: "Ironpost Overview",
    LOG_PIPELINE: "Ironpost Log Pipeline",
    SECURITY: "Ironpost Security",
    PLUGINS: "Ironpost Plugins",
}


@attrs.frozen
class Row:
    """Panels side by side, and their common height in units of the grid."""

    height: int
    panels: Sequence[Panel]


def dashboard(uid: str, about: str, rows: Sequence[Row]) -> str:
    """A dashboard as Grafana's JSON, the same bytes for the same input.

    Raises:
        ValueError: a row is wider than the grid.
    """
    made = build.Dashboard(TITLES[uid]).uid(uid).description(about).tags([TAG]).editable()
    made.time("now-1h", "now").refresh("30s").timezone("browser").tooltip(models.DashboardCursorSync.CROSSHAIR)
    made.variables([_datasource(), _instance()]).annotations(list(_annotations())).link(_others())
    for panel in _placed(rows):
        made.with_panel(panel)
    return json.dumps(made.build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _placed(rows: Sequence[Row]) -> Iterator[Builder]:
    number, top = 1, 0
    for row in rows:
        left = 0
        for panel in row.panels:
            builder = panel.draw(panel).id(number)
            if panel.link:
                builder.links([_link_to(panel.link)])
            yield builder.grid_pos(models.GridPos(h=row.height, w=panel.width, x=left, y=top))
            number, left = number + 1, left + panel.width
        if left > GRID_WIDTH:
            raise ValueError(f"a row of width {left} does not fit the grid's {GRID_WIDTH}")
        top += row.height


def _link_to(uid: str) -> build.DashboardLink:
    address = f"/d/{uid}?${{__url_time_range}}&${{__all_variables}}"
    return build.DashboardLink(TITLES[uid]).type(models.DashboardLinkType.LINK).url(address)


def _others() -> build.DashboardLink:
    link = build.DashboardLink("Ironpost").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.include_vars(True).keep_time(True)


def _datasource() -> build.DatasourceVariable:
    default = models.VariableOption(selected=True, text=DATASOURCE_NAME, value=DATASOURCE_UID)
    return build.DatasourceVariable("datasource").label("Data source").type("prometheus").current(default)


def _instance() -> build.QueryVariable:
    everything = models.VariableOption(selected=True, text=["All"], value=["$__all"])
    variable = build.QueryVariable("instance").label("Host").datasource(DATASOURCE)
    variable.query({"query": values_of(DAEMON_BUILD_INFO, "instance"), "refId": "instance", "qryType": 1})
    variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)
    return variable.multi(True).include_all(True).all_value(".+").current(everything)


def _annotations() -> Iterator[build.AnnotationQuery]:
    marks = (
        ("Isolations", "purple", event(CONTAINER_GUARD_ISOLATIONS_TOTAL, result=SUCCESS)),
        ("Failed isolations", "red", event(CONTAINER_GUARD_ISOLATIONS_TOTAL, result=FAILURE)),
        ("Reloads", "blue", event(DAEMON_CONFIG_RELOADS_TOTAL, result=SUCCESS)),
        ("Failed reloads", "orange", event(DAEMON_CONFIG_RELOADS_TOTAL, result=FAILURE)),
    )
    for name, colour, expr in marks:
        yield build.AnnotationQuery().name(name).datasource(DATASOURCE).enable(True).icon_color(colour).expr(expr)
