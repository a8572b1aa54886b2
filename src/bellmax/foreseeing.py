"""The memory of World Models, learned from all that a run has stored, as numbers instead of pictures."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.algorithms.models.world_models import State, WorldModels
from bellmax.core import Transition
from bellmax.experience import Sequences
from bellmax.maths.optimise import clipped_adam, descend
from bellmax.run import Run


def foresee(
    run: Run, *, updates: int = 3000, batch: int = 32, window: int = 24, learning_rate: float = 4e-3
) -> tuple[Run, dict[str, float]]:
    """The run of a `WorldModels` whose M has learned on, V as it is -> a run, what M's losses were in the last tenth.

    The paper's order: V, then M, then C. Each stored picture is looked at by V once, so that an update of M costs a
    hundredth of one in `bm.train`; M begins anew. z is drawn afresh for every batch of `batch` stretches of `window`
    steps; Adam's rate falls to 0. A run with a folder gets M in its latest checkpoint too. Raises ValueError.
    """
    algorithm: Any = run.algorithm
    if not isinstance(algorithm, WorldModels) or getattr(run.tree.buffer, "film", None) is not None:
        raise ValueError(f"run = {run!r}: only what WorldModels has learned and stored, each picture whole, will do.")
    food = Sequences(batch=batch, window=window, burn_in=0)
    states, losses = [], []
    for index, seed in enumerate(run.seeds):
        state, buffer = run.state_of(index), jax.tree.map(lambda x: jnp.asarray(x[index]), run.tree.buffer)  # noqa: B023
        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 3), updates + 1)
        state, metrics = _learned(algorithm, food, state, coded(state, buffer), keys, jnp.float32(learning_rate))
        states.append(state)
        losses.append({name: float(x[-max(updates // 10, 1) :].mean()) for name, x in metrics.items()})
    tree = run.tree._replace(state=jax.tree.map(lambda *x: np.stack(x), *jax.device_get(states)))
    if run.folder is not None:
        run.folder.checkpoints.save(max(run.meta["taken"]), tree, run.meta)
    made = Run(run.plan, run.spec, tree, run.meta, run.metrics, run.evaluations, run.timing, run.folder)
    return made, {name: float(np.mean([each[name] for each in losses])) for name in losses[0]}


def coded(state: State, buffer: Any) -> Any:
    """What is stored, with the mean and the log of the deviation of z in the place of every picture."""
    encode = jax.jit(lambda pictures: jax.lax.map(state.autoencoder.encode, pictures))
    steps: Transition = buffer.steps
    return buffer._replace(steps=steps._replace(obs=encode(steps.obs), next_obs=encode(steps.next_obs)))


@functools.partial(jax.jit, static_argnames="food")
def _learned(
    algorithm: WorldModels, food: Sequences, state: State, buffer: Any, keys: Array, rate: Array
) -> tuple[State, dict[str, Array]]:
    """A new M after as many updates as there are keys, but one."""
    optimizer, (first, *_) = clipped_adam(algorithm.max_grad_norm), state.memory.actions.spaces
    memory = type(state.memory)(keys[0], algorithm.latent, first, algorithm.memory_size, algorithm.mixtures)

    def step(carry: Any, now: tuple[Array, Array]) -> Any:
        (memory, opt_state), (key, left) = carry, now
        sample_key, *z_keys = jax.random.split(key, 3)
        batch = food.sample(buffer, buffer.steps, sample_key)
        z, next_z = (
            mean + jnp.exp(log_std) * jax.random.normal(k, mean.shape)
            for k, (mean, log_std) in zip(z_keys, (batch.obs, batch.next_obs))
        )
        grads, metrics = jax.grad(algorithm.foresee_loss, has_aux=True)(memory, batch, z, next_z)
        return descend(optimizer, memory, grads, opt_state, rate * left), metrics

    left = jnp.linspace(1.0, 0.0, len(keys) - 1)
    (memory, opt_state), metrics = jax.lax.scan(step, (memory, optimizer.init(memory)), (keys[1:], left))
    return state._replace(memory=memory, opt_states=(state.opt_states[0], opt_state)), metrics
