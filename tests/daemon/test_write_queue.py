from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from history_tools import an_alert
from ironpost_daemon import write_queue
from ironpost_daemon.write_queue import Batch, PluginPublisher, WriteQueue


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_queue, "GATHER", 0)
    monkeypatch.setattr(write_queue, "LINGER", 0)


def publisher(queue: WriteQueue, plugin: str = "p") -> PluginPublisher:
    return PluginPublisher(plugin, "web1", queue, lambda plugin, key: None)


def written(queue: WriteQueue) -> Batch:
    batch = queue.take(0)
    assert batch is not None
    queue.done(batch)
    return batch


def taken_ids(batch: Batch) -> list[str]:
    return [waiting.alert.id for waiting in batch.alerts]


class TestAlerts:
    def test_host_and_plugin_are_filled_in(self) -> None:
        queue = WriteQueue(10)
        assert publisher(queue).publish(an_alert(plugin="liar"))
        (waiting,) = written(queue).alerts
        assert (waiting.alert.plugin, waiting.alert.host) == ("p", "web1")
        assert waiting.alert.from_json(waiting.body) == waiting.alert

    def test_a_host_that_the_plugin_named_stays_and_the_given_alert_is_untouched(self) -> None:
        queue = WriteQueue(10)
        alert = an_alert(host="relay")
        publisher(queue).publish(alert)
        assert written(queue).alerts[0].alert.host == "relay"
        assert alert.plugin == ""

    def test_a_full_queue_refuses_and_counts_until_something_is_written(self) -> None:
        queue = WriteQueue(2)
        alerts = publisher(queue)
        assert [alerts.publish(an_alert(n)) for n in range(4)] == [True, True, False, False]
        assert (alerts.pending, alerts.refused) == (2, 2)
        batch = queue.take(0)
        assert batch is not None
        assert not alerts.publish(an_alert(4)), "what is being written still counts"
        queue.done(batch)
        assert alerts.publish(an_alert(5))
        assert alerts.pending == 1

    def test_one_plugins_flood_refuses_nothing_of_another(self) -> None:
        queue = WriteQueue(2)
        noisy, quiet = publisher(queue, "noisy"), publisher(queue, "quiet")
        for n in range(10):
            noisy.publish(an_alert(n))
        assert quiet.publish(an_alert(99))
        assert quiet.refused == 0

    def test_a_closed_publisher_refuses_alerts_and_checkpoints_but_loses_nothing_before(self) -> None:
        queue = WriteQueue(10)
        alerts = publisher(queue)
        alerts.publish(an_alert(1))
        alerts.close()
        assert not alerts.publish(an_alert(2))
        alerts.checkpoint("k", b"ahead of a refusal")
        batch = written(queue)
        assert taken_ids(batch) == ["alert-1"]
        assert batch.checkpoints == {}
        assert alerts.refused == 1

    def test_a_closed_queue_refuses_everyone(self) -> None:
        queue = WriteQueue(10)
        queue.close()
        assert queue.closed
        assert not publisher(queue).publish(an_alert())
        assert queue.take(0) is None

    def test_an_alert_without_an_id_would_hide_others(self) -> None:
        queue = WriteQueue(10)
        with pytest.raises(ValueError, match="empty id"):
            publisher(queue).publish(an_alert(id=""))
        assert len(queue) == 0

    def test_one_that_says_already_where_it_comes_from_is_taken_as_it_is(self) -> None:
        queue = WriteQueue(10)
        alert = an_alert(plugin="p", host="web1")
        publisher(queue).publish(alert)
        assert written(queue).alerts[0].alert is alert

    def test_no_alert_at_all_is_a_type_error(self) -> None:
        with pytest.raises(TypeError, match="published str"):
            publisher(WriteQueue(10)).publish("alert")  # type: ignore[arg-type]


