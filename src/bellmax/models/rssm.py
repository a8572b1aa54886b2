"""The recurrent state-space model of DreamerV3 (Hafner et al., 2023, https://arxiv.org/abs/2301.04104, eq. 3).

    sequence model   h  = f(h, z, a)          a cell like a GRU
    encoder          z  ~ q(z | h, x)         `groups` choices of one of `classes` each
    dynamics         z^ ~ p(z | h)            the same, without having looked

As in the first version of the paper: one dense cell, not one in blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.maths.distributional import divergence
from bellmax.maths.distributions import Categorical
from bellmax.networks.mlp import MLP, Dense
from bellmax.networks.normed import NormedDense, normed


class Latent(NamedTuple):
    """Where the model believes that it is."""

    deterministic: Array  # h, [deterministic]
    stochastic: Array  # z, one-hot [groups, classes]

    @property
    def features(self) -> Array:
        """h and z in a row, [..., features]: what everything else looks at."""
        flat = self.stochastic.reshape(*self.stochastic.shape[:-2], -1)
        return jnp.concatenate([self.deterministic, flat], -1)


class Size(NamedTuple):
    """How large the model is."""

    deterministic: int
    units: int  # width of every dense layer
    layers: int  # of every MLP
    groups: int
    classes: int

    @property
    def hidden(self) -> tuple[int, ...]:
        """The widths of an MLP."""
        return (self.units,) * self.layers

    @property
    def features(self) -> int:
        """How many numbers describe a latent state."""
        return self.deterministic + self.groups * self.classes


# Table B.1 of the first version of the paper; "tiny" is for two cores and observations of a few numbers.
SIZES = {
    "tiny": Size(64, 64, 1, 8, 8),
    "XS": Size(256, 256, 1, 32, 32),
    "S": Size(512, 512, 2, 32, 32),
    "M": Size(1024, 640, 3, 32, 32),
    "L": Size(2048, 768, 4, 32, 32),
    "XL": Size(4096, 1024, 5, 32, 32),
}


class RSSM(eqx.Module):
    """Latent states, and what actions and observations do to them. Written for one."""

    entry: MLP  # z and a, before the cell
    cell: NormedDense
    prior_mlp: MLP
    prior_head: Dense
    posterior_mlp: MLP
    posterior_head: Dense
    size: Size = eqx.field(static=True)

    def __init__(self, key: Array, size: Size, actions: int, embedding: int):
        entry_key, cell_key, prior_key, prior_head_key, posterior_key, posterior_head_key = jax.random.split(key, 6)
        h, units, outputs = size.deterministic, size.units, size.groups * size.classes
        self.size = size
        self.entry = normed(MLP(entry_key, (outputs + actions, units), "swish"))
        self.cell = NormedDense(Dense(cell_key, h + units, 3 * h))
        self.prior_mlp = normed(MLP(prior_key, (h, units), "swish"))
        self.prior_head = Dense(prior_head_key, units, outputs)
        self.posterior_mlp = normed(MLP(posterior_key, (h + embedding, units), "swish"))
        self.posterior_head = Dense(posterior_head_key, units, outputs)

    def begin(self) -> Latent:
        """What an episode begins from: the first observation is reached from here by an action of zeros."""
        return Latent(jnp.zeros(self.size.deterministic), jnp.zeros((self.size.groups, self.size.classes)))

    def advance(self, latent: Latent, action: Array) -> Array:
        """f: latent, action [actions] -> h. The update gate begins almost closed, so that h remembers."""
        x = self.entry(jnp.concatenate([latent.stochastic.ravel(), action]))
        reset, candidate, update = jnp.split(self.cell(jnp.concatenate([latent.deterministic, x])), 3)
        candidate = jnp.tanh(jax.nn.sigmoid(reset) * candidate)
        update = jax.nn.sigmoid(update - 1)
        return update * candidate + (1 - update) * latent.deterministic

    def prior(self, deterministic: Array, unimix: float | Array) -> Categorical:
        """p(z | h), [groups]."""
        return self._choices(self.prior_head(self.prior_mlp(deterministic)), unimix)

    def posterior(self, deterministic: Array, embedding: Array, unimix: float | Array) -> Categorical:
        """q(z | h, x), [groups]."""
        x = jnp.concatenate([deterministic, embedding])
        return self._choices(self.posterior_head(self.posterior_mlp(x)), unimix)

    def _choices(self, logits: Array, unimix: float | Array) -> Categorical:
        return Categorical(logits.reshape(self.size.groups, self.size.classes)).mixed(unimix)


def straight_through(choices: Categorical, key: Array) -> Array:
    """A one-hot sample [..., classes] whose gradient is that of the probabilities (section 2; Bengio et al., 2013).

    https://arxiv.org/abs/1308.3432
    """
    probabilities = jax.nn.softmax(choices.logits)
    hot = jax.nn.one_hot(choices.sample(key), probabilities.shape[-1])
    return jax.lax.stop_gradient(hot) + probabilities - jax.lax.stop_gradient(probabilities)


def balanced_kl(posterior: Categorical, prior: Categorical, free_nats: float | Array) -> tuple[Array, Array]:
    """KL(sg(q) || p) and KL(q || sg(p)), each summed over the groups and at least `free_nats` (eq. 5) -> [...] each.

    The first teaches the dynamics, the second makes what is seen easier to foresee.
    """

    def kl(p: Categorical, q: Categorical) -> Array:
        return divergence(jax.nn.softmax(p.logits), q.logits).sum(-1)

    dynamics = kl(jax.lax.stop_gradient(posterior), prior)
    representation = kl(posterior, jax.lax.stop_gradient(prior))
    return jnp.maximum(dynamics, free_nats), jnp.maximum(representation, free_nats)
