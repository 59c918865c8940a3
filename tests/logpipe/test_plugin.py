from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from certificates import certificate
from ironpost_core.alerts import Key, Observable, Trust
from ironpost_core.errors import ActionError, PluginError
from ironpost_core.hookspecs import State
from ironpost_core.metrics import catalogue_of
from ironpost_core.testing import CollectingPublisher, PluginRun
from ironpost_logpipe import LogpipePlugin
from logpipe.helpers import failed

OWN = (
    "id: mine\ntitle: T\nseverity: low\ndetection: {conditions: [{field: message, modifier: contains, value: MINE}]}\n"
)


def run(config: dict[str, Any], **changes: Any) -> PluginRun:
    return PluginRun(LogpipePlugin, name="logpipe", config=config, **changes)


def log_of(path: Path, **changes: Any) -> dict[str, Any]:
    return {"sources": [{"type": "file", "paths": [str(path)], "start": "beginning"}], **changes}


def attack(path: Path, count: int, first: int = 0) -> None:
    with path.open("ab") as file:
        file.write(b"".join(failed(first + second) + b"\n" for second in range(count)))


def processed(running: PluginRun, count: int) -> None:
    def done() -> bool:
        running.clock.advance(0.3)
        return running.metric("log_pipeline_logs_processed_total") == count

    running.wait_for(done)


def test_every_metric_is_there_before_anything_happens() -> None:
    with run({"enabled": False}, start=False) as running:
        for spec in catalogue_of("logpipe"):
            name = spec.name + ("_count" if spec.kind == "histogram" else "")
            labels = {label: values[0] for label, values in spec.labels.items()}
            assert running.metric(name, **labels) == 0
        assert running.health().state is State.DEGRADED


def test_a_log_becomes_an_alert_and_a_restart_goes_on(tmp_path: Path) -> None:
    log, publisher = tmp_path / "auth.log", CollectingPublisher()
    attack(log, 4)
    with run(log_of(log), publisher=publisher) as running:
        processed(running, 4)
        assert running.health().state is State.HEALTHY, running.health()
        assert running.health().details["sources"][0]["position"] == log.stat().st_size
    assert not publisher.alerts
    attack(log, 1, first=4)
    with run(log_of(log), publisher=publisher) as running:
        processed(running, 1)
        running.wait_for(lambda: running.metric("log_pipeline_alerts_sent_total") == 1)
        assert running.metric("log_pipeline_rule_matches_total") == 2  # guessing, and spraying
        assert running.metric("log_pipeline_processing_duration_seconds_count") >= 1
        assert running.metric("log_pipeline_rules_loaded") == 10
        assert running.metric("log_pipeline_buffer_size") == 0
    (alert,) = publisher.alerts
    assert alert.observable(Key.SOURCE_IP) == "203.0.113.7"
    assert alert.count == 5


def test_a_containers_log_becomes_an_alert_that_names_it(tmp_path: Path) -> None:
    container = "0123456789abcdef" * 4
    log, publisher = tmp_path / container / f"{container}-json.log", CollectingPublisher()
    log.parent.mkdir()
    lines = [{"log": failed(n).decode() + "\n", "stream": "stdout", "time": "2026-11-24T22:38:51Z"} for n in range(5)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines) + "garbage\n")
    source = {"type": "docker", "paths": [str(tmp_path / "*" / "*-json.log")], "start": "beginning"}
    with run({"sources": [source]}, publisher=publisher) as running:
        processed(running, 5)
        running.wait_for(lambda: running.metric("log_pipeline_alerts_sent_total") == 1)
        assert running.metric("log_pipeline_parse_errors_total", format="json") == 1
    (alert,) = publisher.alerts
    assert alert.observables[Key.CONTAINER_ID] == Observable(Key.CONTAINER_ID, container, Trust.LOCAL)
    assert alert.observables[Key.SOURCE_IP].trust is Trust.CLAIMED


