from __future__ import annotations

import pytest

from ironpost_core import metrics as m
from monitoring.generator import queries

CHOSEN = 'instance=~"$instance"'


def test_a_counter_is_read_by_its_rate_a_gauge_as_it_is():
    packets = f"ironpost_ebpf_protocol_packets_total{{{CHOSEN}}}"
    assert queries.rate(m.EBPF_PROTOCOL_PACKETS_TOTAL) == f"sum(rate({packets}[5m]))"
    assert (
        queries.rate(m.EBPF_PROTOCOL_PACKETS_TOTAL, "1m", by="protocol") == f"sum by (protocol) (rate({packets}[1m]))"
    )
    assert queries.increase(m.EBPF_PROTOCOL_PACKETS_TOTAL, by="instance, protocol") == (
        f"sum by (instance, protocol) (increase({packets}[5m]))"
    )
    found = f"ironpost_sbom_scanner_cves_found{{{CHOSEN}"
    assert queries.total(m.SBOM_SCANNER_CVES_FOUND, severity="high") == f'sum({found}, severity="high"}})'
    assert queries.least(m.DAEMON_PLUGIN_UP, by="module") == (
        f"min by (module) (ironpost_daemon_plugin_up{{{CHOSEN}}})"
    )


def test_a_quantile_is_made_of_buckets_summed_by_their_bound_and_is_nothing_while_idle():
    buckets = f"ironpost_sbom_scanner_scan_duration_seconds_bucket{{{CHOSEN}}}"
    assert queries.quantile(0.95, m.SBOM_SCANNER_SCAN_DURATION_SECONDS, "26h") == (
        f"histogram_quantile(0.95, sum by (le) (rate({buckets}[26h]))) >= 0"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: queries.rate(m.EBPF_PACKETS_PER_SECOND),
        lambda: queries.increase(m.SBOM_SCANNER_SCAN_DURATION_SECONDS),
        lambda: queries.total(m.EBPF_PACKETS_TOTAL),
        lambda: queries.quantile(0.5, m.EBPF_PACKETS_TOTAL),
        lambda: queries.rate(m.EBPF_PACKETS_TOTAL, by="protocol"),
        lambda: queries.total(m.SBOM_SCANNER_CVES_FOUND, by="severity, pod"),
        lambda: queries.total(m.SBOM_SCANNER_CVES_FOUND, severity="catastrophic"),
        lambda: queries.total(m.SBOM_SCANNER_CVES_FOUND, protocol="tcp"),
        lambda: queries.event(m.DAEMON_CONFIG_RELOADS_TOTAL, result="perhaps"),
    ],
)
def test_what_the_catalogue_does_not_have_is_an_error(wrong):
    with pytest.raises(ValueError, match=r"is a|has no label|no series has"):
        wrong()


def test_an_unknown_metric_is_an_error():
    with pytest.raises(KeyError):
        queries.total("ebpf_packets_lost")


def test_a_process_metric_is_that_of_ironpost_alone():
    build = f"ironpost_daemon_build_info{{{CHOSEN}}}"
    assert queries.of_process("process_open_fds") == f"process_open_fds{{{CHOSEN}}} and on (job, instance) {build}"
    assert queries.of_process("process_cpu_seconds_total", window="5m") == (
        f"rate(process_cpu_seconds_total{{{CHOSEN}}}[5m]) and on (job, instance) {build}"
    )
