"""One sweep over all states, and many: the inner loop of dynamic programming.

    (T v)(s) = max_a [ r(s,a) + gamma sum_s' p(s'|s,a) v(s') ]                     (Sutton & Barto, eq. 4.10)

The model is read once a sweep: expectation and best action are one fused loop. A barrier keeps the compiler from
taking the successors apart before the loop of sweeps, which would be more to read in each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from bellmax.mdp.layout import UNROLLED, Model

ROOM = 64  # sweeps between two looks from outside
_ONCE: dict[str, Any] = {"unique_indices": True, "indices_are_sorted": True}


class Swept(NamedTuple):
    """After some sweeps."""

    values: Array  # [states]
    residuals: Array  # [ROOM] max |T v - v| of each sweep
    sweeps: Array  # how many of them were made
    radius: Array  # how far `values`, moved to the middle of what is possible, can be from the optimum
    size: Array  # max |values|


@jax.jit
def backup(model: Model, values: Array) -> Array:
    """T v: the best expected return after one step, [states] -> [states]; both 0 in absorbing states."""
    return values + gain(model, values)


def gain(model: Model, values: Array) -> Array:
    """T v - v, [states] -> [states]; both 0 in absorbing states."""
    return _gain(model, _widen(model, values))


@jax.jit
def action_values(model: Model, values: Array) -> Array:
    """q(s,a) = r + gamma sum p v, [states] -> [actions, states]; -inf where illegal, 0 in absorbing states."""
    base, gains = _actions(model, _widen(model, values))
    q = base + jnp.stack(gains)
    if model.odd.size:
        q = q.at[:, model.odd].set(values[model.odd] + _odd(model, values), **_ONCE)
    return jnp.where(model.absorbing, 0, q)


@jax.jit
def iterate(model: Model, values: Array, factors: Array, target: Array, enough: Array, limit: Array) -> Swept:
    """Sweep until the bound is at most `target`, no value moves by more than `enough`, or `limit` (or ROOM) is reached.

    `factors` [2] are the least and the largest part of a difference that a step hands on, as `reach` describes.
    """

    def sweep(it: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        wide, residuals, made, _ = it
        moved = _gain(model, wide)  # 0 in absorbing states: true bounds, if not the sharpest
        low, high = jnp.min(moved), jnp.max(moved)
        new = _widen(model, _narrow(model, wide) + moved)
        residual = jnp.maximum(high, -low)
        return new, residuals.at[made].set(residual), made + 1, middle(low, high, factors)[1]

    def going(it: tuple[Array, Array, Array, Array]) -> Array:
        _, residuals, made, radius = it
        met = (radius <= target) | (residuals[made - 1] <= enough)
        return (made < limit) & (made < ROOM) & ((made == 0) | ~met)

    unmoved = jnp.zeros(ROOM, values.dtype), jnp.int32(0), jnp.asarray(jnp.inf, values.dtype)
    wide, residuals, made, radius = lax.while_loop(going, sweep, (_widen(model, values), *unmoved))
    values = _narrow(model, wide)
    return Swept(values, residuals, made, radius, jnp.max(jnp.abs(values)))


def extent(model: Model, difference: Array) -> tuple[Array, Array]:
    """The least and the largest of `difference` [states] over the states that are not absorbing."""
    low = jnp.min(jnp.where(model.absorbing, jnp.inf, difference))
    return low, jnp.max(jnp.where(model.absorbing, -jnp.inf, difference))


def middle(low: Array, high: Array, factors: Array) -> tuple[Array, Array]:
    """Bounds of MacQueen (1966) and Porteus (1971) on the optimum v* from one sweep of any v -> centre, radius.

    If low <= T v - v <= high, then T(T v) - T v <= a high, where a is the largest part of a positive (the least, of a
    negative) difference that a step hands on: gamma times the probability of not ending. Again and again,

        T v + low a / (1 - a) <= v* <= T v + high a / (1 - a),        |T v + centre - v*| <= radius.

    Where no step need lose anything (a = 1) this says nothing: the radius is infinite.
    """
    least, largest = factors[0], factors[1]
    up, down = jnp.where(high >= 0, largest, least), jnp.where(low <= 0, largest, least)
    upper, lower = high * up / (1 - up), low * down / (1 - down)
    says = largest < 1
    return jnp.where(says, (upper + lower) / 2, 0), jnp.where(says, (upper - lower) / 2, jnp.inf)


def _gain(model: Model, wide: Array) -> Array:
    """(T v - v) [states], of values that `_widen` made."""
    values = _narrow(model, wide)
    base, gains = _actions(model, wide)
    best = reduce(jnp.maximum, gains)
    if model.kind == "shifted":  # an absorbing state's probabilities are 0 there
        return best.at[model.odd].set(jnp.max(_odd(model, values), axis=0), **_ONCE) if model.odd.size else best
    return jnp.where(model.absorbing, 0, base + best) - values if base is not values else best


def _actions(model: Model, wide: Array) -> tuple[Array, list[Array]]:
    """-> a base, and for each action what to add to it for q [states].

    With float32 or shifts it is the state's own value v(s), since probabilities add up to 1:

        q(s,a) - v(s) = r(s,a) - (1 - gamma) v(s) + gamma sum_s' p(s'|s,a) (v(s') - v(s)),

    small numbers that round by little; sums of large values would leave errors of 1 / (1 - gamma) roundings in the end.
    For the last word nothing is taken for granted: `missing` says how far they are from 1; without shifts, base 0.
    """
    values, (actions, outcomes) = _narrow(model, wide), model.probability.shape[:2]
    gained = values.dtype == jnp.float32 or model.kind == "shifted"
    base = values if gained else jnp.zeros((), values.dtype)
    paid = model.reward - (1 - model.gamma * _total(model)) * base
    rewards = [paid[a % len(paid)] for a in range(actions)]
    if model.kind == "dense":
        expected = list(jnp.einsum("aks,k->as", model.probability, values) - base)
    elif actions * outcomes > UNROLLED and model.kind == "gathered":
        expected = list((model.probability * (_at(values, model.successor) - base)).sum(axis=1))
    else:
        ahead = _slices(model, wide) if model.kind == "shifted" else _look_ups(model, values)
        one = lambda a, k: model.probability[a, k] * (ahead(a, k) - base)
        expected = [sum(one(a, k) for k in range(outcomes)) for a in range(actions)]
    return base, [reward + model.gamma * of for reward, of in zip(rewards, expected)]


def _total(model: Model) -> Array | float:
    """What probabilities add up to, where it is to be known."""
    return 1 - model.missing.astype(model.reward.dtype) if model.missing.size else 1.0


def _reach(model: Model) -> int:
    """How far a shift leads at most."""
    return max((abs(ahead) for row in model.shifts for ahead in row), default=0)


def _widen(model: Model, values: Array) -> Array:
    """The values with room on both sides, so that every slice lies inside; as they are, if there are no shifts."""
    return jnp.pad(values, _reach(model)) if model.kind == "shifted" else values


def _narrow(model: Model, wide: Array) -> Array:
    """The values that `_widen` was given."""
    return lax.slice(wide, (_reach(model),), (wide.size - _reach(model),))


def _slices(model: Model, wide: Array) -> Callable[[int, int], Array]:
    """The values of the successors, as slices of the widened values."""
    reach, states = _reach(model), wide.size - 2 * _reach(model)
    starts = lambda action, outcome: reach + model.shifts[action][outcome]
    return lambda action, outcome: lax.slice(wide, (starts(action, outcome),), (starts(action, outcome) + states,))


def _look_ups(model: Model, values: Array) -> Callable[[int, int], Array]:
    """The values of the successors, looked up one by one."""
    successor, values = lax.optimization_barrier((model.successor, values))
    return lambda action, outcome: _at(values, successor[action, outcome])


def _at(values: Array, states: Array) -> Array:
    """The values at `states`, which are there: without looking whether they are."""
    return values.at[states].get(mode="promise_in_bounds")


def _odd(model: Model, values: Array) -> Array:
    """q(s,a) - v(s), [actions, odd], of the states that are unlike the others."""
    here = values[model.odd]
    ahead = (model.odd_chance * (_at(values, model.odd_next) - here)).sum(axis=1)
    total = _total(model)
    total = total if isinstance(total, float) else total[:, model.odd]
    return model.reward[:, model.odd] - (1 - model.gamma * total) * here + model.gamma * ahead


@jax.jit
def follow(model: Model, policy: Array) -> Model:
    """The model with one action only, the policy's [states]: a sweep over it reads less."""
    one = policy[None]
    reward = jnp.take_along_axis(model.reward, one, 0) if len(model.reward) > 1 else model.reward
    if model.kind == "shifted":
        return _follow_shifted(model, policy, reward)
    probability = jnp.take_along_axis(model.probability, one[None], 0)
    successor = jnp.take_along_axis(model.successor, one[None], 0) if model.kind == "gathered" else model.successor
    return replace(model, probability=probability, reward=reward, successor=successor)


def _follow_shifted(model: Model, policy: Array, reward: Array) -> Model:
    """One outcome for each different shift: the chances of the outcomes that lead there, added up."""
    aheads = sorted({ahead for row in model.shifts for ahead in row})
    chances = {ahead: jnp.zeros_like(reward[0]) for ahead in aheads}
    for action, row in enumerate(model.shifts):
        for outcome, ahead in enumerate(row):
            chances[ahead] += jnp.where(policy == action, model.probability[action, outcome], 0)
    at_odd = policy[model.odd][None, None]
    return replace(
        model,
        probability=jnp.stack([chances[ahead] for ahead in aheads])[None],
        reward=reward,
        odd_next=jnp.take_along_axis(model.odd_next, at_odd, 0) if model.odd.size else model.odd_next,
        odd_chance=jnp.take_along_axis(model.odd_chance, at_odd, 0) if model.odd.size else model.odd_chance,
        shifts=(tuple(aheads),),
    )


@jax.jit
def best_action(model: Model, values: Array) -> Array:
    """The first of the best actions, int32 [states]."""
    return jnp.argmax(action_values(model, values), axis=0).astype(jnp.int32)
