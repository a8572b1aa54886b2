"""Finite horizon: the best policy for each number of steps to go (Bellman, 1957; Puterman, section 4.5).

v_horizon(s) = 0,        v_t(s) = max_a [ r(s,a) + gamma sum_s' p(s'|s,a) v_{t+1}(s') ]
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from bellmax.mdp.layout import Model, precision, prepare
from bellmax.mdp.model import MDP
from bellmax.mdp.sweeps import action_values


def backward_induction(mdp: MDP, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Solve `mdp` for `horizon` steps -> values [horizon + 1, states], policy int [horizon, states].

    Row t is for when t steps have been made: `values[0]` is the value of the whole horizon, `values[horizon]` is 0.
    gamma may be 1, whether or not anything ends. Of equal actions the first is chosen.
    """
    if not isinstance(horizon, int | np.integer) or horizon < 0:
        raise ValueError(f"horizon = {horizon!r}: give a whole number of steps, 0 or more.")
    with precision(mdp.probability.dtype):
        values, policy = _back(prepare(mdp), int(horizon))
        return np.asarray(values), np.asarray(policy)


@partial(jax.jit, static_argnames="horizon")
def _back(model: Model, horizon: int) -> tuple[Array, Array]:
    def step(values: Array, _: None) -> tuple[Array, tuple[Array, Array]]:
        q = action_values(model, values)
        best = jnp.max(q, axis=0)
        return best, (best, jnp.argmax(q, axis=0).astype(jnp.int32))

    end = jnp.zeros(model.absorbing.shape, model.probability.dtype)
    _, (values, policy) = lax.scan(step, end, None, length=horizon)
    return jnp.concatenate([values[::-1], end[None]]), policy[::-1]
