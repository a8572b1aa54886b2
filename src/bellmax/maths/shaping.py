"""Rewards that lead the way without changing what is best."""

from __future__ import annotations

from typing import Any


def shaping_reward(potential: Any, next_potential: Any, discount: Any) -> Any:
    """F = gamma Phi(s') - Phi(s), where `discount` is gamma times the transition's own: 0 at a terminal state.

    Ng, Harada & Russell, Policy invariance under reward transformations: theory and application to reward shaping,
    1999, Theorem 1 (https://people.eecs.berkeley.edu/~pabbeel/cs287-fa09/readings/NgHaradaRussell-shaping-ICML1999.pdf).
    With F added to every reward, V and Q of every policy fall by Phi(s), so that the best policies stay the best. Where
    an episode ends for good, Phi is 0; where it is only cut short, the discount is not 0 and Phi(s') counts. NumPy or
    JAX, any shape.
    """
    return discount * next_potential - potential
