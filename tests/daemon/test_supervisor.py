from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from prometheus_client import generate_latest

from history_tools import PATIENCE, an_alert, until
from ironpost_core import Action, ActionError, ConfigError, Health, MetricSpec, Problem, Section
from ironpost_core.config import Loaded
from ironpost_core.testing import FakeClock
from ironpost_daemon.exposition import ShieldedRegistry
from ironpost_daemon.host import PluginHost, Services
from ironpost_daemon.status import Life
from ironpost_daemon.supervisor import Supervisor
from plugin_tools import Ledger, a_candidate, a_plugin, at_import, the_services


@attrs.frozen(kw_only=True)
class Config:
    loudness: int = 1
    enabled: bool = True


@attrs.frozen(kw_only=True, eq=False)
class Odd:
    """A section of which two can't be compared."""

    enabled: bool = True

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("incomparable")

    def __hash__(self) -> int:
        return 0


def section(name: str = "canary", kind: type = Config) -> Section[Any]:
    return Section(name=name, type=kind, help="A bird.")


def age(name: str = "canary") -> MetricSpec:
    return MetricSpec(name=f"{name}_age", kind="gauge", help="Age in days")


def raiser(error: BaseException) -> Any:
    def hook(*_: Any) -> None:
        raise error

    return hook


class Kit:
    """A supervisor over classes made in the test, each under its name."""

    def __init__(self, services: Services) -> None:
        self.services, self.ledger = services, Ledger()
        self.failures: list[tuple[str, str]] = []
        self.registry = ShieldedRegistry(on_failure=self.reader_failed)
        self.gate = threading.Event()
        self.supervisor = Supervisor(
            make_host=lambda candidate: PluginHost(candidate, clock=FakeClock(), events=self.ledger),
            registry=self.registry,
            events=self.ledger,
            on_reader_failure=self.reader_failed,
        )

    def reader_failed(self, name: str, reason: str) -> None:
        self.failures.append((name, reason))

    def load(self, **plugins: Any) -> dict[str, Life]:
        self.supervisor.load([a_candidate(loaded, name) for name, loaded in plugins.items()])
        return self.lives()

    def start(self, **plugins: Any) -> None:
        """Load, give each its section's defaults, start, and wait until all run."""
        self.load(**plugins)
        self.supervisor.initialise({one.name: one.type() for one in self.supervisor.sections()})
        self.supervisor.start(self.services)
        until(lambda: Life.STARTING not in self.lives().values())

    def lives(self) -> dict[str, Life]:
        return {name: host.life for name, host in self.supervisor.hosts.items()}

    def reason(self, name: str) -> str:
        return self.supervisor.hosts[name].status().reason

    def reload(self, **values: Any) -> dict[str, str]:
        return self.supervisor.reload(Loaded(values=values), self.services)

    def exposition(self) -> str:
        return generate_latest(self.registry).decode()


@pytest.fixture
def kit(tmp_path) -> Iterator[Kit]:
    with the_services(tmp_path) as services:
        kit = Kit(services)
        yield kit
        kit.gate.set()
        kit.supervisor.stop(lambda _: None)


# -- load -------------------------------------------------------------------------------------------------------


def test_one_that_can_not_be_loaded_is_listed_and_the_next_follows(kit):
    lives = kit.load(a=at_import(raiser(SystemExit(1))), b=a_plugin(metrics=lambda self: [age("b")]))
    assert lives == {"a": Life.FAILED, "b": Life.CREATED}
    assert "ironpost_b_age 0.0" in kit.exposition()
    assert [(status.name, status.life) for status in kit.supervisor.statuses()] == [
        ("a", Life.FAILED),
        ("b", Life.CREATED),
    ]


@pytest.mark.parametrize(
    ("name", "hooks", "reason"),
    [
        ("b", {"config": lambda self: section("a")}, r"it claims section [a], which is not its own (name it 'b')"),
        ("b", {"config": lambda self: section("metrics")}, r"which belongs to the daemon"),
        ("b", {"metrics": lambda self: [age("a")]}, r"its name must begin with b_ (rename the metric)"),
        ("a_age", {"metrics": lambda self: [age("a_age"), age("a_age")]}, r"is taken by the plugin itself"),
        ("daemon", {"metrics": lambda self: [age("daemon")]}, r"reserved for ironpost's own"),
    ],
)
def test_a_clash_harms_the_later_one_alone(kit, name, hooks, reason):
    first = a_plugin(config=lambda self: section("a"), metrics=lambda self: [age("a")])
    lives = kit.load(**{"a": first, name: a_plugin(**hooks), "z": a_plugin()})
    assert lives == {"a": Life.CREATED, name: Life.FAILED, "z": Life.CREATED}
    assert reason in kit.reason(name)
    assert kit.exposition().count("\nironpost_a_age 0.0") == 1


def test_what_nobody_foresaw_in_a_declaration_harms_it_alone(kit, monkeypatch):
    monkeypatch.setattr(kit.registry, "register", raiser(RuntimeError("full")))
    assert kit.load(a=a_plugin())["a"] is Life.FAILED
    assert "what it declares can't be used: RuntimeError: full" in kit.reason("a")


