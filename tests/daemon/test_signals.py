from __future__ import annotations

import os
import signal

import pytest

from ironpost_daemon.signals import STOP, Signals


@pytest.fixture
def signals():
    taken = (*STOP, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in taken}
    yield Signals()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_signals_are_noted_in_order(signals):
    signals.install()
    sent = [signal.SIGHUP, signal.SIGTERM, signal.SIGINT]
    for number in sent:
        os.kill(os.getpid(), number)
    assert [signals.wait(10) for _ in sent] == sent
    assert signals.wait(0.001) is None


def test_term_and_interrupt_mean_stop():
    assert set(STOP) == {signal.SIGTERM, signal.SIGINT}
