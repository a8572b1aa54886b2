"""AlphaZero (Silver et al., 2018), https://doi.org/10.1126/science.aar6404.

Every move of a game against itself is what a search found with the rules of the game, guided by a network (p, v). A
simulation goes down the tree by

    argmax_a Q(s,a) + C(s) p(a|s) sqrt(N(s)) / (1 + N(s,a)),    C(s) = log((1 + N(s) + 19652) / 19652) + 1.25     (PUCT)

to a position that is new, asks the network there, and adds v to the mean Q of every move on the way, its sign turned
wherever the turn changed. At the root, and there alone, p is mixed with Dirichlet noise. Then descend, on positions of
earlier games, each with the search's visits pi and the game's outcome z for the side to move,

    (z - v)^2 - pi . log p + c |theta|^2                                                                   (eq. 1)

`search = "gumbel"` is the search of Danihelka et al., 2022 (https://openreview.net/forum?id=bERaNdoegnO): Gumbel noise
and sequential halving at the root, pi = softmax(log p + sigma(Q)), where moves never tried count with v. Were v exact,
that pi would never be worse than p, however few the simulations; visits give no such promise.

The tree is mctx's. z is the n-step target of replayed windows with the discount of -1 that changes sides: the true
outcome wherever a game ends within `experience.n` moves, else what the network makes of the position by then. Beyond
the paper: Adam instead of SGD with momentum, gradients clipped by their norm; (z - v)^2 is halved; the policy's part is
written as KL(pi || p), which has the same gradient; games are for one and for two, and gamma may be below 1.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import mctx
from jax import Array

from bellmax.core import Algorithm, Decision, Env, Spec, Transition
from bellmax.experience import Replay, fold
from bellmax.maths.chance import choose
from bellmax.maths.distributional import divergence
from bellmax.maths.distributions import Categorical
from bellmax.maths.exploration import greedy
from bellmax.maths.optimise import clipped_adam, descend, global_norm
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.search import is_legal, mean_values
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.values import value_error
from bellmax.networks.heads import ActorCritic
from bellmax.networks.mlp import Activation
from bellmax.ranges import Count, NonNegative, Positive, Sizes, Unit, Whole
from bellmax.spaces import Discrete, Simulated


class State(NamedTuple):
    """What has been learned."""

    network: ActorCritic
    opt_state: Any
    steps: Array  # environment steps so far: the clock of the schedules


class AlphaZero(Algorithm):
    """Search with the rules, and learn what the search found."""

    rules: Env | None = None  # the environment to search in; `bellmax.train` fills it in
    experience: Replay = Replay(100_000, batch=256, n=64)  # how the games are replayed; n should be a game's length
    search: Literal["puct", "gumbel"] = "puct"  # how the tree is grown
    simulations: Count = 50  # positions looked at before a move
    opening: Whole = 30  # puct: so many first moves are drawn from the visits; later ones are the most visited
    dirichlet_alpha: Positive = 0.3  # puct: of the noise at the root; about 10 / the number of legal moves
    dirichlet_fraction: Unit = 0.25  # puct: share of the noise at the root
    considered: Count = 16  # gumbel: moves looked at from the root
    gamma: Unit = 1.0  # discount
    learning_rate: Scheduled = 1e-3  # Adam's
    weight_decay: NonNegative = 1e-4  # c: what the square of a weight costs
    max_grad_norm: Positive = 10.0  # gradients longer than this are shortened to it
    hidden: Sizes = (128, 128)  # widths of the dense layers
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        if self.rules is None or not isinstance(spec.obs, Simulated) or not isinstance(spec.action, Discrete):
            raise ValueError(
                f"AlphaZero.rules = {self.rules!r} with actions {spec.action}: it plans, so it needs discrete actions, "
                "the environment as `rules`, and that environment as WithSimulator(env); bellmax.train sees to both."
            )
        network = ActorCritic(key, spec.obs.obs, spec.action, self.hidden, self.activation, shared=True)
        return State(network, clipped_adam(self.max_grad_norm).init(network), jnp.zeros(()))

    def begin(self, state: State, obs: Simulated, key: Array) -> Array:
        """The moves made in this game."""
        return jnp.int32(0)

    def act(self, state: State, obs: Simulated, key: Array, memory: Any = None) -> Decision:
        moves = jnp.int32(0) if memory is None else memory
        search_key, key = jax.random.split(key)
        found = self.think(state.network, obs, search_key)
        weights, action = found.action_weights[0], found.action[0]
        if self.search == "puct":
            action = choose(jnp.where(moves < self.opening, weights, greedy(weights)), key)
        return Decision(action, {"found": weights}, moves + 1)

    def greedy(self, state: State, obs: Simulated, key: Array, memory: Any = None) -> Decision:
        moves = jnp.int32(0) if memory is None else memory
        search_key, key = jax.random.split(key)
        found = self.think(state.network, obs, search_key, noise=0.0)
        action = choose(greedy(found.action_weights[0]), key) if self.search == "puct" else found.action[0]
        return Decision(action, {}, moves + 1)

    def think(self, network: ActorCritic, obs: Simulated, key: Array, noise: float = 1.0) -> mctx.PolicyOutput:
        """Search from one position -> `action_weights` (pi) and what else mctx says, [1, ...]; noise 0 is to win."""
        policy, value = self.predict(network, obs.obs)
        root = mctx.RootFnOutput(prior_logits=policy.logits, value=value, embedding=obs.simulator)
        asked = network, key, jax.tree.map(lambda x: x[None], root), self.imagine, self.simulations
        illegal = ~is_legal(policy.logits)[None]
        if self.search == "gumbel":
            return mctx.gumbel_muzero_policy(
                *asked, illegal, max_num_considered_actions=self.considered, gumbel_scale=noise
            )
        return mctx.muzero_policy(
            *asked,
            illegal,
            qtransform=values_in_tree,
            dirichlet_alpha=self.dirichlet_alpha,
            dirichlet_fraction=self.dirichlet_fraction * noise,
        )

    def predict(self, network: ActorCritic, obs: Any) -> tuple[Categorical, Array]:
        """p and v of one position; illegal moves have no probability."""
        return network.policy(obs), jnp.tanh(network.value(obs))  # type: ignore[return-value]

    def imagine(self, network: ActorCritic, key: Array, action: Array, simulator: Any) -> tuple[Any, Any]:
        """Make a move in the mind, and ask the network there; all [1, ...], as mctx wants it."""
        assert self.rules is not None
        simulator, outcome = jax.vmap(self.rules.step, (0, 0, None))(simulator, action, key)
        policy, value = jax.vmap(self.predict, (None, 0))(network, outcome.obs)
        told = mctx.RecurrentFnOutput(
            reward=outcome.reward, discount=self.gamma * outcome.discount, prior_logits=policy.logits, value=value
        )
        return told, simulator

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        steps, batch = batch.extras["steps"].max(), fold(batch, self.gamma)
        outcome = (
            batch.reward + batch.discount * jax.vmap(self.predict, (None, 0))(state.network, batch.next_obs.obs)[1]
        )
        grads, metrics = jax.grad(self.loss, has_aux=True)(state.network, batch, outcome)
        optimizer, learning_rate = clipped_adam(self.max_grad_norm), at(self.learning_rate, state.steps)
        network, opt_state = descend(optimizer, state.network, grads, state.opt_state, learning_rate)
        return State(network, opt_state, steps), metrics | {"grad_norm": global_norm(grads)}

    def loss(self, network: ActorCritic, batch: Transition, outcome: Array) -> tuple[Array, dict[str, Array]]:
        policy, value = jax.vmap(self.predict, (None, 0))(network, batch.obs.obs)
        terms = {
            "value_error": value_error(value, outcome),
            "search_kl": divergence(batch.extras["found"], policy.logits),
            "entropy": policy.entropy(),
        }
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        size = sum((jnp.square(x).sum() for x in jax.tree.leaves(network)), jnp.zeros(()))
        return means["value_error"] + means["search_kl"] + self.weight_decay * size, means


def values_in_tree(tree: Any, node: Array) -> Array:
    """Q of the moves from one node of mctx's tree, [moves]."""
    return mean_values(tree.qvalues(node), tree.children_visits[node], tree.children_prior_logits[node])