def test_a_failing_reader_is_counted_and_told_by_its_host(kit):
    def start(self: Any, context: Any) -> None:
        context.metrics.read_with(raiser(ValueError("unreadable")))

    kit.start(a=a_plugin(metrics=lambda self: [age("a")], start=start))
    assert "ironpost_a_age 0.0" in kit.exposition()
    assert kit.failures[0][0] == "a"
    assert "unreadable" in kit.reason("a")


# -- configuration ----------------------------------------------------------------------------------------------


def test_sections_of_the_usable_and_of_the_failed(kit):
    kit.load(
        canary=a_plugin(config=lambda self: section()),
        bare=a_plugin(),
        lost=at_import(raiser(ImportError("lost"))),
        sbom=at_import(raiser(ImportError("lost"))),
        metrics=at_import(raiser(ImportError("lost"))),
    )
    assert [one.name for one in kit.supervisor.sections()] == ["canary"]
    assert kit.supervisor.unreadable_sections() == {"lost", "sbom"}


def test_a_broken_section_class_is_the_plugins_failure_not_the_operators(kit):
    kit.load(a=a_plugin(config=lambda self: section("a")), b=a_plugin(config=lambda self: section("b")))
    authors = Problem(where="a", what="is no attrs class")
    operators = Problem(where="b.loudness", what="found x", file="ironpost.toml")
    loaded = Loaded(values={}, problems=(operators, authors))
    assert kit.supervisor.refuse_broken_sections(loaded) == {"a"}
    assert kit.lives() == {"a": Life.FAILED, "b": Life.CREATED}
    assert kit.reason("a") == "a: is no attrs class"


# -- run and stop -----------------------------------------------------------------------------------------------


def test_all_start_side_by_side(kit):
    together = threading.Barrier(2)
    kit.start(**dict.fromkeys("ab", a_plugin(start=lambda self: together.wait(PATIENCE))))
    assert set(kit.lives().values()) == {Life.RUNNING}


def test_the_order_of_the_stop(kit):
    told: list[str] = []

    def bird(name: str, **hooks: Any) -> type:
        return a_plugin(stop=lambda self: told.append(name), **hooks)

    kit.start(
        answers=bird("answers", alert=lambda self, alert: told.append("alert")),
        raises=bird("raises"),
        off=bird("off", config=lambda self: section("off")),
        broken=bird("broken", start=raiser(ValueError("no"))),
    )
    kit.reload(off=Config(enabled=False))
    until(lambda: "broken" in told)
    told.clear()

    def drain(timeout: float) -> None:
        publisher = kit.services.history.publisher("source")
        assert publisher.publish(an_alert(1))
        assert publisher.settle(PATIENCE)
        told.append("drain")

    kit.supervisor.stop(drain)
    assert told in (["raises", "drain", "alert", "answers"], ["raises", "alert", "drain", "answers"])
    assert kit.lives() == {
        "answers": Life.STOPPED,
        "raises": Life.STOPPED,
        "off": Life.DISABLED,
        "broken": Life.FAILED,
    }


def test_no_reader_is_called_after_the_stop(kit):
    reads: list[int] = []

    def start(self: Any, context: Any) -> None:
        context.metrics.read_with(lambda: reads.append(1) or {})

    kit.start(a=a_plugin(start=start, metrics=lambda self: [age("a")]))
    kit.exposition()
    kit.supervisor.stop(lambda _: None)
    kit.exposition()
    assert len(reads) == 1


def test_health_hooks_are_asked_side_by_side(kit):
    together = threading.Barrier(2)

    def health(self: Any) -> Health:
        together.wait(PATIENCE)
        return Health()

    kit.start(**dict.fromkeys("ab", a_plugin(health=health)))
    assert [str(status.health) for status in kit.supervisor.statuses()] == ["healthy", "healthy"]


# -- reload -----------------------------------------------------------------------------------------------------


def canary(**hooks: Any) -> type:
    return a_plugin(config=lambda self: section(), **hooks)


def test_a_reload_is_offered_to_each_for_itself(kit):
    loud = Config(loudness=2)
    kit.start(
        a=a_plugin(config=lambda self: section("a"), reload=lambda self, config: None),
        b=a_plugin(config=lambda self: section("b"), reload=raiser(ValueError("too loud"))),
        c=a_plugin(config=lambda self: section("c")),
        d=a_plugin(config=lambda self: section("d")),
        e=a_plugin(config=lambda self: section("e", Odd)),
        f=a_plugin(config=lambda self: section("f")),
        g=a_plugin(),
        h=a_plugin(config=lambda self: section("h"), start=raiser(ValueError("failed"))),
    )
    problem = Problem(where="f.loudness", what="found x", file="ironpost.toml", line=3)
    values = {"a": loud, "b": loud, "c": loud, "d": Config(), "e": Odd(), "h": Config()}
    loaded = Loaded(values=values, problems=(problem,))
    outcome = kit.supervisor.reload(loaded, kit.services)
    assert {name: what.partition(", at")[0] for name, what in outcome.items()} == {
        "a": "reloaded",
        "b": "refused: plugin b: ironpost_reload raised ValueError: too loud",
        "c": "restart needed",
        "d": "unchanged",
        "e": "refused: RuntimeError: incomparable",
        "f": "refused: ironpost.toml:3: f.loudness: found x",
        "h": "started",
    }
    configs = {name: host.config for name, host in kit.supervisor.hosts.items()}
    assert (configs["a"], configs["b"], configs["c"]) == (loud, Config(), Config())


