from __future__ import annotations

from ironpost_core.metrics import catalogue_of
from ironpost_logpipe.buffer import Tally
from ironpost_logpipe.reading import reading


def test_it_speaks_for_every_metric_but_the_histogram() -> None:
    tally = Tally(collected=10, processed=5, parse_errors={"syslog": 2}, dropped=1, buffered=2)
    read = reading(tally, rules=3, evictions=4, socket_drops=5)
    assert set(read) == {spec.name for spec in catalogue_of("logpipe") if spec.kind != "histogram"}
    assert read["log_pipeline_parse_errors_total"] == {("syslog",): 2.0, ("json",): 0.0, ("unknown",): 0.0}
