"""Blocking calls off the event loop: on threads of their own, bounded in number, equal ones shared.

A thread pool is not used because its threads keep the process alive when a call hangs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from ironpost_core import IronpostError
from ironpost_daemon.calls import describe

T = TypeVar("T")


class BusyError(IronpostError):
    """As many calls as allowed are under way already."""


class CallFailedError(IronpostError):
    """The call raised something that is not ironpost's own."""


class SharedCalls:
    """Runs functions on threads named `name`, at most `limit` at a time. Use it on one event loop only."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._running: dict[Hashable, asyncio.Future[Any]] = {}

    async def run(self, key: Hashable, function: Callable[[], T], timeout: float) -> T:
        """What `function` returns, or what the call under way with the same `key` returns.

        Args:
            key: equal keys mean equal results.
            function: called on a thread of its own; when it hangs, it costs this one thread.
            timeout: seconds to wait for it.

        Raises:
            BusyError: too many other calls are under way.
            TimeoutError: it did not return in time; it goes on and is still shared.
            IronpostError: what `function` raised of this tree, `CallFailedError` for anything else.
        """
        future = self._running.get(key) or self._begin(key, function)
        async with asyncio.timeout(timeout):
            return cast("T", await asyncio.shield(future))

    def _begin(self, key: Hashable, function: Callable[[], object]) -> asyncio.Future[Any]:
        if len(self._running) >= self._limit:
            raise BusyError(f"{self._limit} requests of this kind are being worked on already")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        future.add_done_callback(_seen)

        def work() -> None:
            result, error = _outcome(function)
            try:
                loop.call_soon_threadsafe(self._settle, key, future, result, error)
            except RuntimeError:
                return  # the loop was closed meanwhile: nobody waits any more

        thread = threading.Thread(target=work, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError as failure:
            raise BusyError(f"no thread can be started: {failure}") from failure
        self._running[key] = future
        return future

    def _settle(self, key: Hashable, future: asyncio.Future[Any], result: object, error: IronpostError | None) -> None:
        del self._running[key]
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)


def _outcome(function: Callable[[], object]) -> tuple[object, IronpostError | None]:
    try:
        return function(), None
    except IronpostError as error:
        return None, error
    except BaseException as error:  # noqa: BLE001 - the stated boundary: told to who waits, who logs it
        failed = CallFailedError(describe(error))
        failed.__cause__ = error
        return None, failed


def _seen(future: asyncio.Future[Any]) -> None:
    """Have asyncio know that the error was looked at, also when everybody who waited has left."""
    if not future.cancelled():
        future.exception()