class TestCheckpoints:
    def test_one_that_waits_is_replaced(self) -> None:
        queue = WriteQueue(10)
        alerts = publisher(queue)
        for value in (b"1", b"2", b"3"):
            alerts.checkpoint("k", value)
        assert len(queue) == 1
        assert written(queue).checkpoints == {("p", "k"): b"3"}

    def test_it_never_gets_before_an_alert_published_earlier(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(write_queue, "BATCH", 1)
        queue = WriteQueue(10)
        alerts = publisher(queue)
        alerts.checkpoint("k", b"0")
        alerts.publish(an_alert(1))
        alerts.publish(an_alert(2))
        alerts.checkpoint("k", b"2")
        first, second, third = written(queue), written(queue), written(queue)
        assert (taken_ids(first), taken_ids(second)) == (["alert-1"], ["alert-2"])
        assert first.checkpoints == {}
        assert third.checkpoints == {("p", "k"): b"2"} or second.checkpoints == {("p", "k"): b"2"}

    def test_the_last_one_handed_over_is_read_back_in_every_stage(self) -> None:
        queue = WriteQueue(10)
        stored: dict[tuple[str, str], bytes] = {}
        alerts = PluginPublisher("p", "h", queue, lambda plugin, key: stored.get((plugin, key)))
        assert alerts.last_checkpoint("k") is None
        alerts.checkpoint("k", b"1")
        assert alerts.last_checkpoint("k") == b"1"
        batch = queue.take(0)
        assert batch is not None
        assert alerts.last_checkpoint("k") == b"1"
        stored |= batch.checkpoints
        queue.done(batch)
        assert alerts.last_checkpoint("k") == b"1"

    def test_an_enormous_one_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(write_queue, "LARGEST_CHECKPOINT", 3)
        with pytest.raises(ValueError, match="4 bytes"):
            publisher(WriteQueue(10)).checkpoint("k", b"1234")


class Model:
    """Two plugins, and what a crash at this moment would leave."""

    def __init__(self, capacity: int) -> None:
        self.queue = WriteQueue(capacity)
        self.publishers = {name: publisher(self.queue, name) for name in "ab"}
        self.accepted: dict[str, list[str]] = {"a": [], "b": []}
        self.stored: dict[str, list[str]] = {"a": [], "b": []}
        self.positions = {"a": 0, "b": 0}
        self.in_flight: Batch | None = None
        self.made = 0

    def publish(self, name: str) -> None:
        self.made += 1
        if self.publishers[name].publish(an_alert(self.made)):
            self.accepted[name].append(f"alert-{self.made}")

    def checkpoint(self, name: str) -> None:
        self.publishers[name].checkpoint("k", str(len(self.accepted[name])).encode())

    def take(self, _: str) -> None:
        if self.in_flight is None:
            self.in_flight = self.queue.take(0)

    def store(self, _: str) -> None:
        batch, self.in_flight = self.in_flight, None
        if batch is None:
            return
        self.queue.done(batch)
        for waiting in batch.alerts:
            self.stored[waiting.alert.plugin].append(waiting.alert.id)
        for (name, _key), value in batch.checkpoints.items():
            assert int(value) >= self.positions[name], "a checkpoint went back"
            self.positions[name] = int(value)
        for name in "ab":
            assert self.stored[name] == self.accepted[name][: len(self.stored[name])]
            assert self.positions[name] <= len(self.stored[name]), "a checkpoint is ahead of its alerts"


steps = st.lists(
    st.tuples(st.sampled_from([Model.publish, Model.checkpoint, Model.take, Model.store]), st.sampled_from("ab")),
    max_size=60,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.integers(1, 4), st.integers(1, 5))
def test_at_no_moment_is_a_stored_checkpoint_ahead_of_the_stored_alerts(
    given_steps: list[tuple[Callable[[Model, str], None], str]], batch_size: int, capacity: int
) -> None:
    """Whatever is interleaved, a crash between two batches leaves a state that a source can go on from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write_queue, "BATCH", batch_size)
        model = Model(capacity)
        for step, name in given_steps:
            step(model, name)
        while len(model.queue):
            model.take("")
            model.store("")
        assert model.stored == model.accepted


class TestPositionsAndSettling:
    def test_positions_are_coalesced(self) -> None:
        queue = WriteQueue(10)
        for number in (1, 2, 3):
            queue.put_position("s", number, urgent=False)
        assert written(queue).positions == {"s": 3}
        assert queue.take(0) is None

    def test_an_urgent_position_can_be_waited_for(self) -> None:
        queue = WriteQueue(10)
        place = queue.put_position("s", 1, urgent=True)
        assert not queue.positions_settled(place, 0)
        written(queue)
        assert queue.positions_settled(place, 0)

    def test_settle_waits_for_the_own_ones_only(self) -> None:
        queue = WriteQueue(10)
        mine, other = publisher(queue, "mine"), publisher(queue, "other")
        assert mine.settle(0)
        mine.publish(an_alert(1))
        batch = queue.take(0)
        assert batch is not None
        other.publish(an_alert(2))
        assert not mine.settle(0)
        queue.done(batch)
        assert mine.settle(0)
        assert not other.settle(0)

    def test_an_alert_wakes_who_waits(self) -> None:
        queue = WriteQueue(10)
        found: list[Batch | None] = []
        thread = threading.Thread(target=lambda: found.append(queue.take(30)))
        thread.start()
        publisher(queue).publish(an_alert())
        thread.join(30)
        assert found[0] is not None
        assert taken_ids(found[0]) == ["alert-0"]
