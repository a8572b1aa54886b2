"""MuZero (Schrittwieser et al., 2020), https://arxiv.org/abs/1911.08265, with the search of Gumbel MuZero.

AlphaZero without the rules: every action is what a search found in a learned model (h, g, f),

    s_0 = h(obs),    r_k, s_k = g(s_k-1, a_k),    p_k, v_k = f(s_k)

that need not say what the world looks like, but only what planning asks for. From K + 1 steps that followed each other,
the model is unrolled with the actions taken, and descends (eq. 1 and appendix G, each unrolled step weighing 1 / K)

    sum_k l^r(u_t+k, r_k) + c_v l^v(z_t+k, v_k) + l^p(pi_t+k, p_k) + c |theta|^2

u: rewards; pi: what the search found; z: n-step returns behind which the search's value stands. l^r and l^v are
cross-entropies to two-hot distributions of h(x) = sign(x)(sqrt(|x| + 1) - 1) + epsilon x; half of a gradient passes
into every dynamics step. Behind an episode's end reward and value are 0 for ever. `reanalysed` stretches of a batch get
pi from a new search and z from new values, with a target network (appendix H).

The search is that of Danihelka et al., 2022 (https://openreview.net/forum?id=bERaNdoegnO): Gumbel noise and sequential
halving at the root, pi = softmax(log p + sigma(Q)), Q scaled to the range found in the tree (eq. 5); it is mctx's. Its
discount is gamma, and -gamma once experience has shown that turns are taken.

Beyond the papers: what a time limit cut off is not learned from, and its return goes on with the value there; behind
an end the actions are those of the next episode; a stretch's priority is |z - v| of its first step, v being the
network's own; losses are divergences, with the same gradients; Adam, with the gradient clipped by its norm.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mctx
from jax import Array

from bellmax.core import Algorithm, Decision, Outcome, Spec, Transition
from bellmax.experience import PrioritisedSequences, Sequences
from bellmax.maths.distributional import divergence, expectation, two_hot
from bellmax.maths.distributions import Categorical
from bellmax.maths.optimise import clipped_adam, descend, follow, global_norm, scale_gradient
from bellmax.maths.returns import n_step_return, past_the_end
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.search import value_range
from bellmax.maths.statistics import weighted_mean
from bellmax.maths.tables import legal_of
from bellmax.maths.values import rescale, restore
from bellmax.networks.latent import LatentModel
from bellmax.networks.mlp import Activation
from bellmax.ranges import Count, NonNegative, Positive, Sizes, Unit, Whole


class State(NamedTuple):
    """What has been learned."""

    network: LatentModel  # theta
    target: LatentModel  # theta-, for what is reanalysed
    opt_state: Any
    updates: Array  # so far: the clock of theta-
    steps: Array  # environment steps so far: the clock of the schedules
    turn: Array  # -1 where the other side moves next, else 1


class Target(NamedTuple):
    """What an unrolled model should have said, [K + 1, batch, ...]."""

    reward: Array  # of the step from each state; the last is not asked for
    value: Array
    policy: Array
    known: Array  # 0 behind a time limit
    played: Array  # 0 there, and behind an end


class MuZero(Algorithm):
    """Search in a learned model, and learn what the search found."""

    experience: PrioritisedSequences | Sequences = PrioritisedSequences(
        50_000, batch=64, window=15, burn_in=0, alpha=1.0, beta=1.0
    )  # what it learns from; its window holds unroll + n steps
    gamma: Unit = 0.997  # discount
    unroll: Count = 5  # K: steps that the model is unrolled
    n: Count = 10  # steps until the value is trusted
    simulations: Count = 16  # positions imagined before an action
    considered: Count = 16  # actions looked at from the root
    c_visit: NonNegative = 50.0  # of sigma: how much values count before anything was tried
    c_scale: Positive = 0.1  # of sigma: how much values count beside the policy
    reanalysed: Whole = 16  # stretches of a batch whose targets are found anew
    target_every: Count = 200  # updates between two renewals of the target network
    atoms: Count = 41  # of rewards and values
    limit: Positive = 20.0  # the last atom, of h(x): 20 is a value of 405
    epsilon: NonNegative = 1e-3  # of h: how large values stay apart
    value_weight: NonNegative = 0.25  # c_v: of the value's loss
    learning_rate: Scheduled = 1e-3  # Adam's
    weight_decay: NonNegative = 1e-4  # c: what the square of a weight costs
    max_grad_norm: Positive = 10.0  # gradients longer than this are shortened to it
    hidden: Sizes = (128,)  # widths of the dense layers of h, g and f
    latent: Count = 64  # numbers in a state of the model
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        self._check()
        network = LatentModel(key, spec.obs, spec.action, self.hidden, self.latent, self.atoms, self.activation)
        opt_state = clipped_adam(self.max_grad_norm).init(network)
        target = jax.tree.map(jnp.copy, network)
        return State(network, target, opt_state, jnp.int32(0), jnp.zeros(()), jnp.ones(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        found = self.think(state.network, state.turn, obs, key)
        return Decision(
            found.action[0], {"found": found.action_weights[0], "value": found.search_tree.node_values[0, 0]}
        )

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision(self.think(state.network, state.turn, obs, key, noise=0.0).action[0])

    def foresee(self, state: State, obs: Any, memory: Any, actions: Array, key: Array) -> Outcome:
        """What `actions` [time] would pay (see `models.Foresees`); of observations and ends nothing is said."""
        reward = self.number(self.unrolled(state.network, obs, actions)[2])
        return Outcome(None, reward, jnp.ones_like(reward), jnp.zeros(len(reward), bool))

    def observe(self, state: State, fresh: Transition) -> State:
        """A discount below 0 says that turns are taken."""
        return state._replace(turn=jnp.where((fresh.discount < 0).any(), -1.0, state.turn))

    def think(self, network: LatentModel, turn: Array, obs: Any, key: Array, noise: float = 1.0) -> mctx.PolicyOutput:
        """Search from one observation -> `action_weights` (pi) and what else mctx says, [1, ...]; noise 0 is to win."""
        latent, legal = network.represent(obs), legal_of(obs)
        logits, value = network.predict(latent)
        root = mctx.RootFnOutput(prior_logits=logits, value=self.number(value), embedding=latent)
        return mctx.gumbel_muzero_policy(
            (network, turn),
            key,
            jax.tree.map(lambda x: x[None], root),
            self.imagine,
            self.simulations,
            None if legal is None else ~legal[None],
            qtransform=self.sigma,
            max_num_considered_actions=self.considered,
            gumbel_scale=noise,
        )

    def imagine(self, known: tuple[LatentModel, Array], key: Array, action: Array, latent: Array) -> tuple[Any, Array]:
        """Act in the model; all [1, ...], as mctx wants it."""
        network, turn = known
        latent, reward = jax.vmap(network.step)(latent, action)
        logits, value = jax.vmap(network.predict)(latent)
        discount = jnp.broadcast_to(self.gamma * turn, action.shape)
        told = mctx.RecurrentFnOutput(
            reward=self.number(reward), discount=discount, prior_logits=logits, value=self.number(value)
        )
        return told, latent

    def sigma(self, tree: Any, node: Array) -> Array:
        """(c_visit + max N) c_scale Q of one node of mctx's tree [actions], Q scaled to the range in the tree."""
        q = tree.children_rewards + tree.children_discounts * tree.children_values
        scale = self.c_scale / value_range(q, tree.children_visits)
        return mctx.qtransform_completed_by_mix_value(
            tree, node, value_scale=scale, maxvisit_init=self.c_visit, rescale_values=False
        )

    def number(self, logits: Array) -> Array:
        """What a distribution over atoms stands for: [..., atoms] -> [...]."""
        return restore(expectation(logits, -self.limit, self.limit), self.epsilon)

    def distribution(self, x: Array) -> Array:
        """The other way round: [...] -> probabilities [..., atoms]."""
        return two_hot(rescale(x, self.epsilon), -self.limit, self.limit, self.atoms)

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        target = self.targets(state, batch, key)
        grads, metrics = jax.grad(self.loss, has_aux=True)(state.network, batch, target)
        optimizer, learning_rate = clipped_adam(self.max_grad_norm), at(self.learning_rate, state.steps)
        network, opt_state = descend(optimizer, state.network, grads, state.opt_state, learning_rate)
        updates = state.updates + 1
        renewed = follow(state.target, network, jnp.float32(updates % self.target_every == 0))
        new = State(network, renewed, opt_state, updates, batch.extras["steps"].max(), state.turn)
        return new, metrics | {"grad_norm": global_norm(grads)}

    def targets(self, state: State, batch: Transition, key: Array) -> Target:
        """What was found when the steps were taken, or, for `reanalysed` of them, what is found now."""
        choose_key, search_key = jax.random.split(key)
        columns = jax.random.permutation(choose_key, batch.reward.shape[1])[: self.reanalysed]
        fresh_value = self.number(jax.vmap(jax.vmap(lambda obs: self.value_of(state.target, obs)))(batch.next_obs))
        stored_value = jnp.concatenate([batch.extras["value"][1:], fresh_value[-1:]])
        next_value = jnp.where(batch.last, fresh_value, stored_value)
        next_value = next_value.at[:, columns].set(fresh_value[:, columns])
        value = n_step_return(batch.reward, self.gamma * batch.discount, next_value, batch.last, self.n)
        over, unknown = past_the_end(batch.discount, batch.last)
        policy = batch.extras["found"][: self.unroll + 1]
        if self.reanalysed:
            seen = jax.tree.map(lambda x: x[: self.unroll + 1, columns], batch.obs)
            policy = policy.at[:, columns].set(self.search_again(state, seen, search_key))
        rows = slice(self.unroll + 1)
        there = jnp.where(over, 0.0, jnp.stack([batch.reward, value]))[:, rows]
        return Target(there[0], there[1], policy, 1.0 - unknown[rows], 1.0 - (over | unknown)[rows])

    def search_again(self, state: State, obs: Any, key: Array) -> Array:
        """pi by the target network: obs [time, stretch, ...] -> [time, stretch, actions]."""
        think = lambda obs, key: self.think(state.target, state.turn, obs, key).action_weights[0]
        keys = jax.random.split(key, jax.tree.leaves(obs)[0].shape[:2])
        return jax.vmap(jax.vmap(think))(obs, keys)

    def value_of(self, network: LatentModel, obs: Any) -> Array:
        """The value's logits [atoms] of one observation."""
        return network.predict(network.represent(obs))[1]

    def loss(self, network: LatentModel, batch: Transition, target: Target) -> tuple[Array, dict[str, Array]]:
        first = jax.tree.map(lambda x: x[0], (batch.obs, batch.weight))
        actions = batch.action[: self.unroll]
        policy, value, reward = jax.vmap(self.unrolled, (None, 0, 1), 1)(network, first[0], actions)
        share = jnp.full((self.unroll + 1, 1), 1 / self.unroll).at[0].set(1.0)
        terms = {
            "reward_kl": share[1:] * target.known[:-1] * divergence(self.distribution(target.reward[:-1]), reward),
            "value_kl": share * target.known * divergence(self.distribution(target.value), value),
            "search_kl": share * target.played * divergence(target.policy, policy),
        }
        means = {name: weighted_mean(term.sum(0), first[1]) for name, term in terms.items()}
        size = sum((jnp.square(x).sum() for x in jax.tree.leaves(network)), jnp.zeros(()))
        total = means["reward_kl"] + self.value_weight * means["value_kl"] + means["search_kl"]
        surprise = jnp.abs(target.value[0] - self.number(value[0]))
        means |= {
            "entropy": weighted_mean(Categorical(policy[0]).entropy(), first[1]),
            "value": weighted_mean(self.number(value[0]), first[1]),
        }
        return total + self.weight_decay * size, means | {"priority": surprise}

    def unrolled(self, network: LatentModel, obs: Any, actions: Array) -> tuple[Array, Array, Array]:
        """Observation, actions [K] from there -> logits of policies, values [K + 1, ...] and rewards [K, ...]."""

        def step(latent: Array, action: Array) -> tuple[Array, tuple[Array, Array]]:
            latent, reward = network.step(scale_gradient(latent, 0.5), action)
            return latent, (latent, reward)

        root = network.represent(obs)
        latents, rewards = jax.lax.scan(step, root, actions)[1]
        policies, values = jax.vmap(network.predict)(jnp.concatenate([root[None], latents]))
        return policies, values, rewards

    def _check(self) -> None:
        """ValueError unless a stretch holds what is unrolled and the returns behind that."""
        food, needed = self.experience, self.unroll + self.n
        if food.burn_in or food.window < needed:
            raise ValueError(
                f"MuZero.experience: window = {food.window} and burn_in = {food.burn_in}, but unroll + n = {needed} "
                f"steps are looked at, and none before them: give it window = {needed} and burn_in = 0."
            )
