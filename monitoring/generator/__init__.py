"""Writes the Grafana dashboards from the metric catalogue: ``python -m monitoring.generator`` (``make dashboards``).

`queries` speaks PromQL, `panels` draws, `frame` puts panels into a dashboard; then one module a dashboard.
Imports the core's catalogue and nothing else of ironpost.
"""
