"""What the metrics say, read together so that the book of lines is in balance at every scrape."""

from __future__ import annotations

from collections.abc import Sequence

from ironpost_core import metrics as catalogue
from ironpost_core.instruments import Reading
from ironpost_logpipe.buffer import Tally
from ironpost_logpipe.listening import Listener


def reading(tally: Tally, *, rules: int, evictions: int, gaps: int, listeners: Sequence[Listener] = ()) -> Reading:
    """Everything but the histogram, which is an instrument."""
    errors: dict[tuple[str, ...], float] = {
        (format_,): float(tally.parse_errors.get(format_, 0)) for format_ in catalogue.PARSER_FORMATS
    }
    refused: dict[tuple[str, ...], float] = {
        (reason,): float(sum(listener.refused[reason] for listener in listeners)) for reason in catalogue.REFUSALS
    }
    return {
        catalogue.LOG_PIPELINE_LOGS_COLLECTED_TOTAL: float(tally.collected),
        catalogue.LOG_PIPELINE_LOGS_PROCESSED_TOTAL: float(tally.processed),
        catalogue.LOG_PIPELINE_PARSE_ERRORS_TOTAL: errors,
        catalogue.LOG_PIPELINE_LOGS_DROPPED_TOTAL: float(tally.dropped),
        catalogue.LOG_PIPELINE_BUFFER_SIZE: float(tally.buffered),
        catalogue.LOG_PIPELINE_RULE_MATCHES_TOTAL: float(tally.matches),
        catalogue.LOG_PIPELINE_ALERTS_SENT_TOTAL: float(tally.alerts),
        catalogue.LOG_PIPELINE_RULES_LOADED: float(rules),
        catalogue.LOG_PIPELINE_THRESHOLD_EVICTIONS_TOTAL: float(evictions),
        catalogue.LOG_PIPELINE_SOCKET_DROPS_TOTAL: float(sum(listener.socket_drops for listener in listeners)),
        catalogue.LOG_PIPELINE_REFUSED_SENDERS_TOTAL: refused,
        catalogue.LOG_PIPELINE_FRAMING_ERRORS_TOTAL: float(sum(listener.framing_errors for listener in listeners)),
        catalogue.LOG_PIPELINE_FILES_GAPS_TOTAL: float(gaps),
    }
