"""Ways to explore, as interchangeable parts: each turns the values of one state into probabilities of its actions.

Action selection: Sutton & Barto, Reinforcement Learning, 2nd edition, chapter 2
(http://incompleteideas.net/book/the-book-2nd.html). An algorithm has a field `exploration` and asks

    probabilities(q, count, steps, legal) -> [actions], summing to 1

q        [actions], what each action is worth
count    [actions], how often each was taken here
steps    environment steps so far: the clock of the schedules
legal    [actions] bool, or None where all are
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen
from bellmax.maths.schedules import Scheduled, at
from bellmax.ranges import NonNegative


def greedy(q: Array, legal: Array | None = None) -> Array:
    """All on the best legal action, shared evenly between ties -> [actions]. All 0 where nothing is legal."""
    allowed = q if legal is None else jnp.where(legal, q, -jnp.inf)
    # The compiler may compute q twice, rounded differently: then nothing equals the best, but there is a first of them.
    ties = (q == best(q, legal)) | (jnp.arange(q.shape[-1]) == allowed.argmax())
    ties = ties if legal is None else ties & legal
    return ties / jnp.maximum(ties.sum(), 1)


def best(q: Array, legal: Array | None = None) -> Array:
    """The value of the best legal action: [..., actions] -> [...]. 0 where nothing is legal: all is over there."""
    if legal is None:
        return q.max(-1)
    return jnp.where(legal.any(-1), jnp.where(legal, q, -jnp.inf).max(-1), 0.0)


def evenly(q: Array, legal: Array | None = None) -> Array:
    """The same for every legal action -> [actions]."""
    allowed = jnp.ones(q.shape[-1], bool) if legal is None else legal
    return allowed / jnp.maximum(allowed.sum(), 1)


class EpsilonGreedy(Frozen):
    """The greedy action, but with probability epsilon any at all (section 2.2)."""

    epsilon: Scheduled = 0.1  # probability of an action drawn evenly

    def probabilities(self, q: Array, count: Array, steps: Array, legal: Array | None = None) -> Array:
        epsilon = at(self.epsilon, steps)
        return epsilon * evenly(q, legal) + (1 - epsilon) * greedy(q, legal)


class Boltzmann(Frozen):
    """Probabilities in proportion to exp(q / temperature) (exercise 2.9)."""

    temperature: Scheduled = 1.0  # high explores, low is greedy

    def probabilities(self, q: Array, count: Array, steps: Array, legal: Array | None = None) -> Array:
        logits = q / jnp.maximum(at(self.temperature, steps), 1e-8)
        return jax.nn.softmax(logits, where=legal)  # all 0 where nothing is legal


class UpperConfidence(Frozen):
    """Greedy on q + c sqrt(ln t / n), t the visits to the state with this one, untried actions first (eq. 2.10)."""

    c: NonNegative = 2.0  # how much uncertainty is worth

    def probabilities(self, q: Array, count: Array, steps: Array, legal: Array | None = None) -> Array:
        width = jnp.sqrt(jnp.log(count.sum() + 1) / jnp.maximum(count, 1e-8))
        return greedy(jnp.where(count > 0, q + self.c * width, jnp.inf), legal)


class CountBonus(Frozen):
    """Greedy on q + bonus / sqrt(n + 1): what was seldom tried looks better (Strehl & Littman, 2008)."""

    bonus: NonNegative = 1.0  # of an action never tried

    def probabilities(self, q: Array, count: Array, steps: Array, legal: Array | None = None) -> Array:
        return greedy(q + self.bonus / jnp.sqrt(count + 1), legal)


Exploration = EpsilonGreedy | Boltzmann | UpperConfidence | CountBonus


def expected(exploration: Exploration, q: Array, count: Array, steps: Array, legal: Array | None = None) -> Array:
    """sum_a pi(a|s) q(s,a) of many states, the policy being that of `exploration`: [n, actions] -> [n]; eq. 6.9.

    0 where nothing is legal: all is over there.
    """
    probabilities = jax.vmap(exploration.probabilities, (0, 0, None, 0))(q, count, steps, legal)
    return (probabilities * q).sum(-1)