def test_datagrams_become_claimed_alerts(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    source = {"type": "syslog", "listen": f"127.0.0.1:{port}", "format": "syslog"}
    with run({"sources": [source]}) as running:
        running.wait_for(lambda: running.health().details["sources"][0]["state"] == "listening")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for line in (b"", b"\xff\0", b"no syslog", *(b"<38>" + failed(second) for second in range(5))):
                sender.sendto(line, ("127.0.0.1", port))
        processed(running, 5)
        assert running.metric("log_pipeline_parse_errors_total", format="syslog") == 3
        assert running.metric("log_pipeline_logs_collected_total") == 8
        running.wait_for(lambda: len(running.alerts) == 1)
    assert running.alerts[0].observables[Key.SOURCE_IP].trust.value == "claimed"


def test_streams_become_alerts_and_what_they_do_wrong_is_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    source = {"type": "syslog", "protocol": "tcp", "listen": f"127.0.0.1:{port}", "max_connections": 1}
    with run({"sources": [source]}) as running:
        running.wait_for(lambda: running.health().details["sources"][0]["state"] == "listening")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sender:
            for line in (b"<38>" + failed(second) for second in range(5)):
                sender.sendall(b"%d %s" % (len(line), line))
            processed(running, 5)
            with socket.create_connection(("127.0.0.1", port), timeout=10) as further:
                assert further.recv(1) == b""
            sender.sendall(b"no count")
            assert sender.recv(1) == b""
        running.wait_for(lambda: running.metric("log_pipeline_framing_errors_total") == 1)
        assert running.metric("log_pipeline_refused_senders_total", reason="connections") == 1
        running.wait_for(lambda: len(running.alerts) == 1)
    assert running.alerts[0].observables[Key.SOURCE_IP].trust.value == "claimed"


def test_a_listener_without_its_certificate_says_so_and_the_others_go_on(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    attack(log, 5)
    keys = {"tls_cert": str(tmp_path / "gone.crt"), "tls_key": str(tmp_path / "gone.key")}
    config = log_of(log)
    config["sources"].append({"type": "syslog", "protocol": "tls", "listen": "127.0.0.1:0", **keys})
    with run(config) as running:
        processed(running, 5)
        running.wait_for(lambda: "gone.crt can't be read" in running.health().reason)
        assert running.health().state is State.DEGRADED
        assert "set tls_cert in log_pipeline.sources" in running.health().reason
        running.wait_for(lambda: len(running.alerts) == 1)


def test_what_is_missing_is_said_and_the_rest_runs(tmp_path: Path) -> None:
    log, rules = tmp_path / "auth.log", tmp_path / "rules"
    attack(log, 5)
    rules.mkdir()
    (rules / "broken.yaml").write_text("id: x\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        config = log_of(log, rule_dirs=[str(rules)])
        config["sources"].append({"type": "syslog", "listen": listen})
        with run(config) as running:
            processed(running, 5)
            running.wait_for(lambda: "can't listen" in running.health().reason)
            health = running.health()
            assert health.state is State.DEGRADED
            assert "broken.yaml:1" in health.reason
            assert "more problems in rules" not in health.reason
            assert len(running.alerts) == 1


def test_a_reload_takes_over_rules_and_settings(tmp_path: Path) -> None:
    log, rules = tmp_path / "auth.log", tmp_path / "rules"
    rules.mkdir()
    attack(log, 4)
    config = log_of(log, rule_dirs=[str(rules)])
    with run(config) as running:
        processed(running, 4)
        (rules / "mine.yaml").write_text(OWN)
        assert running.act("reload-rules") == {"rules": 11, "problems": []}
        with log.open("ab") as file:
            file.write(b"Nov  3 10:00:09 web1 app[1]: MINE\n")
        processed(running, 5)
        running.wait_for(lambda: [alert.rule for alert in running.alerts] == ["mine"])
        running.reload(config | {"override": [{"rule": "mine", "status": "disabled"}], "batch_size": 7})
        assert running.metric("log_pipeline_rules_loaded") == 10
        attack(log, 1, first=10)  # the windows of rules that did not change are kept
        processed(running, 6)
        running.wait_for(lambda: len(running.alerts) == 2)


@pytest.mark.real
def test_a_reload_reads_the_certificate_again(tmp_path: Path) -> None:
    pair = certificate(tmp_path, "server")
    keys = {"tls_cert": str(pair.certificate), "tls_key": str(pair.key)}
    config = {"sources": [{"type": "syslog", "protocol": "tls", "listen": "127.0.0.1:0", **keys}]}
    with run(config) as running:
        running.wait_for(lambda: running.health().details["sources"][0]["state"] == "listening")
        pair.certificate.write_text("half of a cer")
        running.reload(config)
        running.wait_for(lambda: turned(running) and "can't be used together" in running.health().reason)
        certificate(tmp_path, "server")
        running.reload(config)
        running.wait_for(lambda: turned(running) and running.health().state is State.HEALTHY)


def turned(running: PluginRun) -> bool:
    """Let a second pass, so that what is looked at once a second is."""
    running.clock.advance(1)
    return True


def test_a_reload_with_other_sources_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    with run(log_of(tmp_path / "auth.log")) as running:
        with pytest.raises(PluginError, match="sources can't change"):
            running.reload({})
        assert running.metric("log_pipeline_rules_loaded") == 10


def test_a_broken_file_keeps_its_rules_and_the_others_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log, rules = tmp_path / "auth.log", tmp_path / "rules"
    rules.mkdir()
    log.touch()
    (rules / "a.yaml").write_text(OWN)
    (rules / "b.yaml").write_text(OWN.replace("mine", "other").replace("MINE", "OTHER"))
    with run(log_of(log, rule_dirs=[str(rules)])) as running:
        (rules / "a.yaml").write_text(OWN.replace("title", "titel"))
        (rules / "b.yaml").write_text(OWN.replace("mine", "new").replace("MINE", "NEW"))
        answer = running.act("reload-rules")
        assert answer["rules"] == 12
        assert any("a.yaml:2: titel: unknown key" in problem for problem in answer["problems"])
        health = running.health()
        assert health.state is State.DEGRADED
        assert "a.yaml:2" in health.reason
        assert health.details["rules"]["files_kept_from_before"] == [str(rules / "a.yaml")]
        assert "a.yaml stay as they were" in caplog.text
        with log.open("ab") as file:
            file.write(b"MINE\nOTHER\nNEW\n")
        processed(running, 3)
        running.wait_for(lambda: [alert.rule for alert in running.alerts] == ["mine", "new"])
        (rules / "a.yaml").write_text(OWN.replace("mine", "mended").replace("MINE", "MENDED"))
        assert running.act("reload-rules") == {"rules": 12, "problems": []}
        assert running.health().details["rules"]["files_kept_from_before"] == []
        with log.open("ab") as file:
            file.write(b"MINE\nMENDED\n")
        processed(running, 5)
        running.wait_for(lambda: [alert.rule for alert in running.alerts] == ["mine", "new", "mended"])


def test_no_line_is_lost_while_rules_are_reloaded_again_and_again(tmp_path: Path) -> None:
    log, rules = tmp_path / "auth.log", tmp_path / "rules"
    rules.mkdir()
    log.touch()
    (rules / "a.yaml").write_text(OWN)
    count, written, reloads = 30_000, threading.Event(), 0

    def write() -> None:
        with log.open("ab") as file:
            for number in range(0, count, 100):
                file.write(b"".join(b"MINE %d\n" % each for each in range(number, number + 100)))
                file.flush()
        written.set()

    with run(log_of(log, rule_dirs=[str(rules)])) as running:
        writer = threading.Thread(target=write)
        writer.start()
        try:
            while not written.is_set() or running.metric("log_pipeline_logs_processed_total") < count:
                broken = OWN.replace("title", "titel") if reloads % 3 == 2 else OWN
                (rules / "a.yaml").write_text(broken)
                (rules / "b.yaml").write_text(OWN.replace("mine", f"other-{reloads}").replace("MINE", "OTHER"))
                assert running.act("reload-rules")["rules"] == 12
                running.clock.advance(0.3)
                reloads += 1
        finally:
            writer.join()
        assert reloads > 5
        running.wait_for(lambda: len(running.alerts) == count)
        assert [alert.evidence[0] for alert in running.alerts] == [f"MINE {number}" for number in range(count)]
        assert running.metric("log_pipeline_logs_collected_total") == count


def test_without_a_log_or_a_rule_it_is_degraded(tmp_path: Path) -> None:
    with run(log_of(tmp_path / "none", packs=[])) as running:
        running.wait_for(lambda: "no readable log among" in running.health().reason)
        assert "no rule is in force" in running.health().reason


def test_rules_can_not_be_reloaded_before_the_start() -> None:
    with run({}, start=False) as running, pytest.raises(ActionError, match="not running"):
        running.act("reload-rules")


def test_the_book_is_in_balance_at_every_scrape(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    attack(log, 30_000)
    with run(log_of(log)) as running:
        seen = 0.0
        while seen < 30_000:
            families = running.metrics.families(running.metrics.readers[0]())
            values = {
                sample.name.removeprefix("ironpost_log_pipeline_"): sample.value
                for family in families
                for sample in family.samples
                if not sample.labels
            }
            seen = values["logs_processed_total"]
            rest = values["logs_dropped_total"] + values["buffer_size"]
            assert values["logs_collected_total"] == seen + rest
