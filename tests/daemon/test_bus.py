from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from history_tools import LOG, PATIENCE, a_history, an_alert, until
from ironpost_core import Alert
from ironpost_core.testing import FakeClock
from ironpost_daemon.bus import Bus, RetryError
from ironpost_daemon.history import History


class Ears:
    """A subscriber that remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def __call__(self, alert: Alert) -> None:
        self.heard.append(alert.id)


class Kit:
    """A history with a bus, as the daemon joins them."""

    def __init__(self, path: Path, clock: FakeClock, **options: Any) -> None:
        self.clock = clock
        self.bus: Bus
        self._context = a_history(path, clock=clock, on_stored=lambda alerts: self.bus.wake())
        self.history: History = self._context.__enter__()
        given: dict[str, Any] = {"replay_max_age": 300.0} | options
        self.bus = Bus(self.history, clock=clock, log=LOG, **given)

    def publish(self, *numbers: int, plugin: str = "source", **changes: Any) -> None:
        publisher = self.history.publisher(plugin)
        for number in numbers:
            assert publisher.publish(an_alert(number, **changes))
        assert publisher.settle(PATIENCE)

    def close(self) -> None:
        self.bus.stop(PATIENCE)
        self._context.__exit__(None, None, None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def kit(path: Path, clock: FakeClock) -> Iterator[Kit]:
    kit = Kit(path, clock)
    yield kit
    kit.close()


def names(*numbers: int) -> list[str]:
    return [f"alert-{number}" for number in numbers]


class TestDelivery:
    def test_in_order_and_only_what_came_after_the_first_subscription(self, kit: Kit) -> None:
        kit.publish(1, 2)
        ears = Ears()
        subscription = kit.bus.subscribe("s", ears, not_from=None)
        kit.publish(3)
        subscription.start()
        kit.publish(*range(4, 700))
        until(lambda: len(ears.heard) == 697)
        assert ears.heard == names(*range(3, 700))
        until(lambda: subscription.lag == 0)
        assert (subscription.dropped, subscription.failures, subscription.last_error) == (0, 0, "")

    def test_a_plugin_gets_neither_its_own_nor_deep_ones_and_a_sink_gets_all(self, kit: Kit) -> None:
        plugin, sink = Ears(), Ears()
        for name, ears, origin in (("guard", plugin, "guard"), ("sink:x", sink, None)):
            kit.bus.subscribe(name, ears, not_from=origin).start()
        kit.publish(1, plugin="guard")
        kit.publish(2, depth=1)
        kit.publish(3, depth=2)
        kit.publish(4)
        until(lambda: len(sink.heard) == 4 and len(plugin.heard) == 2)
        assert sink.heard == names(1, 2, 3, 4)
        assert plugin.heard == names(2, 4)

    @pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(3), KeyboardInterrupt()])
    def test_whatever_a_handler_raises_the_next_one_follows(
        self, kit: Kit, error: BaseException, caplog: pytest.LogCaptureFixture
    ) -> None:
        heard: list[str] = []

        def handle(alert: Alert) -> None:
            heard.append(alert.id)
            if alert.id == "alert-1":
                raise error

        subscription = kit.bus.subscribe("s", handle, not_from=None)
        subscription.start()
        kit.publish(1)
        until(lambda: subscription.last_error)
        assert type(error).__name__ in subscription.last_error
        kit.publish(2)
        until(lambda: not subscription.last_error)
        assert heard == names(1, 2)
        assert subscription.failures == 1
        assert "alert-1 (the next one follows)" in caplog.text

    def test_one_hanging_handler_holds_up_nobody_else_and_is_visible(self, kit: Kit) -> None:
        release, ears = threading.Event(), Ears()
        hanging = kit.bus.subscribe("hanging", lambda alert: void(release.wait(PATIENCE)), not_from=None)
        other = kit.bus.subscribe("other", ears, not_from=None)
        assert hanging.busy_since is None
        for subscription in (hanging, other):
            subscription.start()
        kit.publish(1, 2, 3)
        until(lambda: len(ears.heard) == 3)
        until(lambda: hanging.busy_since is not None)
        assert hanging.lag == 3
        release.set()
        until(lambda: hanging.lag == 0)
        assert hanging.busy_since is None


class TestRetrying:
    def test_the_same_one_comes_again_after_a_pause_until_it_goes_well(self, kit: Kit, clock: FakeClock) -> None:
        ready, heard = threading.Event(), []

        def handle(alert: Alert) -> None:
            heard.append(alert.id)
            if not ready.is_set():
                raise RetryError("not now")

        subscription = kit.bus.subscribe("s", handle, not_from=None)
        subscription.start()
        kit.publish(1, 2)
        until(lambda: subscription.failures >= 3, lambda: clock.advance(100))
        assert subscription.last_error == "not now"
        ready.set()
        until(lambda: "alert-2" in heard, lambda: clock.advance(100))
        assert heard == ["alert-1"] * (len(heard) - 1) + ["alert-2"]
        assert subscription.last_error == ""

    def test_what_the_other_side_asked_for_is_waited(self, kit: Kit, clock: FakeClock) -> None:
        heard: list[float] = []

        def handle(alert: Alert) -> None:
            heard.append(clock.monotonic())
            raise RetryError("busy", after=50.0)

        kit.bus.subscribe("s", handle, not_from=None).start()
        kit.publish(1)
        until(lambda: len(heard) == 3, lambda: clock.advance(1))
        assert all(later - earlier >= 50 for earlier, later in itertools.pairwise(heard))

    def test_the_backlog_pushes_out_the_oldest_counted(self, path: Path, clock: FakeClock) -> None:
        kit = Kit(path, clock, backlog=3)
        stuck, heard = threading.Event(), []

        def handle(alert: Alert) -> None:
            if not stuck.is_set():
                raise RetryError("down")
            heard.append(alert.id)

        subscription = kit.bus.subscribe("s", handle, not_from=None)
        subscription.start()
        kit.publish(*range(1, 11))
        until(lambda: subscription.dropped == 7, lambda: clock.advance(100))
        stuck.set()
        until(lambda: len(heard) == 3, lambda: clock.advance(100))
        assert heard == names(8, 9, 10)
        kit.close()

    def test_own_alerts_push_out_nothing(self, path: Path, clock: FakeClock) -> None:
        kit, ears = Kit(path, clock, backlog=3), Ears()
        subscription = kit.bus.subscribe("p", ears, not_from="p")
        kit.publish(1, 2)
        kit.publish(*range(3, 50), plugin="p")
        subscription.start()
        until(lambda: subscription.lag == 0)
        assert ears.heard == names(1, 2)
        assert subscription.dropped == 0
        kit.close()


class TestRestarts:
    def test_what_was_missed_is_replayed_unless_it_is_too_old(
        self, path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = Kit(path, clock)
        first.bus.subscribe("s", Ears(), not_from="other")
        first.publish(1, 2)
        first.publish(3, plugin="other")
        clock.advance(200)
        first.publish(4)
        first.close()
        clock.advance(200)
        second, ears = Kit(path, clock), Ears()
        subscription = second.bus.subscribe("s", ears, not_from="other")
        subscription.start()
        until(lambda: subscription.lag == 0)
        assert ears.heard == names(4)
        assert subscription.dropped == 2
        assert caplog.text.count("s misses 2 alerts") == 1
        second.publish(5)
        until(lambda: len(ears.heard) == 2)
        second.close()

    def test_nothing_comes_twice_after_a_clean_stop(self, path: Path, clock: FakeClock) -> None:
        heard: list[str] = []
        for run in range(3):
            kit, ears = Kit(path, clock), Ears()
            subscription = kit.bus.subscribe("s", ears, not_from=None)
            subscription.start()
            kit.publish(*range(run * 10, run * 10 + 10))
            assert subscription.stop(PATIENCE)
            heard += ears.heard
            kit.close()
        assert heard == names(*range(30))

    def test_a_history_begun_anew_does_not_deafen(self, path: Path, clock: FakeClock) -> None:
        kit, ears = Kit(path, clock), Ears()
        kit.history.save_position("s", 5_000)
        kit.bus.subscribe("s", ears, not_from=None).start()
        kit.publish(1)
        until(lambda: ears.heard == names(1))
        kit.close()


class TestStopping:
    def test_what_is_stored_is_still_handled(self, kit: Kit) -> None:
        ears = Ears()
        subscription = kit.bus.subscribe("s", ears, not_from=None)
        kit.publish(*range(1000))
        subscription.start()
        assert subscription.stop(PATIENCE)
        assert len(ears.heard) == 1000
        assert subscription.ended
        assert subscription.lag == 0

    def test_a_handler_that_hangs_is_left_behind_and_is_not_called_again(self, kit: Kit) -> None:
        release, entered, ears = threading.Event(), threading.Event(), Ears()

        def handle(alert: Alert) -> None:
            ears(alert)
            entered.set()
            release.wait(PATIENCE)

        subscription = kit.bus.subscribe("s", handle, not_from=None)
        subscription.start()
        kit.publish(1, 2, 3)
        assert entered.wait(PATIENCE)
        assert not subscription.stop(0.01)
        release.set()
        until(lambda: subscription.stop(0.1))
        assert ears.heard == names(1)
        assert kit.history.position("s") == 0, "what was not finished comes again"

    def test_a_sink_that_can_not_deliver_does_not_delay_the_stop(self, kit: Kit) -> None:
        def handle(alert: Alert) -> None:
            raise RetryError("down", after=600)

        subscription = kit.bus.subscribe("s", handle, not_from=None)
        subscription.start()
        kit.publish(1)
        until(lambda: subscription.failures)
        assert subscription.stop(PATIENCE)
        assert kit.history.position("s") == 0

    def test_a_revoked_one_hears_nothing_more_and_its_successor_goes_on(self, kit: Kit) -> None:
        release, old, new = threading.Event(), Ears(), Ears()

        def handle(alert: Alert) -> None:
            old(alert)
            release.wait(PATIENCE)

        first = kit.bus.subscribe("s", handle, not_from=None)
        first.start()
        kit.publish(1, 2)
        until(lambda: old.heard)
        with pytest.raises(ValueError, match="subscribed already"):
            kit.bus.subscribe("s", new, not_from=None)
        first.revoke()
        second = kit.bus.subscribe("s", new, not_from=None)
        second.start()
        until(lambda: second.lag == 0)
        release.set()
        until(lambda: first.stop(0.1))
        assert old.heard == names(1)
        assert new.heard == names(1, 2)
        assert kit.history.position("s") == 2

    def test_one_that_never_started(self, kit: Kit) -> None:
        ears = Ears()
        subscription = kit.bus.subscribe("s", ears, not_from=None)
        kit.publish(1)
        assert subscription.stop(0)
        subscription.start()
        assert kit.bus.stop(0)
        assert ears.heard == []

    def test_the_bus_stops_all_within_one_timeout(self, kit: Kit) -> None:
        release = threading.Event()
        every = [
            kit.bus.subscribe(f"s{number}", lambda alert: void(release.wait(PATIENCE)), not_from=None)
            for number in range(3)
        ]
        for subscription in every:
            subscription.start()
        kit.publish(1)
        until(lambda: all(subscription.busy_since is not None for subscription in every))
        assert kit.bus.stop(0.05) is False
        release.set()
        until(lambda: kit.bus.stop(0.05))

    def test_draining_waits_for_plugins_and_for_no_sink(self, kit: Kit) -> None:
        release, ears = threading.Event(), Ears()
        plugin = kit.bus.subscribe("p", lambda alert: void(release.wait(PATIENCE)), not_from="p")
        sink = kit.bus.subscribe("sink:x", ears, not_from=None)
        plugin.start()
        kit.publish(1)
        assert not kit.bus.drain(0.01)
        release.set()
        assert kit.bus.drain(PATIENCE)
        assert sink.lag == 1

    def test_a_sink_gets_what_it_missed_however_old(self, path: Path, clock: FakeClock) -> None:
        first = Kit(path, clock)
        first.bus.subscribe("sink:x", Ears(), not_from=None)
        first.publish(1)
        first.close()
        clock.advance(86_400)
        second, ears = Kit(path, clock), Ears()
        second.bus.subscribe("sink:x", ears, not_from=None).start()
        until(lambda: ears.heard == names(1))
        second.close()


class TestTrouble:
    def test_a_history_that_can_not_be_read_is_tried_again(
        self, kit: Kit, clock: FakeClock, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        ears = Ears()
        subscription = kit.bus.subscribe("s", ears, not_from=None)
        aside = path.with_name("aside")
        kit.publish(1)
        kit.history._connections.close()
        path.rename(aside)
        subscription.start()
        until(lambda: "can't read the history" in caplog.text)
        aside.rename(path)
        until(lambda: ears.heard, lambda: clock.advance(10))
        assert ears.heard == names(1)

    def test_a_stop_ends_the_trying(self, kit: Kit, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        subscription = kit.bus.subscribe("s", Ears(), not_from=None)
        aside = path.with_name("aside")
        kit.publish(1)
        kit.history._connections.close()
        path.rename(aside)
        subscription.start()
        until(lambda: "can't read the history" in caplog.text)
        assert subscription.stop(PATIENCE)
        aside.rename(path)


def void(_: object) -> None:
    """Makes a handler of an expression."""
