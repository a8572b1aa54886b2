"""Data sets from any run: its policy plays, and every step is written down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Spec, Transition
from bellmax.data import files
from bellmax.data.behaviour import Behaviour
from bellmax.data.columns import columns_of
from bellmax.data.finding import Logged, find
from bellmax.drivers import fused, hosted, ingraph
from bellmax.drivers.places import reset
from bellmax.engine import env_seed
from bellmax.experience import Steps
from bellmax.loading import load
from bellmax.run import Run

COLLECTING = 2  # what hosted environments are seeded for: 0 is training, 1 evaluating


def collect(
    run: Run | str | Path,
    steps: int = 100_000,
    output: str | Path | None = None,
    *,
    greedy: bool = False,
    epsilon: float = 0.0,
    seed: int = 0,
    policy: int = 0,
    num_envs: int = 8,
) -> Logged:
    """Let a run's policy play -> the steps, which `bellmax.train(..., data=)` takes; in a file too, if one is named.

    run         a run, or its folder
    steps       how many, in all environments together
    output      a .npz or .parquet file
    greedy      exploit; by default it explores, as it did in training
    epsilon     how often it does anything at all instead
    seed        of everything that is drawn, episodes too; the same gives the same steps (off the host)
    policy      the index of the seed of the run whose policy plays
    num_envs    environments side by side; when enough steps are there, their episodes are cut

    Raises ValueError before it plays. The policy does not learn, and statistics in it do not move.
    """
    path = None if output is None else files.check_suffix(Path(output))
    for name, value, least in (("steps", steps, 1), ("num_envs", num_envs, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} = {value!r}: give a whole number of at least {least}.")
    run = run if isinstance(run, Run) else load(run)
    if not 0 <= policy < len(run.seeds):
        raise ValueError(f"policy = {policy}: the run has {len(run.seeds)} seeds, give 0 to {len(run.seeds) - 1}.")
    num_envs = min(num_envs, steps)
    length = -(-steps // num_envs)  # of every environment
    food = Steps(min(length, 128))
    behaviour = Behaviour(run.algorithm, run.spec.action, greedy_inside=greedy, epsilon=epsilon, experience=food)
    play = _ingraph if run.plan.ingraph else _hosted
    rounds = play(behaviour, run.plan.env, run.state_of(policy), seed, num_envs, length)
    found = find(_in_a_row(rounds, steps, length), Spec(run.spec.obs, run.spec.action))
    if path is None:
        return found
    files.write(path, columns_of(found.log.steps, run.spec))
    return Logged(found.log, str(path.resolve()), found.checksum)


def _ingraph(behaviour: Behaviour, env: Any, state: Any, seed: int, num_envs: int, length: int) -> list[Transition]:
    """Rounds of steps, [time, env] each, that together are `length` long or longer."""
    place_key, run_key = jax.random.split(jax.random.fold_in(jax.random.key(seed), COLLECTING))
    place = jax.jit(reset, static_argnums=4)(behaviour, env, state, place_key, num_envs)
    rounds: list[Transition] = []
    run = ingraph.Run(state, None, place, run_key, jnp.int32(0), jnp.bool_(True))
    play: Callable[..., Any] = jax.jit(ingraph.collect)
    while len(rounds) * behaviour.experience.length < length:
        place, fresh, _ = play(behaviour, env, run)
        rounds.append(jax.device_get(fresh))
        run = run._replace(place=place, round=run.round + 1)
    return rounds


def _hosted(behaviour: Behaviour, source: Any, state: Any, seed: int, num_envs: int, length: int) -> list[Transition]:
    """The same on the host."""
    envs = source.vector(num_envs, env_seed(seed, COLLECTING))
    try:
        key: Array = jax.random.fold_in(jax.random.key(seed), COLLECTING)
        begun = fused.Run(state, None, key, jnp.int32(0), jnp.bool_(True))
        drive = hosted.Drive(behaviour, envs, run=begun)
        rounds: list[Transition] = []
        while len(rounds) * behaviour.experience.length < length:
            drive.advance(1, 2**31 - 1)
            rounds.append(drive.window)
        return rounds
    finally:
        envs.close()


def _in_a_row(rounds: list[Transition], steps: int, length: int) -> Transition:
    """Rounds [time, env] -> `steps` steps, environment behind environment, each cut after `length`."""
    whole = jax.tree.map(lambda *x: np.concatenate(x)[:length].swapaxes(0, 1), *rounds)
    whole.last[:, -1] = True
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), whole)
    real = flat.weight > 0
    flat = jax.tree.map(lambda x: x[real][:steps], flat)
    flat.last[-1] = True
    return flat
