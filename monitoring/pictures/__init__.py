"""Pictures of the dashboards without Grafana: ``python -m monitoring.pictures`` (``make pictures``).

`board` reads a dashboard's JSON, `prometheus` asks its queries (`substitute` fills in their variables), `views` turn
the answers into what `page` inlines into an HTML page, where `page.js` and uPlot draw it; `browser` takes its picture.
All that can be wrong (names, units, colours, ticks) is decided here in Python; the page's script only draws.
"""
