"""Carrying out a plan: train in slices, and between them log, evaluate, save, and listen for Ctrl-C."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from bellmax.display import Display
from bellmax.engine import Engine
from bellmax.plan import Plan
from bellmax.runs import RunFolder

COUNTS = ("steps", "episodes", "score", "length", "rounds", "learning_rounds")
SLICE = 1.0  # seconds between two looks at whether to stop


class Diverged(RuntimeError):
    """A metric became NaN or infinite; the message says which first, and where the batch that did it is."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or a request to terminate; the run was saved and can go on."""


class Session:
    """One sitting of a run. `past` is what the checkpoint it goes on from says of earlier sittings."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        display: Display,
        folder: RunFolder | None = None,
        sinks: tuple[Any, ...] = (),
        past: dict[str, Any] | None = None,
    ):
        self.plan, self.engine, self.display, self.folder, self.sinks = plan, engine, display, folder, sinks
        past = past or {}
        self.taken: list[int] = past.get("taken") or [0] * len(plan.seeds)
        self.seconds, self.sessions = past.get("seconds", 0.0), past.get("sessions", 0) + 1
        self.compile_seconds, self._spent, self._here, self._speed = 0.0, 0.0, 0, 0.0
        self._evaluated = self._saved = min(self.taken)
        self._open: list[dict[str, float]] = past.get("open") or [{} for _ in plan.seeds]  # sums since the last row
        self._since: list[float] = past.get("since") or [self.seconds] * len(plan.seeds)
        self.rows: list[dict[str, Any]] = []
        self.evaluations: list[dict[str, Any]] = []

    def compile(self) -> None:
        """Compile before the clock of the run starts."""
        self.display.compiling()
        began = time.perf_counter()
        self.engine.compile()
        self.compile_seconds = time.perf_counter() - began
        self.display.compiled(self.compile_seconds)

    def go(self) -> None:
        """Train to the end of the plan. Raises Interrupted, Diverged, or what an environment raised; all are saved."""
        if self.folder is not None and not self.folder.checkpoints.list():
            self.save()
        with _listening() as heard:
            try:
                while min(self.taken) < self.plan.steps:
                    self._advance(self._boundary(), heard)
                    self._look()
                    if heard.is_set():
                        raise Interrupted(self._advice())
            except Exception:
                self._count(self.engine.rescued())
                self._close_rows()
                self.save()
                raise
            except KeyboardInterrupt:
                self._close_rows()
                self.save()
                raise
        self.save()

    def _advice(self) -> str:
        if self.folder is None:
            return "interrupted; without a run folder there is nothing to go on with"
        return f"interrupted and saved; go on with: bellmax resume {self.folder.path}"

    def save(self) -> None:
        """Write a checkpoint of everything."""
        if self.folder is not None:
            self.folder.checkpoints.save(max(self.taken), self.engine.tree(), self.past)

    @property
    def past(self) -> dict[str, Any]:
        """What the next sitting needs to know of this one and those before it."""
        past = {"taken": self.taken, "seconds": self.seconds, "sessions": self.sessions}
        return past | {"open": self._open, "since": self._since}

    @property
    def timing(self) -> dict[str, float]:
        """Seconds of compiling and of running in this sitting, the steps of all seeds in all, and their rate."""
        steps = sum(self.taken)
        rate = self._here / self._spent if self._spent else 0.0
        return {"compile": self.compile_seconds, "run": self.seconds, "steps": steps, "steps_per_second": rate}

    def _boundary(self) -> int:
        """The next step count at which there is something to do, or a look at the clock is due."""
        plan, now = self.plan, min(self.taken)
        periods = [plan.log_every, plan.checkpoint_every, plan.evaluate_every or plan.steps]
        due = min([(now // period + 1) * period for period in periods] + [plan.steps])
        return min(due, now + max(1, int(self._speed * SLICE))) if self._speed else min(due, now + 1)

    def _advance(self, boundary: int, heard: threading.Event) -> None:
        began, before = time.perf_counter(), sum(self.taken)
        totals = self.engine.advance([max(boundary - taken, 0) for taken in self.taken], heard.is_set)
        elapsed = time.perf_counter() - began
        self.seconds, self._spent = self.seconds + elapsed, self._spent + elapsed
        self._count(totals)
        gained = sum(self.taken) - before
        self._here += gained
        self._speed = gained / len(self.taken) / max(elapsed, 1e-9)
        broken = [index for index, sound in enumerate(self.engine.sound()) if not sound]
        if broken:
            self._report(broken[0])

    def _count(self, totals: list[dict[str, Any]]) -> None:
        for index, total in enumerate(totals):
            self.taken[index] += int(total["steps"])
            for name, value in total.items():
                self._open[index][name] = self._open[index].get(name, 0.0) + float(value)

    def _look(self) -> None:
        """Evaluate, log and save what is due."""
        now, every = min(self.taken), self.plan.evaluate_every
        if every and (now // every > self._evaluated // every or now >= self.plan.steps > self._evaluated):
            self._evaluate()
        for index, taken in enumerate(self.taken):
            opened = taken - int(self._open[index].get("steps", 0))
            if taken // self.plan.log_every > opened // self.plan.log_every or taken >= self.plan.steps:
                self._close_row(index)
        if now // self.plan.checkpoint_every > self._saved // self.plan.checkpoint_every:
            self._saved = now
            self.save()

    def _close_rows(self) -> None:
        for index in range(len(self.plan.seeds)):
            self._close_row(index)

    def _close_row(self, index: int) -> None:
        """Turn the sums since the last row into a row."""
        sums, self._open[index] = self._open[index], {}
        if not sums.get("rounds"):
            return
        episodes, elapsed = sums["episodes"], self.seconds - self._since[index]
        self._since[index] = self.seconds
        row = {
            "seed": self.plan.seeds[index],
            "step": self.taken[index],
            "score": sums["score"] / episodes if episodes else None,
            "length": sums["length"] / episodes if episodes else None,
            "episodes": int(episodes),
            "time": round(self.seconds, 4),
            "steps_per_second": round(sums["steps"] / elapsed, 1) if elapsed > 0 else None,
        }
        learned = sums.get("learning_rounds", 0)
        row |= {name: value / learned if learned else None for name, value in sums.items() if name not in COUNTS}
        self.rows.append(row)
        if self.folder is not None:
            self.folder.append(row)
        for sink in (self.display, *self.sinks):
            sink.row(row)
        for remark in self.engine.remarks(self.rows):
            self.display.note(remark)

    def _evaluate(self) -> None:
        self._evaluated = min(self.taken)
        for index, seed in enumerate(self.plan.seeds):
            outcome = self.engine.evaluate(index, self.plan.evaluation_episodes)
            self.keep_evaluation(evaluation_row(seed, self.taken[index], outcome, greedy=True))
            if self.plan.driver == "offline":  # these are the only episodes there are
                sums = {"score": outcome.scores, "length": outcome.lengths, "episodes": np.ones(len(outcome.scores))}
                self._open[index] |= {name: float(np.sum(x)) for name, x in sums.items()}

    def keep_evaluation(self, row: dict[str, Any]) -> None:
        """Note the outcome of an evaluation wherever rows go."""
        self.evaluations.append(row)
        if self.folder is not None:
            self.folder.append_evaluation(row)
        self.display.evaluation(row)
        for sink in self.sinks:
            sink.row({"seed": row["seed"], "step": row["step"], "evaluation": row["mean"]})

    def _report(self, index: int) -> None:
        """Write down what broke, and raise."""
        batch, report = self.engine.diagnose(index)
        report |= {"seed": self.plan.seeds[index], "step": self.taken[index]}
        where = ""
        if self.folder is not None:
            where = f" The batch that did it is in {self.folder.write_failure(batch._asdict(), report)}."
        raise Diverged(
            f"{report['quantity']} became NaN or infinite after step {report['step']:,} of seed {report['seed']} "
            f"(gradient step {report['gradient_step']} of the update). The state before it was kept.{where} "
            "Try a smaller learning rate, or look for NaN in the environment's observations and rewards."
        )


def evaluation_row(seed: int, step: int, outcome: Any, greedy: bool) -> dict[str, Any]:
    """An evaluation as a row of evaluations.jsonl."""
    return {
        "seed": seed,
        "step": step,
        "mean": float(np.mean(outcome.scores)),
        "std": float(np.std(outcome.scores)),
        "greedy": greedy,
        "episodes": len(outcome.scores),
        "scores": [float(score) for score in outcome.scores],
        "lengths": [int(length) for length in outcome.lengths],
        "cut": int(np.sum(outcome.cut)),
    }


def latest_score(rows: list[dict[str, Any]], seeds: tuple[int, ...]) -> float:
    """The mean over seeds of the latest score that each has."""
    latest = {row["seed"]: row["score"] for row in rows if row.get("score") is not None}
    return float(np.mean(list(latest.values()))) if latest else math.nan


@contextmanager
def _listening() -> Iterator[threading.Event]:
    """Hear Ctrl-C and requests to terminate without breaking off in the middle of a step; a second one breaks off."""
    heard = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield heard
        return

    def hear(number: int, frame: FrameType | None) -> None:
        if heard.is_set():
            raise KeyboardInterrupt
        heard.set()

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
