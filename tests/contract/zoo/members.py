"""The broken plugins: what each does, and what the daemon must say of it.

A member's name is its plugin's, its module is `zoo_<name>`, its distribution `zoo-<name>`.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from contract.zoo.site import write_distribution


@attrs.frozen(kw_only=True)
class Member:
    """A broken plugin.

    Attributes:
        name: the entry point's name.
        body: its module's text.
        says: a regular expression that its reason must hold; empty for one that is merely odd and stays well.
        up: what `ironpost_daemon_plugin_up` must be.
        target: what the entry point names, when it is not the module's class `Zoo`.
    """

    name: str
    body: str = ""
    says: str = ""
    up: int = 0
    target: str = ""

    def write(self, site: Path) -> None:
        """Install it in this folder."""
        module = f"zoo_{self.name}"
        plugins = {self.name: self.target or f"{module}:Zoo"}
        write_distribution(site, f"zoo-{self.name.replace('_', '-')}", module, self.body, plugins=plugins)


FAIL_TO_LOAD = (
    Member(
        name="package_gone",
        target="zoo_that_was_uninstalled:Zoo",
        says="No module named 'zoo_that_was_uninstalled'.*uninstall zoo-package-gone",
    ),
    Member(name="class_gone", says="no attribute 'Zoo'"),
    Member(name="raises_at_import", body="raise RuntimeError('zoo at import')", says="RuntimeError: zoo at import"),
    Member(name="exits_at_import", body="sys.exit(3)", says="SystemExit: 3"),
    Member(name="broken_syntax", body="class Zoo(:", says="SyntaxError"),
    Member(name="no_class", body="Zoo = 42", says="is no class"),
    Member(name="not_instantiable", body="class Zoo:\n    def __init__(self, needed): pass", says="needed"),
    Member(
        name="constructor_raises",
        body="""\
        class Zoo:
            def __init__(self): raise ValueError("zoo in constructor")
        """,
        says="ValueError: zoo in constructor",
    ),
    Member(
        name="misspelt_hook",
        body="""\
        class Zoo(Plugin):
            def ironpost_strat(self, context): pass
        """,
        says="ironpost_strat",
    ),
    Member(
        name="wrong_argument",
        body="""\
        class Zoo(Plugin):
            def ironpost_start(self, context, more): pass
        """,
        says="more",
    ),
    Member(name="newer_contract", body="class Zoo(Plugin): contract = (2, 3)", says="contract 2 to 3"),
    Member(name="odd_contract", body="class Zoo(Plugin): contract = 'new'", says="contract is 'new'"),
    Member(
        name="config_raises",
        body="""\
        class Zoo(Plugin):
            def ironpost_config(self): raise KeyError("zoo in config")
        """,
        says="KeyError: 'zoo in config'",
    ),
    Member(
        name="hook_is_raising_property",
        body="""\
        class Zoo(Plugin):
            ironpost_start = property(lambda self: 1 / 0)
        """,
        says="ZeroDivisionError",
    ),
    Member(
        name="default_raises",
        body="""\
        @attrs.frozen
        class Config:
            x: int = setting(factory=lambda: 1 / 0, help="X")
        class Zoo(Plugin):
            def ironpost_config(self): return Section("default_raises", Config)
        """,
        says="ZeroDivisionError",
    ),
    Member(
        name="section_taken",
        body="""\
        @attrs.frozen
        class Config: pass
        class Zoo(Plugin):
            def ironpost_config(self): return Section("sbom", Config)
        """,
        says=r"section \[sbom\].*ironpost-plugin-sbom",
    ),
    Member(
        name="section_of_daemon",
        body="""\
        @attrs.frozen
        class Config: pass
        class Zoo(Plugin):
            def ironpost_config(self): return Section("metrics", Config)
        """,
        says=r"section \[metrics\]",
    ),
    Member(
        name="section_no_attrs",
        body="""\
        class Zoo(Plugin):
            def ironpost_config(self): return Section("section_no_attrs", dict)
        """,
        says="section_no_attrs",
    ),
    Member(
        name="metric_foreign",
        body="""\
        class Zoo(Plugin):
            def ironpost_metrics(self):
                return [MetricSpec(name="log_pipeline_logs_collected_total", kind="counter", help="Mine")]
        """,
        says="log_pipeline_logs_collected_total.*must begin with metric_foreign_",
    ),
    Member(
        name="metric_twice",
        body="""\
        class Zoo(Plugin):
            def ironpost_metrics(self):
                return [MetricSpec(name="metric_twice_x_total", kind="counter", help="Mine") for _ in range(2)]
        """,
        says="taken by the plugin itself",
    ),
    Member(
        name="log",
        body="""\
        class Zoo(Plugin):
            def ironpost_metrics(self): return [MetricSpec(name="log_x", kind="gauge", help="Mine")]
        """,
        says="reserved",
    ),
    Member(
        name="metric_bad_spec",
        body="""\
        class Zoo(Plugin):
            def ironpost_metrics(self): return [MetricSpec(name="metric_bad_spec_x", kind="counter", help="Mine")]
        """,
        says="end in '_total'",
    ),
    Member(
        name="actions_no_list",
        body="""\
        class Zoo(Plugin):
            def ironpost_actions(self): return "sing"
        """,
        says="return a sequence",
    ),
)

FAIL_TO_START = (
    Member(
        name="unprintable_start",
        body="""\
        class Evil(Exception):
            def __str__(self): raise self
        class Zoo(Plugin):
            def ironpost_start(self, context): raise Evil
        """,
        says="Evil",
    ),
    Member(
        name="raises_in_start",
        body="""\
        class Zoo(Plugin):
            def ironpost_start(self, context): raise OSError("zoo in start")
        """,
        says="OSError: zoo in start, at .*zoo_raises_in_start.py",
    ),
    Member(
        name="exits_in_start",
        body="""\
        class Zoo(Plugin):
            def ironpost_start(self, context): sys.exit("zoo says bye")
        """,
        says="SystemExit: zoo says bye",
    ),
    Member(
        name="interrupts_in_start",
        body="""\
        class Zoo(Plugin):
            def ironpost_start(self, context): raise KeyboardInterrupt
        """,
        says="KeyboardInterrupt",
    ),
)

RUN_BADLY = (
    Member(
        name="raises_in_health",
        body="""\
        class Zoo(Plugin):
            def ironpost_health(self): raise ValueError("zoo in health")
        """,
        says="ValueError: zoo in health",
        up=1,
    ),
    Member(
        name="exits_in_health",
        body="""\
        class Zoo(Plugin):
            def ironpost_health(self): sys.exit(4)
        """,
        says="SystemExit: 4",
        up=1,
    ),
    Member(
        name="odd_health",
        body="""\
        class Zoo(Plugin):
            def ironpost_health(self): return "fine"
        """,
        says="not a Health",
        up=1,
    ),
    Member(
        name="odd_details",
        body="""\
        class Zoo(Plugin):
            def ironpost_health(self): return Health(details={"zoo": object()})
        """,
        says="object is not JSON serializable",
        up=1,
    ),
    Member(
        name="odd_reason",
        body="""\
        class Zoo(Plugin):
            def ironpost_health(self): return Health(State.DEGRADED, "\\x1b[31m" + "zoo" * 100_000)
        """,
        says=r"^\\x1b\[31m(zoo){100,1000}",
        up=1,
    ),
    Member(
        name="unprintable_error",
        body="""\
        class Evil(BaseException):
            def __str__(self): raise self
            __repr__ = __str__
        class Zoo(Plugin):
            def ironpost_start(self, context): context.spawn("work", self.work)
            def work(self): raise Evil
            def ironpost_health(self): raise Evil
        """,
        says="Evil",
        up=1,
    ),
    Member(
        name="action_exits",
        body="""\
        @attrs.frozen
        class Go: pass
        class Zoo(Plugin):
            def ironpost_actions(self):
                return [
                    Action(name="exit", request=Go, run=lambda _: sys.exit(8), help="Exits."),
                    Action(name="hang", request=Go, run=lambda _: hang(), help="Hangs.", deadline=0.5),
                    Action(name="odd", request=Go, run=lambda _: object(), help="Returns no JSON."),
                ]
        """,
        up=1,
    ),
    Member(
        name="thread_dies",
        body="""\
        class Zoo(Plugin):
            def ironpost_start(self, context): context.spawn("work", self.work)
            def work(self): raise RuntimeError("zoo in thread")
        """,
        says="RuntimeError: zoo in thread",
        up=1,
    ),
    Member(
        name="thread_exits",
        body="""\
        class Zoo(Plugin):
            def ironpost_start(self, context): context.spawn("work", self.work)
            def work(self): sys.exit("zoo in thread")
        """,
        says="SystemExit: zoo in thread",
        up=1,
    ),
    Member(
        name="reader_raises",
        body="""\
        X = MetricSpec(name="reader_raises_x", kind="gauge", help="X")
        class Zoo(Plugin):
            def ironpost_metrics(self): return [X]
            def ironpost_start(self, context): context.metrics.read_with(self.read)
            def read(self): raise ValueError("zoo in reader")
        """,
        says="ValueError: zoo in reader",
        up=1,
    ),
    Member(
        name="reader_exits",
        body="""\
        X = MetricSpec(name="reader_exits_x", kind="gauge", help="X")
        class Zoo(Plugin):
            def ironpost_metrics(self): return [X]
            def ironpost_start(self, context): context.metrics.read_with(self.read)
            def read(self): raise SystemExit(5)
        """,
        says="SystemExit: 5",
        up=1,
    ),
    Member(
        name="reader_undeclared",
        body="""\
        X = MetricSpec(name="reader_undeclared_x", kind="gauge", help="X")
        class Zoo(Plugin):
            def ironpost_metrics(self): return [X]
            def ironpost_start(self, context): context.metrics.read_with(lambda: {"log_pipeline_buffer_size": 7})
        """,
        says="log_pipeline_buffer_size",
        up=1,
    ),
    Member(
        name="raises_in_alert",
        body="""\
        HEARD = MetricSpec(name="raises_in_alert_heard_total", kind="counter", help="Heard")
        class Zoo(Plugin):
            def ironpost_metrics(self): return [HEARD]
            def ironpost_start(self, context): self.context = context
            def ironpost_alert(self, alert):
                self.context.metrics.counter(HEARD).inc()
                raise ValueError("zoo in alert")
        """,
        up=1,
    ),
    Member(
        name="exits_in_alert",
        body="""\
        HEARD = MetricSpec(name="exits_in_alert_heard_total", kind="counter", help="Heard")
        class Zoo(Plugin):
            def ironpost_metrics(self): return [HEARD]
            def ironpost_start(self, context): self.context = context
            def ironpost_alert(self, alert):
                self.context.metrics.counter(HEARD).inc()
                sys.exit(6)
        """,
        up=1,
    ),
)

STOP_BADLY = (
    Member(
        name="raises_in_stop",
        body="""\
        class Zoo(Plugin):
            def ironpost_stop(self): raise ValueError("zoo in stop")
        """,
        up=1,
    ),
    Member(
        name="exits_in_stop",
        body="""\
        class Zoo(Plugin):
            def ironpost_stop(self): sys.exit(7)
        """,
        up=1,
    ),
    Member(
        name="thread_never_ends",
        body="""\
        class Zoo(Plugin):
            def ironpost_start(self, context): threading.Thread(target=hang, name="zoo").start()
        """,
        up=1,
    ),
    Member(
        name="ignores_stopping",
        body="""\
        class Zoo(Plugin):
            def ironpost_start(self, context): context.spawn("work", hang)
        """,
        up=1,
    ),
)

HANG = (
    Member(name="hangs_at_import", body="hang()", says="import did not return.*zoo_hangs_at_import.py:.*in hang"),
    Member(
        name="constructor_hangs",
        body="""\
        class Zoo:
            def __init__(self): hang()
        """,
        says="constructor did not return.*in hang",
    ),
    Member(
        name="config_hangs",
        body="""\
        class Zoo(Plugin):
            def ironpost_config(self): hang()
        """,
        says="did not return.*in hang",
    ),
    Member(
        name="hangs_in_start",
        body="""\
        class Zoo(Plugin):
            def ironpost_start(self, context): hang()
        """,
        says="starting for .*in hang",
        up=1,
    ),
    Member(
        name="hangs_in_health",
        body="""\
        class Zoo(Plugin):
            def ironpost_health(self): hang()
        """,
        says="ironpost_health did not return.*in hang",
        up=1,
    ),
    Member(
        name="reader_hangs",
        body="""\
        X = MetricSpec(name="reader_hangs_x", kind="gauge", help="X")
        class Zoo(Plugin):
            def ironpost_metrics(self): return [X]
            def ironpost_start(self, context): context.metrics.read_with(hang)
        """,
        says="late.*in hang",
        up=1,
    ),
    Member(
        name="hangs_in_alert",
        body="""\
        class Zoo(Plugin):
            def ironpost_alert(self, alert): hang()
        """,
        says="ironpost_alert has not returned for",
        up=1,
    ),
    Member(
        name="hangs_in_stop",
        body="""\
        class Zoo(Plugin):
            def ironpost_stop(self): hang()
        """,
        up=1,
    ),
)

#: Raises an alert at start, so that those who break on alerts get one.
HERALD = Member(
    name="herald",
    body="""\
    class Zoo(Plugin):
        def ironpost_start(self, context):
            now = datetime.now(UTC)
            for number in range(3):
                alert = Alert(rule="zoo-herald", title="Hear", plugin="logpipe", severity=Severity.LOW, time=now)
                context.alerts.publish(alert)
    """,
    up=1,
)

HERDS = {
    "load": FAIL_TO_LOAD,
    "start": FAIL_TO_START,
    "run": (*RUN_BADLY, HERALD),
    "stop": STOP_BADLY,
    "hang": (*HANG, HERALD),
}
