"""How much better actions are held than the one that was taken: what conservative learners keep small."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.maths.distributional import of_action


def soft_maximum(q: Array, legal: Array | None = None) -> Array:
    """log sum_a exp q(a) over the legal actions: [..., actions] -> [...]. 0 where nothing is legal."""
    if legal is None:
        return jax.nn.logsumexp(q, axis=-1)
    some = legal.any(-1, keepdims=True)
    held = jax.nn.logsumexp(jnp.where(legal | ~some, q, -jnp.inf), axis=-1)  # finite, so that its gradient is
    return jnp.where(some[..., 0], held, 0.0)


def conservative_gap(q: Array, action: Array, legal: Array | None = None) -> Array:
    """log sum_a exp q(a) - q(action): [batch, actions], [batch] -> [batch]. 0 where nothing is legal.

    Kumar et al., 2020 (https://arxiv.org/abs/2006.04779), eq. 4, with mu the softmax of q. Its gradient is mu less 1 on
    the action that was taken: what is descended takes from every action as much as it is preferred, and gives it all to
    that one.
    """
    gap = soft_maximum(q, legal) - of_action(q, action)
    return gap if legal is None else jnp.where(legal.any(-1), gap, 0.0)
