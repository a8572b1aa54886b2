"""One sweep over all states, and many: the inner loop of dynamic programming.

    (T v)(s) = max_a [ r(s,a) + gamma sum_s' p(s'|s,a) v(s') ]                     (Sutton & Barto, eq. 4.10)

The model is read once a sweep: expectation and best action are one fused loop. The barriers keep the compiler from
taking bits and successors apart before the loop of sweeps, which would be more to read in each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from bellmax.mdp.layout import UNROLLED, Model, Shift

ROOM = 64  # sweeps between two looks from outside


class Swept(NamedTuple):
    """After some sweeps."""

    values: Array  # [states]
    residuals: Array  # [ROOM] max |T v - v| of each sweep
    sweeps: Array  # how many of them were made
    radius: Array  # how far `values`, moved to the middle of what is possible, can be from the optimum
    size: Array  # max |values|


@jax.jit
def backup(model: Model, values: Array) -> Array:
    """T v: the best expected return after one step, [states] -> [states]; 0 in absorbing states."""
    base, gains = _actions(model, values)
    best = base + reduce(jnp.maximum, gains)
    if model.kind == "shifted" and model.odd.size:
        odd = jnp.max(_odd(model, values), axis=0)
        best = best.at[model.odd].set(odd, unique_indices=True, indices_are_sorted=True)
    return jnp.where(model.absorbing, 0, best)


@jax.jit
def action_values(model: Model, values: Array) -> Array:
    """q(s,a) = r + gamma sum p v, [states] -> [actions, states]; -inf where illegal, 0 in absorbing states."""
    base, gains = _actions(model, values)
    q = base + jnp.stack(gains)
    if model.kind == "shifted" and model.odd.size:
        q = q.at[:, model.odd].set(_odd(model, values), unique_indices=True, indices_are_sorted=True)
    return jnp.where(model.absorbing, 0, q)


@jax.jit
def iterate(model: Model, values: Array, factors: Array, target: Array, enough: Array, limit: Array) -> Swept:
    """Sweep until the bound is at most `target`, no value moves by more than `enough`, or `limit` (or ROOM) is reached.

    `factors` [2] are the least and the largest part of a difference that a step hands on, as `reach` describes.
    """

    def sweep(it: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        values, residuals, made, _ = it
        new = backup(model, values)
        moved = new - values  # 0 in absorbing states: true bounds, if not the sharpest
        low, high = jnp.min(moved), jnp.max(moved)
        residual = jnp.maximum(high, -low)
        return new, residuals.at[made].set(residual), made + 1, middle(low, high, factors)[1]

    def going(it: tuple[Array, Array, Array, Array]) -> Array:
        _, residuals, made, radius = it
        met = (radius <= target) | (residuals[made - 1] <= enough)
        return (made < limit) & (made < ROOM) & ((made == 0) | ~met)

    start = values, jnp.zeros(ROOM, values.dtype), jnp.int32(0), jnp.asarray(jnp.inf, values.dtype)
    values, residuals, made, radius = lax.while_loop(going, sweep, start)
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


def _actions(model: Model, values: Array) -> tuple[Array, list[Array]]:
    """-> a base, and for each action what to add to it for q [states].

    In float64 the base is 0. In float32 it is the state's own value v(s), since chances add up to 1:

        q(s,a) - v(s) = r(s,a) - (1 - gamma) v(s) + gamma sum_s' p(s'|s,a) (v(s') - v(s)),

    small numbers that round by little; sums of large values would leave errors of 1 / (1 - gamma) roundings in the end.
    """
    actions, outcomes = model.probability.shape[:2]
    base = values if values.dtype == jnp.float32 else jnp.zeros((), values.dtype)
    reward = model.reward - (1 - model.gamma) * base
    if model.kind == "dense":
        expected = jnp.einsum("aks,k->as", model.probability, values)
        return base, list(reward + model.gamma * (expected - base))
    if actions * outcomes > UNROLLED:
        ahead = _at(values, model.successor) - base
        return base, list(reward + model.gamma * (model.probability * ahead).sum(axis=1))
    ahead_of = _shifted(model, values) if model.kind == "shifted" else _gathered(model, values)
    gain = lambda a, k: model.probability[a, k] * (ahead_of(a, k) - base)
    return base, [reward[a] + model.gamma * sum(gain(a, k) for k in range(outcomes)) for a in range(actions)]


def _at(values: Array, states: Array) -> Array:
    """The values at `states`, which are there: without looking whether they are."""
    return values.at[states].get(mode="promise_in_bounds")


def _gathered(model: Model, values: Array) -> Callable[[int, int], Array]:
    """The values of the successors, looked up."""
    successor, values = lax.optimization_barrier((model.successor, values))
    return lambda action, outcome: _at(values, successor[action, outcome])


def _shifted(model: Model, values: Array) -> Callable[[int, int], Array]:
    """The values of the successors, read as slices."""
    reach = max(abs(shift.ahead) for row in model.shifts for shift in row)
    padded = jnp.pad(values, (reach, reach))
    stays, values = lax.optimization_barrier((model.stays, values))

    def ahead_of(action: int, outcome: int) -> Array:
        shift: Shift = model.shifts[action][outcome]
        there = lax.slice(padded, (reach + shift.ahead,), (reach + shift.ahead + values.size,))
        return there if shift.stays < 0 else jnp.where((stays >> shift.stays) & 1, values, there)

    return ahead_of


def _odd(model: Model, values: Array) -> Array:
    """q [actions, odd] of the states that are unlike the others."""
    ahead = (model.odd_chance * _at(values, model.odd_next)).sum(axis=1)
    return model.reward[:, model.odd] + model.gamma * ahead


@jax.jit
def follow(model: Model, policy: Array) -> Model:
    """The model with one action only, the policy's [states]: a sweep over it reads less."""
    one = policy[None]
    reward = jnp.take_along_axis(model.reward, one, 0)
    if model.kind == "shifted":
        return _follow_shifted(model, policy, reward)
    probability = jnp.take_along_axis(model.probability, one[None], 0)
    successor = jnp.take_along_axis(model.successor, one[None], 0) if model.kind == "gathered" else model.successor
    return replace(model, probability=probability, reward=reward, successor=successor)


def _follow_shifted(model: Model, policy: Array, reward: Array) -> Model:
    """One outcome for each different shift: the chances of the outcomes that lead there, added up."""
    aheads = sorted({shift.ahead for row in model.shifts for shift in row} | {0})
    chances = {ahead: jnp.zeros_like(reward[0]) for ahead in aheads}
    for action, row in enumerate(model.shifts):
        for outcome, shift in enumerate(row):
            chance = jnp.where(policy == action, model.probability[action, outcome], 0)
            stays = ((model.stays >> shift.stays) & 1 == 1) if shift.stays >= 0 else False
            chances[shift.ahead] += jnp.where(stays, 0, chance)
            chances[0] += jnp.where(stays, chance, 0)
    at_odd = policy[model.odd][None, None]
    return replace(
        model,
        probability=jnp.stack([chances[ahead] for ahead in aheads])[None],
        reward=reward,
        odd_next=jnp.take_along_axis(model.odd_next, at_odd, 0) if model.odd.size else model.odd_next,
        odd_chance=jnp.take_along_axis(model.odd_chance, at_odd, 0) if model.odd.size else model.odd_chance,
        stays=model.stays[:0],
        shifts=(tuple(Shift(ahead, -1) for ahead in aheads),),
    )


@jax.jit
def best_action(model: Model, values: Array) -> Array:
    """The first of the best actions, int32 [states]."""
    return jnp.argmax(action_values(model, values), axis=0).astype(jnp.int32)
