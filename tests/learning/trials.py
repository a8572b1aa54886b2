"""Many short trainings of one algorithm in like worlds, compiled once and run one after the other."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.core import Algorithm
from bellmax.drivers import evaluate, ingraph
from bellmax.drivers.fleet import stack, unstack
from tests.learning.one_of import OneOf
from tests.learning.quick import QUICKLY

SEEDS = (0, 1, 2)


class Trial(NamedTuple):
    """What is to be trained, and where."""

    algorithm: Algorithm
    env: OneOf
    seed: int


class Trained(NamedTuple):
    """What came of a trial."""

    algorithm: Algorithm
    env: OneOf
    state: Any
    practice: float  # mean score of the episodes that ended in the last quarter of training, exploring

    def greedy(self) -> float:
        """Mean score of 100 greedy episodes in the world as it should be."""
        honest = self.env.replace(shuffled=0.0, cut_is_end=0.0)
        return evaluate.ingraph(self.algorithm, honest, self.state, jax.random.key(7)).mean


def train(trials: list[Trial], *, steps: int, num_envs: int) -> list[Trained]:
    """Train all, which differ in floats and seeds alone."""
    algorithms, envs, seeds = zip(*trials)
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    states, metrics = _train(stack(algorithms), stack(envs), keys, steps=steps, num_envs=num_envs)
    late = jax.tree.map(lambda x: np.asarray(x)[:, -x.shape[1] // 4 :].sum(1), metrics)
    practice = late["score"] / np.maximum(late["episodes"], 1)
    return [Trained(*row) for row in zip(algorithms, envs, unstack(states, len(trials)), practice)]


@functools.partial(jax.jit, static_argnames=("steps", "num_envs"), compiler_options=QUICKLY)
def _train(algorithms: Any, envs: Any, keys: Any, steps: int, num_envs: int) -> Any:
    def one(trial: Any) -> Any:
        run, metrics = ingraph.train(*trial, steps=steps, num_envs=num_envs)
        return run.state, {name: metrics[name] for name in ("score", "episodes")}

    return jax.lax.map(one, (algorithms, envs, keys))
