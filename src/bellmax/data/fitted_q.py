"""What is a policy worth, from logged steps that others took? Fitted Q evaluation (Le et al., 2019).

https://arxiv.org/abs/1903.08738, algorithm 3. Descend, on steps (S, A, R, S') of anybody,

    E[ (R + gamma Q'(S', a') - Q(S, A))^2 / 2 ],  a' ~ pi(S')

and average Q(s, pi(s)) over the observations that episodes of the data begin with. Beyond the paper: Q' follows Q a
little at every step, instead of being fitted anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.data.engine import spec_of
from bellmax.data.finding import find
from bellmax.drivers import offline
from bellmax.exactness import discount_of
from bellmax.experience import Dataset, fold
from bellmax.loading import load
from bellmax.maths.optimise import adam, descend, follow
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.values import value_error
from bellmax.networks.value_networks import critic_for
from bellmax.ranges import Positive, Sizes, Unit
from bellmax.run import Run


class Worth(NamedTuple):
    """Discounted values of a policy, as estimated."""

    values: np.ndarray  # [episode]: where each episode of the data begins
    td_error: float  # mean size of the error over the last tenth of the updates

    @property
    def mean(self) -> float:
        """The mean value."""
        return float(self.values.mean())


class State(NamedTuple):
    """The policy, as it is, and what it is worth."""

    inner: Any
    critic: Any  # Q
    target: Any  # Q'
    opt_state: Any


class FittedQ(Algorithm):
    """Around any algorithm, which learns nothing: the values of its policy."""

    inner: Algorithm
    greedy_inside: bool = True  # is it the policy that exploits?
    experience: Dataset = Dataset(batch=256)
    gamma: Unit = 0.99  # discount
    learning_rate: Positive = 1e-3  # Adam's
    tau: Unit = 0.01  # how fast Q' follows
    hidden: Sizes = (64, 64)  # widths of the dense layers; none at all is a table, where observations are choices

    def init(self, key: Array, spec: Spec) -> State:
        critic = critic_for(key, spec.obs, spec.action, self.hidden)
        return State(self.inner.init(key, spec), critic, jax.tree.map(jnp.copy, critic), adam().init(critic))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return (self.inner.greedy if self.greedy_inside else self.inner.act)(state.inner, obs, key, memory)

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        batch = fold(batch, self.gamma)
        next_value = self.value(state._replace(critic=state.target), batch.next_obs, key)
        target = batch.reward + batch.discount * next_value

        def loss(critic: Any) -> tuple[Array, Array]:
            value = jax.vmap(critic)(batch.obs, batch.action)
            return weighted_mean(value_error(value, target), batch.weight), jnp.abs(value - target)

        grads, error = jax.grad(loss, has_aux=True)(state.critic)
        critic, opt_state = descend(adam(), state.critic, grads, state.opt_state, self.learning_rate)
        new = State(state.inner, critic, follow(state.target, critic, self.tau), opt_state)
        return new, {"td_error": weighted_mean(error, batch.weight)}

    def value(self, state: State, obs: Any, key: Array) -> Array:
        """Q(s, a) for an action of the policy in each observation [batch, ...]."""
        keys = jax.random.split(key, len(jax.tree.leaves(obs)[0]))
        return jax.vmap(state.critic)(obs, jax.vmap(lambda o, k: self.act(state, o, k).action)(obs, keys))


def fitted_q(
    run: Run | str | Path,
    data: Any,
    *,
    gamma: float | None = None,
    updates: int = 10_000,
    greedy: bool = True,
    seed: int = 0,
    policy: int = 0,
    **hyperparameters: Any,
) -> Worth:
    """Estimate from logged steps what a run's policy is worth -> discounted values where the data's episodes begin.

    run         a run, or its folder; the data need not be its own
    data        as for `bellmax.train`; they must hold what the policy would do, or nobody can know
    gamma       the discount; by default that of the algorithm
    updates     gradient steps
    greedy      of the policy that exploits; else of the one that explores
    policy      the index of the seed of the run whose policy is meant
    hyperparameters      of `bellmax.data.fitted_q.FittedQ`

    Raises ValueError where the policy remembers, or there is no discount to take.
    """
    run = run if isinstance(run, Run) else load(run)
    spec, inner = spec_of(run.plan.env), run.algorithm
    gamma = discount_of(inner) if gamma is None else gamma
    judge, logged = FittedQ(inner, greedy, gamma=gamma, **hyperparameters), find(data, spec)
    steps = jax.tree.map(jnp.asarray, logged.log)
    begins = np.flatnonzero(logged.log.steps.extras["time"] == 0)
    trained, first = run.state_of(policy), jax.tree.map(lambda x: x[begins], steps.steps.obs)
    memory = inner.begin(trained, jax.tree.map(lambda x: x[0], first), jax.random.key(seed))
    if jax.tree.leaves(memory):
        raise ValueError(f"{type(inner).__name__} remembers: what it does is no function of an observation alone.")
    begun = jax.jit(lambda key: offline.start(judge, steps, spec, key))(jax.random.key(seed))
    begun = begun._replace(state=begun.state._replace(inner=jax.tree.map(jnp.copy, trained)))
    begun, _ = offline.advance(judge, steps, begun, jnp.int32(updates - updates // 10))
    begun, total = offline.advance(judge, steps, begun, jnp.int32(max(updates // 10, 1)))
    values = jax.jit(judge.value)(begun.state, first, jax.random.key(seed))
    return Worth(np.asarray(values), float(total["td_error"] / total["rounds"]))
