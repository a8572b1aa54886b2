"""DreamerV3's world model: what is seen, how it goes on, what it pays and whether it ends.

Hafner et al., 2023, https://arxiv.org/abs/2301.04104, eqs. 3 to 5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array

from bellmax.core import Spec
from bellmax.maths.distributions import Categorical
from bellmax.maths.two_hot import symexp_bins, symlog, two_hot_loss, two_hot_mean
from bellmax.models.rows import Rows
from bellmax.models.rssm import RSSM, Latent, Size, balanced_kl, straight_through
from bellmax.networks.bounds import numbers, to_unit
from bellmax.networks.decoder import Decoder
from bellmax.networks.encoder import Encoder, Torso
from bellmax.networks.mlp import MLP, Dense
from bellmax.networks.normed import normed
from bellmax.spaces import Box, Masked, Privileged, Simulated, Space, Tree, is_image

BINS = 255  # of rewards and values


class Memory(NamedTuple):
    """What is carried from one step of an episode to the next: a latent state, and the action taken in it."""

    deterministic: Array  # h
    choices: Array  # z, int32 [groups]; -1 for none
    action: Array  # [actions], as numbers


class Number(eqx.Module):
    """Features -> a number of unknown size, as logits over symexp bins. It begins by predicting 0."""

    mlp: MLP
    head: Dense

    def __init__(self, key: Array, size: Size):
        mlp_key, head_key = jax.random.split(key)
        self.mlp = normed(MLP(mlp_key, (size.features, *size.hidden), "swish"))
        self.head = Dense(head_key, size.units, BINS, 0.0)

    def __call__(self, features: Array) -> Array:
        """-> logits [bins]."""
        return self.head(self.mlp(features))


def mean_of(logits: Array) -> Array:
    """The number that logits [..., bins] stand for."""
    return two_hot_mean(logits, symexp_bins(BINS))


def number_loss(logits: Array, target: Array) -> Array:
    """How badly logits [..., bins] stand for `target` [...]."""
    return two_hot_loss(logits, target, symexp_bins(BINS))


class WorldModel(eqx.Module):
    """The recurrent state-space model with its encoder, and the heads that read it. Written for one."""

    torso: Torso
    rssm: RSSM
    decoder: Decoder
    reward: Number
    continues: MLP
    continues_head: Dense
    actions: Encoder  # has nothing to learn
    action: Space = eqx.field(static=True)

    def __init__(self, key: Array, spec: Spec, size: Size):
        check(spec.obs)
        torso_key, rssm_key, decoder_key, reward_key, continues_key, head_key = jax.random.split(key, 6)
        self.action = numbers(spec.action) if isinstance(spec.action, Box) else spec.action
        self.actions = Encoder(key, self.action)
        torso = Torso(torso_key, spec.obs, size.hidden, "swish")
        self.torso = eqx.tree_at(lambda torso: torso.mlp, torso, normed(torso.mlp))
        self.rssm = RSSM(rssm_key, size, self.actions.size, self.torso.size)
        self.decoder = Decoder(decoder_key, size.features, spec.obs, size.hidden)
        self.reward = Number(reward_key, size)
        self.continues = normed(MLP(continues_key, (size.features, *size.hidden), "swish"))
        self.continues_head = Dense(head_key, size.units, 1)

    def begin(self) -> Memory:
        """What an episode begins with."""
        size = self.rssm.size
        return Memory(jnp.zeros(size.deterministic), jnp.full(size.groups, -1, jnp.int32), jnp.zeros(self.actions.size))

    def recall(self, memory: Memory) -> Latent:
        """The latent state in a memory."""
        return Latent(memory.deterministic, jax.nn.one_hot(memory.choices, self.rssm.size.classes))

    def remember(self, latent: Latent, action: Any) -> Memory:
        """A latent state and the action taken in it, as it is kept."""
        choices = latent.stochastic.argmax(-1).astype(jnp.int32)
        return Memory(latent.deterministic, choices, self.as_numbers(action))

    def as_numbers(self, action: Any) -> Array:
        """An action as the environment gets it -> [actions]: choices one-hot, numbers of a box in -1 .. 1."""
        if isinstance(self.action, Box):
            return jnp.clip(to_unit(self.action, action), -1, 1)
        return self.actions(action)

    def embed(self, obs: Any) -> Array:
        """An observation -> [embedding]. Numbers are looked at through symlog, so that none is too large."""

        def squash(space: Space, x: Array) -> Array:
            wide = isinstance(space, Box) and not is_image(space)
            return symlog(jnp.asarray(x, jnp.float32)) if wide else x

        leaves, tree = jax.tree.flatten(obs)
        return self.torso(jax.tree.unflatten(tree, map(squash, self.decoder.spaces, leaves)))

    def observe(
        self, latent: Latent, action: Array, embedding: Array, key: Array, unimix: float | Array
    ) -> tuple[Latent, Categorical]:
        """Where it is after `action` [actions], having looked -> latent, q(z | h, x)."""
        deterministic = self.rssm.advance(latent, action)
        posterior = self.rssm.posterior(deterministic, embedding, unimix)
        return Latent(deterministic, straight_through(posterior, key)), posterior

    def foresee(self, latent: Latent, action: Array, key: Array, unimix: float | Array) -> Latent:
        """Where it is after `action` [actions], without looking."""
        deterministic = self.rssm.advance(latent, action)
        return Latent(deterministic, straight_through(self.rssm.prior(deterministic, unimix), key))

    def read(self, rows: Rows, memory: Memory, key: Array, unimix: float | Array) -> tuple[Latent, Categorical]:
        """A stretch [row], from the memory before it -> latent states and posteriors [row, ...].

        Where an episode begins, it begins from nothing, as `begin` says.
        """
        embeddings, keys = jax.vmap(self.embed)(rows.obs), jax.random.split(key, len(rows.reward))

        def step(latent: Latent, now: Any) -> tuple[Latent, tuple[Latent, Categorical]]:
            action, begins, embedding, key = now
            latent = jax.tree.map(lambda new, old: jnp.where(begins, new, old), self.rssm.begin(), latent)
            latent, posterior = self.observe(latent, action, embedding, key, unimix)
            return latent, (latent, posterior)

        inputs = rows.action, rows.begins, embeddings, keys
        return jax.lax.scan(step, self.recall(memory), inputs)[1]

    def continuation(self, features: Array) -> Array:
        """The logit of going on."""
        return self.continues_head(self.continues(features))[0]

    def losses(
        self, rows: Rows, latents: Latent, posteriors: Categorical, free_nats: float | Array, unimix: float | Array
    ) -> dict[str, Array]:
        """The parts of eqs. 4 and 5 for every row -> [row] each."""
        features = latents.features
        priors = jax.vmap(self.rssm.prior, (0, None))(latents.deterministic, unimix)
        dynamics, representation = balanced_kl(posteriors, priors, free_nats)
        logit = jax.vmap(self.continuation)(features)
        return {
            "reconstruction": jax.vmap(self.decoder.error)(features, rows.obs),
            "reward_loss": jnp.where(rows.arrived, number_loss(jax.vmap(self.reward)(features), rows.reward), 0.0),
            "continuation_loss": optax.sigmoid_binary_cross_entropy(logit, jnp.clip(rows.discount, 0, 1)),
            "dynamics_kl": dynamics,
            "representation_kl": representation,
        }


def check(obs: Tree) -> None:
    """ValueError where an observation holds what cannot be imagined."""
    hidden = (Masked, Privileged, Simulated)
    found = [leaf for leaf in jax.tree.leaves(obs, is_leaf=lambda x: isinstance(x, hidden)) if isinstance(leaf, hidden)]
    if found:
        raise ValueError(
            f"observation {type(found[0]).__name__}(...): a world model cannot imagine legal actions, simulators or "
            "what only a critic sees; make it part of what is seen, or take PPO or DQN."
        )
