"""Many seeds on the host: a process for each core, a run folder for each seed inside the run's own.

A worker is `python -m bellmax.worker`; it reads folders to train from standard input and answers with JSON lines. It
stops when its parent does. Whatever is left of a folder is trained, so that going on with a run is starting it again.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bellmax.display import Display, Facts
from bellmax.plan import Plan
from bellmax.runs import RunFolder, provenance
from bellmax.runs.folder import Status


class SeedFailed(RuntimeError):
    """A seed's training raised; the message has its traceback. The other seeds were stopped and can go on."""


def carry_out(plan: Plan, folder: RunFolder | None, display: Display, load: Callable[..., Any]) -> Any:
    """Train every seed of the plan -> the run, loaded from its folder."""
    if folder is None:
        with tempfile.TemporaryDirectory() as place:
            return carry_out(plan, RunFolder.create(place, "run"), display, load)
    with folder.lock():
        envs = plan.env.vector(plan.num_envs, 0)
        config = plan.config(envs.spec) | {"provenance": provenance()}
        envs.close()
        if not (folder.path / "config.json").exists():
            folder.write_config(config)
        children = [folder.child(seed) for seed in plan.seeds]
        for child, seed in zip(children, plan.seeds):
            child.write_config(config | {"seeds": [seed]})
        _train(plan, folder, children, display)
        run = load(folder.path, algorithm=type(plan.algorithm), env=plan.env)
    return run


def _train(plan: Plan, folder: RunFolder, children: list[RunFolder], display: Display) -> None:
    began = time.perf_counter()
    status: Status = "failed"
    where = str(folder.path)
    facts = Facts(
        plan.algorithm_name, plan.env_name, "hosted", plan.steps, plan.num_envs, list(plan.seeds), plan.recipe, where, 0
    )
    display.start(facts)
    crew = Crew(plan, children)
    try:
        folder.status = "running"
        for event in crew.events():
            _show(display, event)
        status = "finished"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        crew.stop()
        folder.status = status
        seconds, steps = time.perf_counter() - began, sum(crew.taken.values())
        rate = steps / seconds
        facts_at_end = {"status": status, "steps": steps, "run": seconds, "compile": 0.0, "steps_per_second": rate}
        display.finish(facts_at_end | {"score": crew.score, "folder": where})


def _show(display: Display, event: dict[str, Any]) -> None:
    kind = event.pop("event")
    if kind in ("row", "evaluation", "note"):
        getattr(display, kind)(event["text"] if kind == "note" else event)


class Crew:
    """Workers, each given the next folder when it is free."""

    def __init__(self, plan: Plan, children: list[RunFolder]):
        self.taken: dict[int, int] = dict.fromkeys(plan.seeds, 0)
        self._scores: dict[int, float] = {}
        self._waiting: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._heard: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        for child in children:
            self._waiting.put(child.path)
        count = min(os.cpu_count() or 1, len(children))
        self._workers = [self._hire(plan) for _ in range(count)]
        for worker in self._workers:
            self._waiting.put(None)
            threading.Thread(target=self._serve, args=(worker,), daemon=True).start()

    @property
    def score(self) -> float:
        """The mean over seeds of the latest score of each."""
        return sum(self._scores.values()) / len(self._scores) if self._scores else float("nan")

    def events(self) -> Any:
        """What the workers say, until all is trained. Raises SeedFailed."""
        busy = len(self._workers)
        while busy:
            event = self._heard.get()
            if event is None:
                busy -= 1
            elif event["event"] == "failed":
                raise SeedFailed(f"Training failed in {event['folder']}:\n{event['traceback']}")
            else:
                if event["event"] == "row":
                    self.taken[event["seed"]] = event["step"]
                    if event["score"] is not None:
                        self._scores[event["seed"]] = event["score"]
                yield event

    def stop(self) -> None:
        """Ask the workers to save and leave, and wait for them."""
        for worker in self._workers:
            if worker.poll() is None:
                worker.terminate()
        for worker in self._workers:
            try:
                worker.wait(60)
            except subprocess.TimeoutExpired:
                worker.kill()

    def _hire(self, plan: Plan) -> subprocess.Popen[str]:
        flags = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
        worker = subprocess.Popen(
            [sys.executable, "-m", "bellmax.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ
            | {"XLA_FLAGS": flags.strip(), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,  # Ctrl-C is the parent's to hear
        )
        say(worker.stdin, {"env": _packed(plan), "parent": os.getpid()})
        return worker

    def _serve(self, worker: subprocess.Popen[str]) -> None:
        """Feed one worker, and pass on what it says."""
        while (path := self._waiting.get()) is not None:
            say(worker.stdin, {"folder": str(path)})
            for line in worker.stdout:  # type: ignore[union-attr]
                event = json.loads(line)
                if event["event"] == "done":
                    break
                self._heard.put(event)
            else:
                text = f"the worker ended with exit code {worker.wait()}"
                self._heard.put({"event": "failed", "folder": str(path), "traceback": text})
                break
        worker.stdin.close()  # type: ignore[union-attr]
        self._heard.put(None)


def _packed(plan: Plan) -> str | None:
    """An environment that has no name, for the worker's eyes only; it goes through a pipe, never into a file."""
    import cloudpickle

    packed = [None if plan.env.reference else plan.env, type(plan.algorithm)]
    return base64.b64encode(cloudpickle.dumps(packed)).decode()


def say(pipe: Any, message: dict[str, Any]) -> None:
    """One message, as one line."""
    pipe.write(json.dumps(message) + "\n")
    pipe.flush()
