from __future__ import annotations

import logging
import threading

from ironpost_core.clock import SystemClock
from ironpost_core.metrics import catalogue_of
from ironpost_logpipe.buffer import Buffer, Tally
from ironpost_logpipe.config import SyslogSource
from ironpost_logpipe.listening import Listener
from ironpost_logpipe.reading import reading
from ironpost_logpipe.udp import UdpListener


def listener(drops: int, framing_errors: int, refused: int) -> Listener:
    made = UdpListener(
        SyslogSource(),
        buffer=Buffer(10, 10),
        clock=SystemClock(),
        stopping=threading.Event(),
        log=logging.getLogger("test"),
    )
    made.socket_drops, made.framing_errors, made.refused["connections"] = drops, framing_errors, refused
    return made


def test_it_speaks_for_every_metric_but_the_histogram() -> None:
    tally = Tally(collected=10, processed=5, parse_errors={"syslog": 2}, dropped=1, buffered=2)
    listeners = [listener(4, 2, 7), listener(1, 0, 1)]
    read = reading(tally, rules=3, evictions=4, gaps=6, listeners=listeners)
    assert read["log_pipeline_files_gaps_total"] == 6
    assert set(read) == {spec.name for spec in catalogue_of("logpipe") if spec.kind != "histogram"}
    assert read["log_pipeline_parse_errors_total"] == {("syslog",): 2.0, ("json",): 0.0, ("unknown",): 0.0}
    assert read["log_pipeline_socket_drops_total"] == 5
    assert read["log_pipeline_framing_errors_total"] == 2
    assert read["log_pipeline_refused_senders_total"] == {("address",): 0.0, ("connections",): 8.0, ("tls",): 0.0}
