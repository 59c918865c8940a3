from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from ironpost_core import (
    Action,
    ConfigError,
    Context,
    Health,
    Key,
    MetricSpec,
    Plugin,
    PluginError,
    Section,
    Severity,
    State,
    Trust,
    setting,
    testing,
)
from ironpost_core.settings import between
from ironpost_core.testing import START, CollectingPublisher, FakeClock, PluginRun, an_alert

SONGS = MetricSpec(name="canary_songs_total", kind="counter", help="Songs sung", labels={"tree": ("oak", "elm")})
AGE = MetricSpec(name="canary_age", kind="gauge", help="Age in days")


@attrs.frozen(kw_only=True)
class Config:
    loudness: int = setting(default=1, help="How loud.", check=between(1, 11))


class Canary(Plugin[Config]):
    """Sings at every alert, and on a thread until it is stopped."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def ironpost_config(self):
        return Section(name="canary", type=Config, help="The canary.")

    def ironpost_metrics(self):
        return [SONGS, AGE]

    def ironpost_actions(self):
        return [Action(name="sing", request=Config, run=lambda request: {"sung": request.loudness}, help="Sing.")]

    def ironpost_start(self, context: Context[Config]):
        self.calls.append("start")
        self.context = context
        context.metrics.read_with(lambda: {AGE: 3})
        context.spawn("air", lambda: context.stopping.wait(10) and None)

    def ironpost_alert(self, alert):
        for _ in range(self.context.config.loudness):
            self.context.metrics.counter(SONGS).labels("oak").inc()
        self.context.alerts.publish(alert.follow_up(rule="canary-song"))
        self.context.alerts.checkpoint("heard", alert.id.encode())

    def ironpost_reload(self, config):
        if config.loudness == 11:
            raise ValueError("too loud")

    def ironpost_health(self):
        return Health(State.DEGRADED, "hoarse")

    def ironpost_stop(self):
        self.calls.append("stop")


class Bare:
    """Has no hook at all."""


def run_of(plugin: Any = Canary, **options: Any) -> PluginRun:
    return PluginRun(plugin, **({"name": "canary"} | options))


def failing(hook: str, base: type = Canary) -> type:
    def fail(self: object) -> None:
        raise LookupError(hook)

    return type("Failing", (base,), {hook: fail})


def test_the_example_in_the_docs(tmp_path):
    with PluginRun(Canary, name="canary", config={"loudness": 3}, folder=tmp_path) as run:
        run.deliver(an_alert())
        assert run.metric("canary_songs_total", tree="oak") == 3
        assert [alert.rule for alert in run.alerts] == ["canary-song"]
    example = (testing.__doc__ or "").split("Example::")[1].split("\n\n")[1]
    assert 'PluginRun(CanaryPlugin, name="canary", config={"loudness": 3}, folder=tmp_path)' in example


def test_a_whole_life():
    with run_of() as run:
        plugin = run.hooks.plugin
        assert (plugin.calls, run.context.name, run.context.log.name) == (["start"], "canary", "ironpost.canary")
        folder = run.context.state_dir
        assert folder.is_dir()
        assert run.health() == Health(State.DEGRADED, "hoarse")
        assert run.act("sing", loudness=5) == {"sung": 5}
        first = an_alert()
        run.deliver(first)
        assert (run.alerts[0].plugin, run.alerts[0].host) == ("canary", "test-host")
        assert run.context.alerts.last_checkpoint("heard") == first.id.encode()
        names = [thread.name for thread in threading.enumerate()]
        assert "ironpost-canary-air" in names
    assert plugin.calls == ["start", "stop"]
    assert "ironpost-canary-air" not in [thread.name for thread in threading.enumerate()]
    assert not folder.exists()


def test_a_plugin_without_hooks():
    with PluginRun(Bare()) as run:
        run.deliver(an_alert())
        assert (run.health(), run.context.config, run.alerts) == (Health(), None, [])


def test_a_restart_finds_folder_publisher_and_clock_again(tmp_path):
    publisher, clock = CollectingPublisher(), FakeClock()
    with run_of(folder=tmp_path, publisher=publisher, clock=clock) as run:
        run.deliver(an_alert(id="1"))
        clock.advance(60)
    with run_of(folder=tmp_path, publisher=publisher, clock=clock, start=False) as run:
        assert run.hooks.plugin.calls == []
        assert run.context.alerts.last_checkpoint("heard") == b"1"
        assert run.clock.now() == START + timedelta(minutes=1)
    assert (run.hooks.plugin.calls, tmp_path.is_dir()) == ([], True)


@pytest.mark.parametrize("data", [{"loudness": 0}, {"loudness": "3"}, {"volume": 3}])
def test_its_section_is_checked_as_strictly_as_by_the_daemon(data):
    with pytest.raises(ConfigError, match="canary"):
        run_of(config=data)
    with run_of() as run:
        with pytest.raises(ConfigError, match="canary"):
            run.reload(data)
        with pytest.raises(ConfigError, match="sing"):
            run.act("sing", **data)
        with pytest.raises(KeyError, match="fly"):
            run.act("fly")


def test_a_reload_is_accepted_or_refused():
    with run_of() as run:
        run.reload({"loudness": 2})
        with pytest.raises(ValueError, match="too loud"):
            run.reload({"loudness": 11})
        assert run.context.config == Config(loudness=2)


def test_a_reload_without_its_hook_is_refused():
    with PluginRun(Bare) as run, pytest.raises(PluginError, match="takes no changes while it runs"):
        run.reload({})


# -- what goes wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ([MetricSpec(name="robin_age", kind="gauge", help="Age")], "must begin with canary_"),
        ([MetricSpec(name="canary_age", kind="gauge", help="Age", labels={"module": ()})], "label without values"),
        ([AGE, AGE], "export ironpost_canary_age "),
        (
            [
                MetricSpec(name="canary_air", kind="histogram", help="Time in the air", buckets=(1,)),
                MetricSpec(name="canary_air_count", kind="gauge", help="Clashes"),
            ],
            "export ironpost_canary_air_count ",
        ),
    ],
)
def test_metrics_that_the_daemon_would_refuse(specs, message):
    plugin = type("Wrong", (), {"ironpost_metrics": lambda self: specs})
    with pytest.raises(PluginError, match=message):
        run_of(plugin)


def test_a_section_that_the_daemon_would_refuse():
    with pytest.raises(PluginError, match=r"\[canary\], which is not its own"):
        PluginRun(type("Robin", (Canary,), {"ironpost_metrics": lambda self: ()}), name="robin")


def test_a_failing_start_comes_out_and_ends_what_it_began():
    class Late(Canary):
        def ironpost_start(self, context):
            super().ironpost_start(context)
            raise LookupError("lost")

    plugin = Late()
    with pytest.raises(LookupError, match="lost"), run_of(plugin):
        raise AssertionError("not reached")
    assert plugin.calls == ["start", "stop"]
    assert not plugin.context.state_dir.exists()
    assert "ironpost-canary-air" not in [thread.name for thread in threading.enumerate()]


def test_a_failing_stop_comes_out_after_the_threads_have_ended():
    with pytest.raises(LookupError, match="ironpost_stop"), run_of(failing("ironpost_stop")) as run:
        pass
    assert "ironpost-canary-air" not in [thread.name for thread in threading.enumerate()]
    assert not run.context.state_dir.exists()


@pytest.mark.parametrize("error", [ValueError("fell"), SystemExit(1)])
def test_what_a_thread_raises_comes_out_at_the_end(error):
    run = run_of().__enter__()
    spawn_raising(run, error)
    with pytest.raises(type(error)):
        run.__exit__(None, None, None)
    assert run.errors == [error]


def test_the_tests_own_error_is_not_hidden_by_that_of_a_thread():
    run = run_of().__enter__()
    spawn_raising(run, LookupError())
    assert run.__exit__(AssertionError, AssertionError("mine"), None) is None
    assert len(run.errors) == 1


def spawn_raising(run: PluginRun, error: BaseException) -> None:
    def fall() -> None:
        raise error

    run.context.spawn("fall", fall)
    run.wait_for(lambda: bool(run.errors))


def test_no_thread_is_started_once_it_is_stopping():
    with run_of() as run:
        run.stop()
        with pytest.raises(PluginError, match="no thread 'late' is started"):
            run.context.spawn("late", lambda: None)
        run.stop()
    assert run.hooks.plugin.calls == ["start", "stop"]


def test_a_thread_that_goes_on_after_the_stop(monkeypatch):
    monkeypatch.setattr(testing, "PATIENCE", 0.01)
    end = threading.Event()
    with pytest.raises(PluginError, match="thread ironpost-canary-deaf goes on"), run_of() as run:
        run.context.spawn("deaf", lambda: end.wait(10) and None)
    end.set()


def test_waiting_for_what_never_comes(monkeypatch):
    monkeypatch.setattr(testing, "PATIENCE", 0.02)
    with run_of() as run, pytest.raises(TimeoutError, match="does not hold"):
        run.wait_for(lambda: False)


def test_a_metric_that_is_not_there_names_its_neighbours():
    with run_of() as run:
        assert run.metric("canary_age") == 3
        with pytest.raises(KeyError, match=r"no sample canary_songs_total; there are .*'tree': 'elm'.*'tree': 'oak'"):
            run.metric("canary_songs_total")
        with pytest.raises(KeyError, match=r"canary_songs_total{'tree': 'ash'}"):
            run.metric("canary_songs_total", tree="ash")
        with pytest.raises(KeyError, match="there are none like it"):
            run.metric("robin")


# -- the parts --------------------------------------------------------------------------------------------------


def test_a_publisher_keeps_each_alert_once_unless_it_refuses():
    publisher = CollectingPublisher(plugin="canary")
    first = an_alert(host="web1")
    assert [publisher.publish(first), publisher.publish(first), publisher.publish(an_alert())] == [True] * 3
    assert [(alert.plugin, alert.host) for alert in publisher.alerts] == [("canary", "web1"), ("canary", "test-host")]
    assert publisher.settle(1) is True
    publisher.refuse = True
    assert (publisher.publish(an_alert()), publisher.settle(1), len(publisher.alerts)) == (False, False, 2)
    assert publisher.last_checkpoint("none") is None


def test_the_fake_clock_stands_still_until_advanced():
    clock = FakeClock()
    assert (clock.now(), clock.monotonic()) == (START, 0)
    clock.advance(90)
    assert (clock.now(), clock.monotonic()) == (START + timedelta(seconds=90), 90)
    assert FakeClock(START + timedelta(days=1)).now() == START + timedelta(days=1)


class Watched(threading.Event):
    """An event that tells when somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_at = threading.Event()

    def is_set(self) -> bool:
        self.looked_at.set()
        return super().is_set()


@pytest.mark.parametrize("is_set", [False, True])
def test_a_wait_ends_by_advance_or_event(is_set):
    clock, event, outcome = FakeClock(), Watched(), []
    waiter = threading.Thread(target=lambda: outcome.append(clock.wait(event, 60)))
    waiter.start()
    assert event.looked_at.wait(10)
    clock.advance(59)
    assert not outcome
    event.set() if is_set else clock.advance(1)
    waiter.join(10)
    assert outcome == [is_set]
    assert clock.wait(event, 0) is is_set


def test_an_alert_for_tests():
    alert = an_alert(severity=Severity.LOW)
    assert (alert.rule, alert.severity, alert.time) == ("ssh-password-guessing", Severity.LOW, START)
    assert alert.observable(Key.SOURCE_IP, Trust.LOCAL) == "203.0.113.7"


def test_an_invalid_run_leaves_no_folder_behind(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ConfigError):
        run_of(config={"loudness": 0})
    assert list(Path(tmp_path).iterdir()) == []
