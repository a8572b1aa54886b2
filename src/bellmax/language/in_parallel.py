"""Calls of other people's functions, several at once, each with a time-out.

Threads that hang are left behind. They are daemons: they keep no process from ending, as those of a thread pool would.
A time-out is noticed only when Python gets its turn: C code that holds the interpreter lock cannot be timed out.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

MOST_HANGING = 2_000  # threads; more are no bad luck, and would fill the memory
STUCK = 0.25  # share of the time-out after which a call no longer counts as one that is being worked on


class Outcome(NamedTuple):
    """What became of a call."""

    value: Any
    error: BaseException | None  # None where it answered


def in_parallel(calls: Sequence[Callable[[], Any]], timeout: float, workers: int) -> list[Outcome]:
    """Call them all, `workers` at once -> outcomes, in the order of `calls`; raises nothing that a call raises.

    A call's time begins when it is called. Where all workers are stuck with calls that take long, as many more are
    hired: hanging calls together cost little more than one time-out. RuntimeError if thousands of calls hang.
    """
    return _Crew(calls, timeout, workers).work()


class _Crew:
    """The workers of one list of calls. What is written is written under `turn`."""

    def __init__(self, calls: Sequence[Callable[[], Any]], timeout: float, workers: int):
        self.calls, self.timeout, self.workers = calls, timeout, workers
        self.turn = threading.Condition()
        self.outcomes: list[Outcome | None] = [None] * len(calls)
        self.next, self.left = 0, len(calls)  # the next call to be made; calls without outcome
        self.running: dict[threading.Thread, tuple[int, float]] = {}  # which call, since when

    def work(self) -> list[Outcome]:
        with self.turn:
            try:
                self._hire(self.workers)
                while self.left:
                    self.turn.wait(self._patience())
                    self._leave_behind()
            finally:  # after Ctrl-C, too: nobody begins another call
                self.next = len(self.calls)
                self.running.clear()
        return [outcome for outcome in self.outcomes if outcome is not None]

    def _hire(self, count: int) -> None:
        for _ in range(min(count, len(self.calls) - self.next)):
            worker = threading.Thread(target=self._serve, args=(self.next,), daemon=True)
            self.running[worker] = self.next, time.monotonic()
            self.next += 1
            worker.start()

    def _patience(self) -> float:
        """Seconds until a call is late, or all workers are stuck."""
        starts = [since for _, since in self.running.values()]
        wake = min(starts) + self.timeout
        if self.next < len(self.calls):
            wake = min(wake, max(starts) + STUCK * self.timeout)
        return max(wake - time.monotonic(), 1e-3)

    def _leave_behind(self) -> None:
        """Give up calls that are late, and hire where all workers are stuck."""
        now = time.monotonic()
        late = [worker for worker, (_, since) in self.running.items() if now - since >= self.timeout]
        for worker in late:
            index, _ = self.running.pop(worker)
            self._write(index, Outcome(None, TimeoutError(f"no answer within {self.timeout:g} s")))
            _HANGING.add(worker)
        if late:
            _check_hanging()
            self._hire(self.workers - len(self.running))
        starts = [since for _, since in self.running.values()]
        if starts and now - max(starts) >= STUCK * self.timeout:
            self._hire(len(starts))

    def _serve(self, index: int | None) -> None:
        """What a worker does, beginning with call number `index`."""
        while index is not None:
            try:
                outcome = Outcome(self.calls[index](), None)
            except BaseException as error:  # SystemExit, too: a worker must not vanish
                outcome = Outcome(None, error)
            index = self._turn_in(index, outcome)

    def _turn_in(self, index: int, outcome: Outcome) -> int | None:
        """Write down what became of a call -> the next one; None where there is none, or it came too late."""
        me = threading.current_thread()
        with self.turn:
            if self.running.pop(me, None) is None:
                return None
            self._write(index, outcome)
            if self.left == 0:
                self.turn.notify()
            if self.next == len(self.calls):
                return None
            index, self.next = self.next, self.next + 1
            self.running[me] = index, time.monotonic()
            return index

    def _write(self, index: int, outcome: Outcome) -> None:
        self.outcomes[index] = outcome
        self.left -= 1


_HANGING: set[threading.Thread] = set()


def _check_hanging() -> None:
    _HANGING.difference_update([worker for worker in _HANGING if not worker.is_alive()])
    if len(_HANGING) > MOST_HANGING:
        raise RuntimeError(
            f"{len(_HANGING)} calls are hanging and will not end: give what they wait for a time-out of its own."
        )


class Loop:
    """One event loop for all coroutines of its owner, in a daemon thread: what belongs to a loop can be kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def settle(self, awaitable: Awaitable[Any], timeout: float) -> Any:
        """What an awaitable gives, from any thread; cancelled, with TimeoutError, if it takes too long."""
        loop = self._running()
        future = asyncio.run_coroutine_threadsafe(_awaited(awaitable), loop)
        try:
            return future.result(timeout)
        except TimeoutError:
            if future.done() and not future.cancelled():
                raise  # its own
            future.cancel()
            self._replace_if_blocked(loop)
            raise TimeoutError(f"no answer within {timeout:g} s") from None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, daemon=True).start()
            return self._loop

    def _replace_if_blocked(self, loop: asyncio.AbstractEventLoop) -> None:
        """A coroutine that sleeps or computes instead of awaiting must not keep the next ones waiting."""
        awake = threading.Event()
        loop.call_soon_threadsafe(awake.set)
        if not awake.wait(0.1):
            with self._lock:
                self._loop = None if self._loop is loop else self._loop


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
