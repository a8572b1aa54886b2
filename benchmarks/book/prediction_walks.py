"""The random walks of chapters 6, 7 and 12: walked once, learned from by every method at every step size."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.algorithms.tabular.batch_prediction import BatchPrediction
from bellmax.algorithms.tabular.lambda_return import LambdaReturn
from bellmax.algorithms.tabular.mc_prediction import MCPrediction
from bellmax.algorithms.tabular.n_step_td import NStepTD
from bellmax.algorithms.tabular.td_lambda import TDLambda
from bellmax.algorithms.tabular.td_prediction import TDPrediction
from bellmax.core import Algorithm, Transition
from bellmax.drivers import ingraph
from bellmax.envs import RandomWalk
from bellmax.experience import Episodes, Steps

RUNS, SEED = 100, 0
SMALL, LARGE = RandomWalk(), RandomWalk(states=19, left_reward=-1)
ALPHAS = np.array([0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], np.float32)
LAMBDAS = np.array([0.0, 0.4, 0.8, 0.9, 0.95, 0.975, 0.99, 1.0], np.float32)
NS = (1, 2, 4, 8, 16, 32, 64)


class Walks(NamedTuple):
    """The same episodes twice."""

    stream: Transition  # step by step: [run, round, 1, 1], weight 0 when the last episode is over
    episodes: Transition  # one a round: [run, episode, time, 1], weight 0 behind its end
    ends: np.ndarray  # [run, episode], the round of the stream in which it ends


def walk(env: RandomWalk, episodes: int, steps: int) -> Walks:
    """`episodes` of them in every run; `steps` must be enough."""
    walker = TDPrediction(experience=Steps(steps))

    def one(key: Array) -> Transition:
        return ingraph.collect(walker, env, ingraph.start(walker, env, key))[1]

    steps_of = jax.device_get(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(SEED), RUNS)))
    ends = np.stack([np.flatnonzero(last)[:episodes] for last in steps_of.last[..., 0]])
    counts = np.arange(ends.max() + 1) <= ends[:, -1:]
    stream = jax.tree.map(lambda x: x[:, : counts.shape[1], None], steps_of)
    stream = stream._replace(weight=counts[..., None, None].astype(np.float32))
    return Walks(stream, whole(stream, ends), ends)


def whole(stream: Transition, ends: np.ndarray) -> Transition:
    """The stream with every episode in a row of its own."""
    starts = np.concatenate([np.zeros((RUNS, 1), int), ends[:, :-1] + 1], axis=1)
    time = np.arange((ends - starts).max() + 1)
    place = np.minimum(starts[..., None] + time, ends[..., None])
    cut = jax.tree.map(lambda x: x[np.arange(RUNS)[:, None, None], place, :, 0], stream)
    return cut._replace(weight=(starts[..., None] + time <= ends[..., None])[..., None].astype(np.float32))


@functools.partial(jax.jit, static_argnums=1)
def learn(algorithm: Algorithm, env: RandomWalk, batches: Transition) -> Array:
    """V after every round of ONE run; batches: [round, time, 1] -> [round, states], without the two ends."""

    def step(state: object, batch: Transition) -> tuple[object, Array]:
        state, _ = algorithm.update(state, batch, key)
        return state, state.v[1:-1]

    key = jax.random.key(0)
    return jax.lax.scan(step, algorithm.init(key, env.spec), batches)[1]


def rms(algorithm: Algorithm, env: RandomWalk, batches: Transition, **floats: np.ndarray) -> np.ndarray:
    """RMS error over the states after every round: [settings of each of `floats` in turn, run, round].

    `floats` are fields of the algorithm, each a row of settings: every combination is tried in every run.
    """
    truth = jnp.asarray(env.values()[1:-1], jnp.float32)

    def one(values: tuple[Array, ...], batches: Transition) -> Array:
        v = learn(algorithm.replace(**dict(zip(floats, values))), env, batches)
        return jnp.sqrt(jnp.square(v - truth).mean(-1))

    grid = jnp.stack([x.ravel() for x in np.meshgrid(*floats.values(), indexing="ij")])
    every = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))
    errors = np.asarray(every(tuple(grid), batches))
    return errors.reshape(*map(len, floats.values()), *errors.shape[1:])


def at_ends(errors: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The rounds in which episodes ended: [..., run, round] -> [..., run, episode]."""
    return errors[..., np.arange(len(ends))[:, None], ends]


def small_walk(walks: Walks) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Example 6.2 -> {"TD 0.05": RMS error after 0, 1, ... episodes}, and V of one run of TD(0), alpha .1."""
    td = TDPrediction(gamma=1.0, initial=0.5)
    mc = MCPrediction(gamma=1.0, initial=0.5, decay=0.0)
    td_alphas, mc_alphas = np.float32([0.05, 0.1, 0.15]), np.float32([0.01, 0.02, 0.03, 0.04])
    errors = {
        "TD": (td_alphas, at_ends(rms(td, SMALL, walks.stream, learning_rate=td_alphas), walks.ends)),
        "MC": (mc_alphas, rms(mc, SMALL, walks.episodes, learning_rate=mc_alphas)),
    }
    first = float(np.sqrt(np.square(0.5 - SMALL.values()[1:-1]).mean()))
    curves = {
        f"{name} {alpha:g}": np.append(first, curve)
        for name, (alphas, found) in errors.items()
        for alpha, curve in zip(alphas, found.mean(-2))
    }
    one_run = jax.tree.map(lambda x: x[0], walks.stream)
    v = np.asarray(learn(td.replace(learning_rate=0.1), SMALL, one_run))[walks.ends[0]]
    return curves, np.concatenate([np.full((1, 5), 0.5), v])


def batch_walk(walks: Walks) -> dict[str, np.ndarray]:
    """Figure 6.2 -> {"TD" and "MC": RMS error after 1, 2, ... episodes, all seen so far fitted}."""
    length = walks.episodes.reward.shape[2]
    settings = {"gamma": 1.0, "initial": 0.5, "experience": Episodes(length), "tolerance": 1e-4}
    capacity = int(walks.ends.max()) + 1
    curves = {}
    for target in ("td", "mc"):
        algorithm = BatchPrediction(**settings, target=target, capacity=capacity)
        curves[target.upper()] = rms(algorithm, SMALL, walks.episodes, learning_rate=np.ones(1)).mean((0, 1))
    return curves


def n_step_curves(walks: Walks) -> dict[str, np.ndarray]:
    """Figure 7.2 -> {"4": RMS error [alpha] over all states and episodes}."""

    def curve(n: int) -> np.ndarray:
        return at_ends(rms(NStepTD(gamma=1.0, n=n), LARGE, walks.stream, learning_rate=ALPHAS), walks.ends)

    return {f"{n}": curve(n).mean((-2, -1)) for n in NS}


def lambda_curves(algorithm: LambdaReturn | TDLambda, walks: Walks) -> dict[str, np.ndarray]:
    """Figures 12.3, 12.6, 12.8 -> {"0.9": RMS error [alpha] over all states and episodes}."""
    settings = {"lambda_": LAMBDAS, "learning_rate": ALPHAS}
    if isinstance(algorithm, LambdaReturn):
        errors = rms(algorithm, LARGE, walks.episodes, **settings)
    else:
        errors = at_ends(rms(algorithm, LARGE, walks.stream, **settings), walks.ends)
    return {f"{lambda_:g}": curve for lambda_, curve in zip(LAMBDAS, errors.mean((-2, -1)))}
