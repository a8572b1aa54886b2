"""Monte Carlo control (Singh & Sutton, 1996), https://doi.org/10.1007/BF00114726; Sutton & Barto, sections 5.3 and 5.4.

Play an episode by a policy that is greedy in Q but explores; then, wherever a pair (S,A) occurs for the first time,

    Q(S,A) <- average of the returns that followed it,      G = R + gamma R' + gamma^2 R'' + ...

which is the step Q(S,A) <- Q(S,A) + alpha [ G - Q(S,A) ] with alpha = 1 / n(S,A). Either the policy stays soft
(section 5.4), or with `exploring_starts` the first action of an episode is drawn evenly and the others may be greedy:
`MCControl(exploring_starts=True, exploration=EpsilonGreedy(0.0))` is section 5.3. Starts in every state are the
environment's to give.

Beyond the book: several environments play one episode each; where a time limit cuts one, Q under the policy stands for
the rest of the return; with `decay` below 1 old episodes are forgotten.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Episodes
from bellmax.maths import tables
from bellmax.maths.chance import choose
from bellmax.maths.exploration import EpsilonGreedy, Exploration, evenly, expected, greedy
from bellmax.maths.returns import lambda_return
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.visits import approach, first_visits, numbers
from bellmax.ranges import Unit


class State(NamedTuple):
    """What has been learned."""

    q: Array  # [*observation, actions]
    count: Array  # type: ignore[assignment]  # how many returns each is the average of, the same shape
    steps: Array  # environment steps learned from: the clock of the schedules


class MCControl(Algorithm):
    """Control by averages of returns."""

    experience: Episodes = Episodes(500)  # whole episodes, cut at this many steps
    gamma: Unit = 0.99  # discount
    learning_rate: Scheduled = 1.0  # alpha
    decay: Unit = 1.0  # omega: the step size is alpha / n^omega after n returns, 1 averages, 0 keeps it constant
    exploration: Exploration = EpsilonGreedy(0.1)  # how actions are chosen while learning
    exploring_starts: bool = False  # the first action of an episode is drawn evenly
    initial: float = 0.0  # Q at first; high makes the learner try everything

    def init(self, key: Array, spec: Spec) -> State:
        shape = tables.shape_of(spec)
        return State(jnp.full(shape, self.initial, jnp.float32), jnp.zeros(shape), jnp.zeros(()))

    def begin(self, state: State, obs: Any, key: Array) -> Array:
        """The memory: is the coming action the first of its episode?"""
        return jnp.bool_(True)

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        q, count = (table[tables.index(obs)] for table in (state.q, state.count))
        legal = tables.legal_of(obs)
        probabilities = self.exploration.probabilities(q, count, state.steps, legal)
        if self.exploring_starts:
            probabilities = jnp.where(memory, evenly(q, legal), probabilities)
        return Decision(choose(probabilities, key), memory=jnp.bool_(False))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(choose(greedy(state.q[tables.index(obs)], tables.legal_of(obs)), key), memory=memory)

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        shape, q = state.q.shape, state.q.reshape(-1)
        cell = numbers(batch.obs, shape[:-1]) * shape[-1] + batch.action
        next_value = jax.vmap(self.expected_value, (None, 0))(state, batch.next_obs)
        target = lambda_return(batch.reward, self.gamma * batch.discount, next_value, batch.last, 1.0)
        weight, rate = first_visits(cell, batch.weight), at(self.learning_rate, state.steps)
        metrics = {"return_error": weighted_mean(jnp.abs(target - q[cell]), weight)}
        q, count = approach(q, state.count.reshape(-1), cell, target, weight, rate, self.decay)
        return State(q.reshape(shape), count.reshape(shape), state.steps + batch.weight.sum()), metrics

    def expected_value(self, state: State, obs: Any) -> Array:
        """What the policy expects of its next action, [env]."""
        q, count = tables.rows(state.q, obs), tables.rows(state.count, obs)
        return expected(self.exploration, q, count, state.steps, tables.legal_of(obs))
