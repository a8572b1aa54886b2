"""What a search through a tree of moves asks of the values it has found."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from bellmax.maths.distributions import ILLEGAL


def is_legal(prior_logits: Array) -> Array:
    """The moves that a masked policy left open, bool of the same shape."""
    return prior_logits > 0.5 * ILLEGAL


def mean_values(q: Array, visits: Array, prior_logits: Array) -> Array:
    """Q(s,a) of PUCT: the mean of what was found behind a move, 0 if it was never made, -inf if it is illegal; [moves].

    Silver et al., 2018 (https://doi.org/10.1126/science.aar6404), methods: Q of a new edge is 0, and nothing is
    rescaled, because outcomes lie in -1 .. 1. The -inf is for nodes below the root: a prior of 0 alone would leave an
    illegal move a score of 0, and that is more than a lost position has to offer.
    """
    return jnp.where(is_legal(prior_logits), jnp.where(visits > 0, q, 0.0), -jnp.inf)


def value_range(q: Array, visits: Array, least: float = 1e-3) -> Array:
    """max Q - min Q over the moves that were made anywhere in a tree [nodes, moves], at least `least`.

    Dividing by it is the min-max scaling of Schrittwieser et al., 2020 (https://arxiv.org/abs/1911.08265, eq. 5), but
    for a shift that no policy sees. Where nothing was made there is nothing to scale.
    """
    made = visits > 0
    highest, lowest = jnp.where(made, q, -jnp.inf).max(), jnp.where(made, q, jnp.inf).min()
    return jnp.maximum(jnp.where(made.any(), highest - lowest, 1.0), least)


def proven_value(proven: Array, legal: Array) -> Array:
    """The worth of a position whose moves [moves] are proven won (1), lost (-1) or not known (0) -> one of these.

    Won if one move is, lost if all are (Winands et al., 2008, https://doi.org/10.1007/978-3-540-87608-3_3).
    """
    won, lost = (legal & (proven == 1)).any(), legal.any() & (~legal | (proven == -1)).all()
    return jnp.where(won, 1.0, jnp.where(lost, -1.0, 0.0))
