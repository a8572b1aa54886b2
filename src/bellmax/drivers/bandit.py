"""Play many bandit problems side by side, a learner each, and count what not knowing costs.

    played = bandit.play(UCB(), GaussianBandit(), jax.random.key(0), steps=1000, problems=2000)
    played.regret[-1]        # reward lost by then, a problem

is pure: jit, vmap and grad go through it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Env, Spec, Transition
from bellmax.drivers.learn import eats, step_keys
from bellmax.experience import Steps
from bellmax.spaces import confine


class Play(NamedTuple):
    """What was won and lost, pull by pull; all but `state` are [steps] and averages over the problems."""

    reward: Array  # what the pull paid
    optimal: Array  # share of the problems, 0 to 1, in which an arm with the best mean was pulled
    regret: Array  # pseudo-regret so far, in reward: the sum over pulls of best mean - mean of the arm pulled
    realised_regret: Array  # the same with what the pull paid in place of its mean: right on average, but noisier
    regret_error: Array  # standard error of `regret`: its deviation from problem to problem / sqrt(problems)
    state: Any  # what each learner knows in the end, leaves [problems, ...]


class Table(NamedTuple):
    """Where every problem stands; each leaf is [problem, ...]."""

    state: Any
    env_state: Any
    obs: Any
    memory: Any
    regret: Array  # so far
    realised_regret: Array


def play(algorithm: Algorithm, env: Env, key: Array, *, steps: int = 1000, problems: int = 2000) -> Play:
    """`steps` pulls in each of `problems` problems, every learner learning after every pull. Pure.

    `env` draws a new problem at every reset and has `means(env_state, obs) -> [arms]`. Raises ValueError if it has
    not, or if the algorithm does not learn step by step.
    """
    _check(algorithm, env)
    start_key, step_key, learn_key = jax.random.split(key, 3)

    def pull(table: Table, t: Array) -> tuple[Table, tuple[Array, ...]]:
        learn_keys = jax.random.split(jax.random.fold_in(learn_key, t), problems)
        one = jax.vmap(lambda *its: _pull(algorithm, env, *its))
        table, reward, optimal = one(table, *step_keys(step_key, t, problems), learn_keys)
        error = table.regret.std() / jnp.sqrt(problems)
        means = [x.mean() for x in (reward, optimal, table.regret, table.realised_regret)]
        return table, (*means, error)

    table, curves = jax.lax.scan(pull, _start(algorithm, env, start_key, problems), jnp.arange(steps))
    return Play(*curves, state=table.state)  # type: ignore[misc]


def _start(algorithm: Algorithm, env: Env, key: Array, problems: int) -> Table:
    """Every problem drawn, nothing known."""
    init_key, reset_key, memory_key = jax.random.split(key, 3)
    spec = Spec(env.spec.obs, env.spec.action)
    state = jax.vmap(lambda key: algorithm.init(key, spec))(jax.random.split(init_key, problems))
    env_state, obs = jax.vmap(env.reset)(jax.random.split(reset_key, problems))

    memory = jax.vmap(algorithm.begin)(state, obs, jax.random.split(memory_key, problems))
    return Table(state, env_state, obs, memory, jnp.zeros(problems), jnp.zeros(problems))


def _pull(
    algorithm: Algorithm, env: Env, table: Table, act_key: Array, env_key: Array, learn_key: Array
) -> tuple[Table, Array, Array]:
    """One pull of ONE problem, and what is learned from it -> table, reward, was the arm optimal?"""
    decision = algorithm.act(table.state, table.obs, act_key, table.memory)
    means = env.means(table.env_state, table.obs)  # type: ignore[attr-defined]
    env_state, outcome = env.step(table.env_state, confine(env.spec.action, decision.action), env_key)
    memory = algorithm.hear(table.state, decision.memory, outcome)
    obs, reward, discount, last = outcome
    one = Transition(table.obs, decision.action, reward, discount, last, obs, decision.extras, jnp.float32(1))
    fresh = jax.tree.map(lambda x: x[None, None], one)
    state, _ = algorithm.update(algorithm.observe(table.state, fresh), fresh, learn_key)
    best, mean = means.max(), jnp.where(jnp.arange(means.shape[0]) == decision.action, means, 0).sum()
    regret, realised_regret = table.regret + best - mean, table.realised_regret + best - reward
    # XLA may work `means` out anew for each use, rounded otherwise; their order holds even so.
    optimal = (decision.action == means.argmax()) | (mean == best)
    return Table(state, env_state, obs, memory, regret, realised_regret), reward, optimal


def _check(algorithm: Algorithm, env: Env) -> None:
    if getattr(env, "means", None) is None:
        raise ValueError(f"{type(env).__name__} has no `means` to count regret from: play a bandit, as GaussianBandit.")
    food = eats(algorithm)
    if food != Steps(1):
        raise ValueError(
            f"{type(algorithm).__name__}.experience = {food!r}: bandits are learned from pull by pull; give Steps(1)."
        )
