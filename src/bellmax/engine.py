"""One face for both drivers: what a session asks of whatever does the training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from bellmax.core import Algorithm, Spec
from bellmax.drivers import evaluate, fused, hosted, ingraph
from bellmax.drivers.evaluate import Evaluation
from bellmax.drivers.fleet import Fleet
from bellmax.drivers.learn import diagnose
from bellmax.memory import find_room
from bellmax.plan import Plan

Totals = dict[str, Any]
Change = Callable[[int, Any], Any]  # the number of a seed and its fresh run -> the run it is to begin as


class Engine(Protocol):
    """Training that can go on, be looked at, and be saved. Lists have one entry a seed."""

    spec: Spec

    def begin_as(self, change: Change) -> None: ...
    def compile(self) -> None: ...
    def advance(self, most_steps: Sequence[int], stop: Callable[[], bool]) -> list[Totals]: ...
    def rescued(self) -> list[Totals]: ...
    def tree(self) -> Any: ...
    def state(self, index: int) -> Any: ...
    def evaluate(self, index: int, episodes: int) -> Evaluation: ...
    def sound(self) -> list[bool]: ...
    def diagnose(self, index: int) -> tuple[Any, dict[str, Any]]: ...
    def remarks(self, rows: Sequence[dict[str, Any]]) -> list[str]: ...
    def close(self) -> None: ...


def _silent(text: str) -> None:
    pass


Say = Callable[[str], Any]


def engine(plan: Plan, tree: Any = None, sessions: int = 0, say: Say = _silent) -> Engine:
    """The engine for a plan: fresh, or going on with the `tree` of a checkpoint after so many earlier `sessions`.

    `say` hears how much memory stored experience takes, before it is taken.
    """
    if plan.driver == "language":
        from bellmax.alignment.engine import Language

        return Language(plan, tree)  # type: ignore[arg-type,return-value]
    if plan.driver == "offline":
        from bellmax.data.engine import Offline

        return Offline(plan, tree, say)
    return InGraph(plan, tree, say) if plan.ingraph else Hosted(plan, tree, sessions, say)


def template(plan: Plan, spec: Spec) -> Any:
    """The shapes of the tree that a checkpoint of this plan holds."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    if plan.driver == "language":
        from bellmax.alignment.engine import template as of_language

        return of_language(plan)  # type: ignore[arg-type]
    if plan.driver == "offline":
        from bellmax.data.engine import template as of_logged

        run = of_logged(plan.algorithm, spec)
    elif plan.ingraph:
        run = jax.eval_shape(lambda key: ingraph.start(plan.algorithm, plan.env, key, plan.num_envs), key)
    else:
        run = jax.eval_shape(lambda key: fused.start(plan.algorithm, spec, key), key)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((len(plan.seeds), *x.shape), x.dtype), run)


def evaluate_policy(
    algorithm: Algorithm, env: Any, state: Any, *, seed: int, episodes: int, greedy: bool = True
) -> Evaluation:
    """Whole episodes in fresh environments, whose seeds are never those of training."""
    key = jax.random.fold_in(jax.random.key(seed), 1)
    env = getattr(env, "for_evaluation", env)  # where training bends the rules, such as Atari's rewards and lives
    if not hasattr(env, "vector"):
        return evaluate.ingraph(algorithm, env, state, key, episodes=episodes, greedy=greedy)
    envs = env.vector(min(episodes, 16), env_seed(seed, 1))
    try:
        return evaluate.hosted(algorithm, envs, state, key, episodes=episodes, greedy=greedy)
    finally:
        envs.close()


def env_seed(seed: int, purpose: int, session: int = 0) -> int:
    """A seed for hosted environments. purpose: 0 training, 1 evaluation."""
    return int(np.random.SeedSequence([seed, purpose, session]).generate_state(1)[0]) % 2**31


class InGraph:
    """All seeds of a plan in the graph."""

    def __init__(self, plan: Plan, tree: Any = None, say: Say = _silent):
        self.plan = plan
        self.spec = Spec(plan.env.spec.obs, plan.env.spec.action, plan.num_envs)
        find_room(plan, self.spec, say)
        self._fleet = Fleet([plan.algorithm] * len(plan.seeds), plan.env, plan.seeds, plan.num_envs, tree)

    def begin_as(self, change: Change) -> None:
        self._fleet.begin_as(change)

    def compile(self) -> None:
        self._fleet.compile()

    def advance(self, most_steps: Sequence[int], stop: Callable[[], bool]) -> list[Totals]:
        return self._fleet.advance(2**31 - 1, most_steps)

    def rescued(self) -> list[Totals]:
        return []

    def tree(self) -> Any:
        return self._fleet.runs

    def state(self, index: int) -> Any:
        return self._fleet.run(index).state

    def evaluate(self, index: int, episodes: int) -> Evaluation:
        seed = self.plan.seeds[index]
        return evaluate_policy(self.plan.algorithm, self.plan.env, self.state(index), seed=seed, episodes=episodes)

    def sound(self) -> list[bool]:
        return [bool(self._fleet.run(index).sound) for index in range(len(self.plan.seeds))]

    def diagnose(self, index: int) -> tuple[Any, dict[str, Any]]:
        run, algorithm, env = self._fleet.run(index), self.plan.algorithm, self.plan.env
        run = jax.jit(ingraph.replay)(algorithm, env, run)
        fresh, key = jax.jit(ingraph.last_batch)(algorithm, env, run)
        return diagnose(algorithm, run.state, run.buffer, fresh, key)

    def remarks(self, rows: Sequence[dict[str, Any]]) -> list[str]:
        return []

    def close(self) -> None:
        self._fleet.close()


class Hosted:
    """One seed of a plan on the host; many seeds are many processes (see `bellmax.processes`)."""

    def __init__(self, plan: Plan, tree: Any = None, sessions: int = 0, say: Say = _silent):
        self.plan, seed = plan, plan.seeds[0]
        self._envs = plan.env.vector(plan.num_envs, env_seed(seed, 0, sessions))
        self.spec = Spec(self._envs.spec.obs, self._envs.spec.action, plan.num_envs)
        host = find_room(plan, self.spec, say)
        run = None if tree is None else jax.tree.map(lambda x: x[0], tree)
        self._drive = hosted.Drive(plan.algorithm, self._envs, jax.random.key(seed), run, plan.overlap, host)

    def begin_as(self, change: Change) -> None:
        self._drive.begin_as(lambda run: change(0, run))

    def compile(self) -> None:
        self._drive.compile()

    def advance(self, most_steps: Sequence[int], stop: Callable[[], bool]) -> list[Totals]:
        return [self._drive.advance(2**31 - 1, most_steps[0], stop)]

    def rescued(self) -> list[Totals]:
        return [self._drive.total]

    def tree(self) -> Any:
        return jax.tree.map(lambda x: x[None], self._drive.run)

    def state(self, index: int) -> Any:
        return self._drive.state

    def evaluate(self, index: int, episodes: int) -> Evaluation:
        seed = self.plan.seeds[index]
        return evaluate_policy(self.plan.algorithm, self.plan.env, self.state(index), seed=seed, episodes=episodes)

    def sound(self) -> list[bool]:
        return [self._drive.sound]

    def diagnose(self, index: int) -> tuple[Any, dict[str, Any]]:
        run = self._drive.run
        return diagnose(self.plan.algorithm, run.state, run.buffer, self._drive.window, self._drive.learn_key)

    def remarks(self, rows: Sequence[dict[str, Any]]) -> list[str]:
        return []

    def close(self) -> None:
        self._envs.close()
