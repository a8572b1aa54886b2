"""DreamerV3: mastering diverse domains through world models (Hafner et al., 2023), https://arxiv.org/abs/2301.04104.

Learn to foresee what is seen, paid and over; then learn to act in what is foreseen alone. On stretches of replayed
steps the world model (`models/rssm.py`, `models/world_model.py`) descends on (eqs. 4, 5)

    L = [-ln p(x|h,z) - ln p(r|h,z) - ln p(c|h,z)] + 1.0 max(1, KL(sg(q) || p)) + 0.1 max(1, KL(q || sg(p)))

From every state that it read it imagines H = 15 steps. On those the critic, a distribution over 255 symexp bins, learns
lambda-returns, kept near its own slow copy, and the actor ascends, for choices and numbers alike (eqs. 6, 7)

    E[ sg((R - v(s)) / max(1, S)) ln pi(a|s) + 3e-4 H(pi(.|s)) ],   S = moving average of Per(R, 95) - Per(R, 5)

`critic_replay_weight` times the critic's loss on the replayed steps themselves is added (second version of the paper),
with the imagined returns as values behind them. One optimiser, LaProp with adaptive gradient clipping, moves all.

The train ratio, how often a step is replayed, is updates * batch * window / (length * environments) of `experience`.

Beyond the paper: replayed stretches begin with the memory stored when they were collected, which is as old as the step
and is not refreshed; they are drawn evenly, the newest not first; the gradient is clipped by unit, not by tensor,
and the learning rate has no warm-up; the recurrent cell is one dense block and layers are normalised by mean and
deviation, as in the first version; pictures are read by `networks/conv.py`; squared errors are not halved, as in the
authors' code; rewards at first sights are not learned. One player: a discount of -1 is read as an end.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Outcome, Spec, Transition
from bellmax.experience import Sequences
from bellmax.maths.optimise import descend, follow, global_norm, laprop
from bellmax.maths.returns import lambda_return
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import quantile, weighted_mean
from bellmax.models import imagine, unrolled
from bellmax.models.dream import Dream
from bellmax.models.rows import Rows, lay_out
from bellmax.models.rssm import SIZES, Latent
from bellmax.models.world_model import Memory, Number, WorldModel, mean_of, number_loss
from bellmax.networks.floored_policy import FlooredPolicy
from bellmax.ranges import Count, NonNegative, Positive, Unit


class Network(eqx.Module):
    """The world, and what is learned in it."""

    world: WorldModel
    actor: FlooredPolicy
    critic: Number


class State(NamedTuple):
    """What has been learned."""

    network: Network
    slow: Number  # the critic, slowly followed
    opt_state: Any
    low: Array  # moving average of the imagined returns' 5 % percentile
    high: Array  # and of their 95 %
    steps: Array  # environment steps so far: the clock of the schedules


class DreamerV3(Algorithm):
    """A learned world, and an actor and a critic that learn in it alone."""

    experience: Sequences = Sequences(
        capacity=100_000, batch=16, window=64, burn_in=0, length=2, start=1_024
    )  # what the world is learned from
    size: Literal["tiny", "XS", "S", "M", "L", "XL"] = "tiny"  # of all networks
    imagination: Count = 15  # H: steps of a dream
    gamma: Unit = 0.997  # discount: 1 - 1 / 333, a horizon of 333 steps
    lambda_: Unit = 0.95  # of the returns: 0 trusts the critic, 1 the dream
    entropy_weight: Scheduled = 3e-4  # of the policy's entropy
    learning_rate: Scheduled = 4e-5  # LaProp's, of everything
    clip: Positive = 0.3  # a unit's gradient is at most this times its weights
    epsilon: Positive = 1e-20  # LaProp's
    prediction_weight: NonNegative = 1.0  # of what is seen, rewards and ends
    dynamics_weight: NonNegative = 1.0  # of making what is foreseen like what is seen
    representation_weight: NonNegative = 0.1  # of making what is seen like what is foreseen
    free_nats: NonNegative = 1.0  # distances between the two below this are left alone
    unimix: Unit = 0.01  # how much of all choices is drawn evenly
    return_rate: Unit = 0.01  # how fast the range of returns follows
    slow_rate: Unit = 0.02  # how fast the critic's copy follows
    slow_weight: NonNegative = 1.0  # of the critic's distance to its copy
    critic_replay_weight: NonNegative = 0.3  # of the critic's loss on replayed steps

    def init(self, key: Array, spec: Spec) -> State:
        world_key, actor_key, critic_key = jax.random.split(key, 3)
        size = SIZES[self.size]
        actor = FlooredPolicy(actor_key, size.features, spec.action, size.hidden)
        network = Network(WorldModel(world_key, spec, size), actor, Number(critic_key, size))
        opt_state = laprop(self.clip, self.epsilon).init(network)
        slow = jax.tree.map(jnp.copy, network.critic)
        return State(network, slow, opt_state, jnp.zeros(()), jnp.zeros(()), jnp.zeros(()))

    def begin(self, state: State, obs: Any, key: Array) -> Memory:
        return state.network.world.begin()

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        look_key, action_key = jax.random.split(key)
        latent = self.look(state.network.world, obs, look_key, memory)
        actor = state.network.actor
        action = actor.to_action(actor(latent.features, self.unimix).sample(action_key))
        return Decision(action, {"memory": memory}, state.network.world.remember(latent, action))

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        latent = self.look(state.network.world, obs, key, memory)
        actor = state.network.actor
        action = actor.to_action(actor(latent.features, self.unimix).mode())
        return Decision(action, {}, state.network.world.remember(latent, action))

    def look(self, world: WorldModel, obs: Any, key: Array, memory: Memory) -> Latent:
        """Where the model believes that it is, now that it sees `obs`."""
        return world.observe(world.recall(memory), memory.action, world.embed(obs), key, self.unimix)[0]

    def foresee(self, state: State, obs: Any, memory: Memory, actions: Any, key: Array) -> Outcome:
        """What would come of `actions` [time, ...] (see `models.Foresees`)."""
        look_key, dream_key = jax.random.split(key)
        world = state.network.world
        latent = self.look(world, obs, look_key, memory)
        outcome = unrolled(Dream(world, self.unimix), latent, actions, dream_key)
        return outcome._replace(obs=jax.vmap(world.decoder.picture)(outcome.obs))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        grads, (metrics, low, high) = jax.grad(self.loss, has_aux=True)(state.network, state, batch, key)
        optimizer, rate = laprop(self.clip, self.epsilon), at(self.learning_rate, state.steps)
        network, opt_state = descend(optimizer, state.network, grads, state.opt_state, rate)
        slow = follow(state.slow, network.critic, self.slow_rate)
        new = State(network, slow, opt_state, low, high, batch.extras["steps"].max())
        return new, metrics | {"grad_norm": global_norm(grads)}

    def loss(self, network: Network, state: State, batch: Transition, key: Array) -> Any:
        """All of it -> loss, (metrics, the range of returns)."""
        read_key, dream_key = jax.random.split(key)
        rows, memory = self.rows(network.world, batch)
        keys = jax.random.split(read_key, len(rows.reward))
        latents, posteriors = jax.vmap(network.world.read, (0, 0, 0, None))(rows, memory, keys, self.unimix)
        judge = jax.vmap(network.world.losses, (0, 0, 0, None, None))
        parts = judge(rows, latents, posteriors, self.free_nats, self.unimix)
        metrics = {name: weighted_mean(part, rows.weight) for name, part in parts.items()}

        dream = self.dream(jax.lax.stop_gradient(network), jax.lax.stop_gradient(latents), dream_key)
        found, returns, low, high = self.behaviour(network, state, dream, rows)
        behind = returns[0].reshape(rows.reward.shape)
        metrics |= found | {"critic_replay_loss": self.replayed(network, state, latents.features, rows, behind)}

        predicted = metrics["reconstruction"] + metrics["reward_loss"] + metrics["continuation_loss"]
        loss = self.prediction_weight * predicted + self.dynamics_weight * metrics["dynamics_kl"]
        loss += self.representation_weight * metrics["representation_kl"]
        loss += metrics["actor_loss"] + metrics["critic_loss"]
        loss += self.critic_replay_weight * metrics["critic_replay_loss"]
        return loss, (metrics | {"loss": loss}, low, high)

    def rows(self, world: WorldModel, batch: Transition) -> tuple[Rows, Memory]:
        """The stretches [time, batch] as rows [batch, row], and the memories before them [batch, ...]."""
        batch = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), batch)
        memory = jax.tree.map(lambda x: x[:, 0], batch.extras["memory"])
        actions = jax.vmap(jax.vmap(world.as_numbers))(batch.action)
        return jax.vmap(lay_out)(batch, actions, memory.action), memory

    def dream(self, network: Network, latents: Latent, key: Array) -> Transition:
        """What would happen from all `latents` [batch, row] -> [H, batch * row]."""
        starts = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), latents)

        def choose(features: Array, key: Array) -> Decision:
            chosen = network.actor(features, self.unimix).sample(key)
            return Decision(network.actor.to_action(chosen), {"chosen": chosen})

        world = Dream(network.world, self.unimix)
        return imagine(world, choose, starts, starts.features, key, self.imagination)

    def behaviour(self, network: Network, state: State, dream: Transition, rows: Rows) -> Any:
        """What actor and critic learn from a dream [H, starts] -> metrics, returns [H, starts], range of returns."""
        features = jnp.concatenate([dream.obs, dream.next_obs[-1:]])
        logits = jax.vmap(jax.vmap(network.critic))(features)
        value, discount = jax.lax.stop_gradient(mean_of(logits)), self.gamma * dream.discount
        returns = lambda_return(dream.reward, discount, value[1:], dream.last, self.lambda_)

        start = rows.discount.ravel()  # nothing follows a terminal sight
        counts = jnp.broadcast_to(rows.weight.ravel(), returns.shape)
        fade = start * jnp.concatenate([jnp.ones_like(discount[:1]), jnp.cumprod(discount[:-1], axis=0)])
        low, high = (
            follow(old, quantile(returns, counts * start, share), self.return_rate)
            for old, share in ((state.low, 0.05), (state.high, 0.95))
        )
        advantage = (returns - value[:-1]) / jnp.maximum(1.0, high - low)
        policy = jax.vmap(jax.vmap(network.actor, (0, None)), (0, None))(dream.obs, self.unimix)
        objective = policy.log_prob(dream.extras["chosen"]) * advantage
        objective += at(self.entropy_weight, state.steps) * policy.entropy()
        terms = {
            "actor_loss": -fade * objective,
            "critic_loss": fade * self.critic_loss(logits[:-1], returns, state.slow, dream.obs),
            "entropy": policy.entropy(),
            "imagined_return": returns,
            "value": value[:-1],
            "imagined_reward": dream.reward,
        }
        metrics = {name: weighted_mean(term, counts) for name, term in terms.items()}
        return metrics | {"return_range": high - low}, returns, low, high

    def critic_loss(self, logits: Array, returns: Array, slow: Number, features: Array) -> Array:
        """How badly the critic fits the returns and its slow copy, two leading axes."""
        remembered = mean_of(jax.vmap(jax.vmap(slow))(features))
        return number_loss(logits, returns) + self.slow_weight * number_loss(logits, remembered)

    def replayed(self, network: Network, state: State, features: Array, rows: Rows, behind: Array) -> Array:
        """The critic's loss on what happened; `behind` [batch, row]: the imagined returns of the states themselves."""
        discount = self.gamma * rows.discount
        reward, discount, behind, ends = (x[:, 1:] for x in (rows.reward, discount, behind, rows.ends))
        returns = jax.vmap(lambda_return, (0, 0, 0, 0, None))(reward, discount, behind, ends, self.lambda_)
        features = features[:, :-1]
        logits = jax.vmap(jax.vmap(network.critic))(features)
        weight = rows.weight[:, :-1] * ~rows.ends[:, :-1]  # nothing follows an end
        return weighted_mean(self.critic_loss(logits, returns, state.slow, features), weight)
