"""The face that a session asks for, over the offline driver."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp

from bellmax.core import Algorithm, Spec, Transition
from bellmax.drivers import offline
from bellmax.drivers.evaluate import Evaluation
from bellmax.drivers.fleet import stack
from bellmax.drivers.learn import diagnose
from bellmax.experience import Log
from bellmax.memory import find_room_for
from bellmax.plan import Plan
from bellmax.spaces import zeros


def spec_of(env: Any, num_envs: int = 1) -> Spec:
    """What so many environments show and accept; on the host one is made for a moment."""
    if not hasattr(env, "vector"):
        return Spec(env.spec.obs, env.spec.action, num_envs)
    envs = env.vector(num_envs if getattr(env, "ready", False) else 1, 0)
    try:
        return Spec(envs.spec.obs, envs.spec.action, num_envs)
    finally:
        envs.close()


def template(algorithm: Algorithm, spec: Spec) -> Any:
    """The shapes of one seed's run, whatever it learns from."""

    def begin() -> offline.Run:
        obs, one = zeros(spec.obs), jnp.float32(1)
        extras = {"return_to_go": one, "time": jnp.int32(0)}
        step = Transition(obs, zeros(spec.action), one, one, jnp.bool_(True), obs, extras, one)
        return offline.start(algorithm, Log(jax.tree.map(lambda x: x[None], step)), spec, jax.random.key(0))

    return jax.eval_shape(begin)


class Offline:
    """All seeds of a plan, from the same logged steps. On the CPU a thread a seed, on an accelerator one `vmap`."""

    def __init__(self, plan: Plan, tree: Any = None, say: Callable[[str], Any] = print):
        self.plan, self.spec = plan, spec_of(plan.env)
        say(str(plan.data))
        find_room_for(plan.data.log, say)
        self._log = jax.tree.map(jnp.asarray, plan.data.log)  # on the device once
        self._stacked = jax.default_backend() != "cpu" and len(plan.seeds) > 1
        self._threads = ThreadPoolExecutor(os.cpu_count())
        if tree is None:
            begin = jax.jit(lambda algorithm, log, key: offline.start(algorithm, log, self.spec, key))
            runs = [begin(plan.algorithm, self._log, jax.random.key(seed)) for seed in plan.seeds]
        else:
            tree = jax.tree.map(jnp.asarray, tree)._replace(sound=jnp.ones(len(plan.seeds), bool))
            runs = [jax.tree.map(lambda x: x[i], tree) for i in range(len(plan.seeds))]  # noqa: B023
        self._runs = [stack(runs)] if self._stacked else runs

    def begin_as(self, change: Callable[[int, Any], Any]) -> None:
        runs = [change(index, self.run(index)) for index in range(len(self.plan.seeds))]
        self._runs = [stack(runs)] if self._stacked else runs

    def compile(self) -> None:
        self.advance([0] * len(self.plan.seeds), bool)

    def advance(self, most_steps: Sequence[int], stop: Callable[[], bool]) -> list[dict[str, Any]]:
        most = jnp.asarray([min(steps, 2**31 - 1) for steps in most_steps], jnp.int32)
        if self._stacked:
            self._runs[0], totals = offline.advance(self.plan.algorithm, self._log, self._runs[0], most)
            totals = jax.device_get(totals)
            return [jax.tree.map(lambda x: x[i], totals) for i in range(len(most))]  # noqa: B023

        def one(index: int) -> dict[str, Any]:
            self._runs[index], total = offline.advance(self.plan.algorithm, self._log, self._runs[index], most[index])
            return jax.device_get(total)

        return list(self._threads.map(one, range(len(most))))

    def rescued(self) -> list[dict[str, Any]]:
        return []

    def run(self, index: int) -> offline.Run:
        """The run of one seed."""
        return jax.tree.map(lambda x: x[index], self._runs[0]) if self._stacked else self._runs[index]

    def tree(self) -> Any:
        return jax.device_get(self._runs[0] if self._stacked else stack(self._runs))

    def state(self, index: int) -> Any:
        return self.run(index).state

    def evaluate(self, index: int, episodes: int) -> Evaluation:
        from bellmax.engine import evaluate_policy

        seed = self.plan.seeds[index]
        return evaluate_policy(self.plan.algorithm, self.plan.env, self.state(index), seed=seed, episodes=episodes)

    def sound(self) -> list[bool]:
        return [bool(self.run(index).sound) for index in range(len(self.plan.seeds))]

    def diagnose(self, index: int) -> tuple[Any, dict[str, Any]]:
        run = self.run(index)
        return diagnose(self.plan.algorithm, run.state, *offline.served(self.plan.algorithm, self._log, run))

    def remarks(self, rows: Sequence[dict[str, Any]]) -> list[str]:
        return []

    def close(self) -> None:
        self._threads.shutdown()