def test_switching_a_plugin_off_and_on_makes_a_new_instance_that_counts_on(kit):
    instances: list[Any] = []

    def start(self: Any, context: Any) -> None:
        instances.append(self)
        context.metrics.read_with(dict)
        context.metrics.gauge("canary_age").inc()

    kit.start(canary=canary(start=start, metrics=lambda self: [age()]))
    off, on = Config(enabled=False), Config(loudness=2)
    assert kit.reload(canary=off) == {"canary": "stopped"}
    assert (kit.lives()["canary"], kit.reason("canary")) == (Life.DISABLED, "disabled by [canary] enabled = false")
    assert kit.reload(canary=off) == {"canary": "unchanged"}
    assert kit.reload(canary=Config(enabled=False, loudness=9)) == {"canary": "reloaded"}
    assert kit.reload(canary=on) == {"canary": "started"}
    until(lambda: kit.lives()["canary"] is Life.RUNNING)
    assert len({id(one) for one in instances}) == 2
    host = kit.supervisor.hosts["canary"]
    assert (host.config, len(host.metrics.readers if host.metrics else ())) == (on, 1)
    assert "ironpost_canary_age 2.0" in kit.exposition()


def test_nothing_is_started_by_a_reload_when_the_stop_has_begun(kit):
    kit.start(canary=canary())
    kit.reload(canary=Config(enabled=False))
    kit.supervisor.stop(lambda _: None)
    assert kit.reload(canary=Config()) == {"canary": "refused: the daemon is being stopped"}
    assert kit.lives()["canary"] is Life.DISABLED


def test_a_failing_reader_is_told_by_the_instance_that_has_it(kit):
    def start(self: Any, context: Any) -> None:
        context.metrics.read_with(raiser(ValueError("unreadable")))

    kit.start(canary=canary(start=start, metrics=lambda self: [age()]))
    kit.reload(canary=Config(enabled=False))
    assert kit.reload(canary=Config()) == {"canary": "started"}
    until(lambda: kit.lives()["canary"] is Life.RUNNING)
    kit.exposition()
    assert "unreadable" in kit.reason("canary")


def test_a_plugin_that_can_not_be_loaded_again_stays_disabled(kit):
    loads: list[int] = []
    loaded = canary()

    def load() -> type:
        loads.append(1)
        if len(loads) > 1:
            raise ImportError("gone")
        return loaded

    kit.start(canary=at_import(load))
    kit.reload(canary=Config(enabled=False))
    outcome = kit.reload(canary=Config())["canary"]
    assert outcome.startswith("refused: import raised ImportError: gone")
    assert kit.lives() == {"canary": Life.DISABLED}
    assert kit.ledger.lives[-1] == ("canary", Life.DISABLED)


# -- actions ----------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Request:
    loudness: int = 1


def singer(run: Any) -> type:
    actions = [Action(name="sing", request=Request, run=run, help="Sing.", deadline=3)]
    return a_plugin(actions=lambda self: actions)


def test_an_action_gets_its_structured_request(kit):
    kit.load(canary=singer(lambda request: {"sung": request.loudness}))
    host, action = kit.supervisor.action("canary.sing")
    assert (host.name, action.deadline) == ("canary", 3)
    assert kit.supervisor.act("canary.sing", {"loudness": 5}) == {"sung": 5}
    with pytest.raises(ConfigError, match=r"canary.sing.loudness: found \"loud\""):
        kit.supervisor.act("canary.sing", {"loudness": "loud"})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("robin.sing", "no plugin 'robin' is loaded"),
        ("lost.sing", "no plugin 'lost' is loaded"),
        ("canary", "plugin canary has no action ''; it has: sing"),
        ("canary.fly", "has no action 'fly'; it has: sing"),
        ("bare.fly", "it has: none"),
    ],
)
def test_an_action_that_is_not_there(kit, call, message):
    kit.load(canary=singer(print), lost=at_import(raiser(ImportError())), bare=a_plugin())
    with pytest.raises(ActionError, match=message):
        kit.supervisor.act(call, {})


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ActionError("not now"), r"^not now$"),
        (ValueError("hoarse"), r"^canary.sing: raised ValueError: hoarse, at "),
        (SystemExit(1), r"^canary.sing: raised SystemExit: 1"),
    ],
)
def test_what_an_action_raises_is_for_the_operator(kit, error, message):
    kit.load(canary=singer(raiser(error)))
    with pytest.raises(ActionError, match=message):
        kit.supervisor.act("canary.sing", {})
