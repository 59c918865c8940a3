"""Rules are changed under a running daemon while a log is written."""

from __future__ import annotations

import threading
from pathlib import Path

from daemon_process import DaemonProcess

RULE = """
id: {id}
title: T
severity: low
detection: {{conditions: [{{field: message, modifier: startswith, value: '{text} '}}]}}
threshold: {{by: message, count: 2, timeframe: 1h}}
"""


def names_the_broken_file(daemon: DaemonProcess) -> bool:
    (found,) = [each for each in daemon.ironpost_json("plugins") if each["name"] == "logpipe"]
    return "kept.yaml:2: is not YAML" in found["reason"]


def test_reloads_lose_no_line_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    log, rules = tmp_path / "app.log", tmp_path / "rules"
    rules.mkdir()
    log.touch()
    (rules / "kept.yaml").write_text(RULE.format(id="kept", text="MINE"))
    config = f"""
[log_pipeline]
packs = []
rule_dirs = ["{rules}"]
[[log_pipeline.sources]]
type = "file"
paths = ["{log}"]
format = "plain"
"""
    enough, lines = threading.Event(), 0

    def write() -> None:
        nonlocal lines
        with log.open("ab", buffering=0) as file:
            while not enough.wait(0.002) or lines % 2:
                file.write(b"".join(b"MINE %d\n" % (number // 2) for number in range(lines, lines + 5)))
                lines += 5

    with DaemonProcess(tmp_path, config) as daemon:
        daemon.until(lambda: daemon.ironpost_json("status")["plugins"], "the log is followed")
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(4):
                broken = number % 2 == 0
                (rules / "kept.yaml").write_text("id: [" if broken else RULE.format(id="kept", text="MINE"))
                (rules / "new.yaml").write_text(RULE.format(id=f"new-{number}", text="OTHER"))
                assert daemon.ironpost("reload").returncode == 0
                assert daemon.metrics()["ironpost_log_pipeline_rules_loaded"] == 2
                daemon.until(lambda b=broken: names_the_broken_file(daemon) is b, f"health after reload {number}")
        finally:
            enough.set()
            writer.join()
        processed = "ironpost_log_pipeline_logs_processed_total"
        daemon.until(lambda: daemon.metrics()[processed] == lines, "every line is processed")
        assert lines > 1000
        # Pairs of equal lines: a window that a reload had lost would be an alert that is missing.
        assert daemon.metrics()["ironpost_log_pipeline_alerts_sent_total"] == lines // 2
        assert daemon.terminate() == 0
