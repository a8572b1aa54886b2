"""The controller of World Models, found by evolution, in the dream alone."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.algorithms.models.world_models import State, WorldModels, controlled
from bellmax.core import Decision, Env
from bellmax.models import imagine
from bellmax.models.mixture_dream import MixtureDream
from bellmax.run import Run


def dream(
    run: Run,
    *,
    generations: int = 60,
    population: int = 32,
    rollouts: int = 16,
    length: int = 200,
    temperature: float = 1.0,
    deviation: float = 0.5,
    remembers: bool = True,
) -> Run:
    """The run of a `WorldModels` with controllers that CMA-ES has found in the dreams of its seeds -> a run.

    generations, population    CMA-ES (Hansen & Ostermeier, 2001, https://doi.org/10.1162/106365601750190398; `cma`)
    rollouts, length           dreams that a controller is judged by, the same for all, and how many steps they have
    temperature                how uncertain the dream is
    deviation                  of the weights that it begins with
    remembers                  if not, the controller sees z alone, without h

    A run with a folder gets the controllers in its latest checkpoint too. Raises ValueError, ImportError.
    """
    algorithm: Any = run.algorithm
    if not isinstance(algorithm, WorldModels) or not isinstance(run.plan.env, Env):
        raise ValueError(
            f"run = {run!r}: only what WorldModels has learned, in the graph and without wrappers, can be dreamt."
        )
    found = []
    for index, seed in enumerate(run.seeds):
        world = dreamt(run.state_of(index), run.plan.env, seed, temperature)
        settings = generations, population, rollouts, length, deviation, remembers
        found.append(_evolved(algorithm, world, seed, *settings))
    state = run.state._replace(controller=np.stack(found))
    tree = run.tree._replace(state=state)
    if run.folder is not None:
        run.folder.checkpoints.save(max(run.meta["taken"]), tree, run.meta)
    return Run(run.plan, run.spec, tree, run.meta, run.metrics, run.evaluations, run.timing, run.folder)


def dreamt(state: State, env: Env, seed: int = 0, temperature: float = 1.0, starts: int = 256) -> MixtureDream:
    """What one seed of a run has learned, as an environment; episodes begin as those of `env`."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 2), starts)
    first = jax.jit(lambda keys: state.autoencoder.encode(jax.vmap(env.reset)(keys)[1])[0])(keys)
    return MixtureDream(state.memory, first, temperature)


def _evolved(
    algorithm: WorldModels,
    world: MixtureDream,
    seed: int,
    generations: int,
    population: int,
    rollouts: int,
    length: int,
    deviation: float,
    remembers: bool,
) -> np.ndarray:
    """The mean of the last generation, as a controller."""
    try:
        import cma
    except ImportError as error:
        raise ImportError(f'a controller is found by cma ({error}): pip install "bellmax[cma]"') from error
    shape = algorithm.latent + algorithm.memory_size + 1, world.memory.actions.size
    sees = np.ones(shape, bool)
    sees[algorithm.latent : -1] = remembers

    def controllers(candidates: Any) -> np.ndarray:
        made = np.zeros((len(candidates), *shape), np.float32)
        made[:, sees] = np.asarray(candidates)
        return made

    judge = jax.jit(lambda world, made, key: dreamt_scores(world, made, key, rollouts, length))
    settings = {"popsize": population, "seed": seed + 1, "verbose": -9}
    search = cma.CMAEvolutionStrategy(np.zeros(int(sees.sum())), deviation, settings)
    for generation in range(generations):
        candidates = search.ask()
        key = jax.random.fold_in(jax.random.key(seed), generation)
        search.tell(candidates, (-np.asarray(judge(world, controllers(candidates), key), np.float64)).tolist())
    return controllers([search.result.xfavorite])[0]


def dreamt_scores(world: MixtureDream, controllers: Array, key: Array, rollouts: int, length: int) -> Array:
    """The mean score of each controller [many, features, outputs] over the same dreams -> [many]."""
    reset_key, dream_key = jax.random.split(key)
    state, obs = jax.vmap(world.reset)(jax.random.split(reset_key, rollouts))
    space = world.spec.action

    def score(controller: Array) -> Array:
        def choose(features: Array, key: Array) -> Decision:
            return Decision(controlled(controller, features, space))

        steps = imagine(world, choose, state, obs, dream_key, length)
        return (steps.reward * steps.weight).sum(0).mean()

    return jax.vmap(score)(jnp.asarray(controllers))
