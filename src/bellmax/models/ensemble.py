"""An ensemble of Gaussian models of a world (PETS; Chua et al., 2018), https://arxiv.org/abs/1805.12114.

Each member reads an observation and an action and says where they lead, as a normal with a deviation of its own,

    S' - S, R  ~  N(mean(S, A), diag var(S, A)),    descending  -log N(S' - S, R)

var between bounds that are learned and drawn together, and with which probability the episode terminates. The members
differ in their first weights and in how much each step of a batch counts for them. Steps that are held out are never
trained on; the members that foresee those best are the elites, and only they are asked.

Beyond the paper: what is foreseen is standardised as the inputs are, by the mean and deviation of all steps so far; a
member weighs the steps of each batch by exponential numbers (the Bayesian bootstrap; Rubin, 1981) where theirs draws
with replacement; the termination is learned, by its log-likelihood; held-out losses are a running mean over batches.
"""

from __future__ import annotations

import math
import zlib
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Frozen, Spec, Transition
from bellmax.maths.distributions import Normal
from bellmax.maths.ensembles import disagreement, least, mixture_log_prob, running_loss, softly_bounded
from bellmax.maths.optimise import adam, descend
from bellmax.maths.standardising import by_moments, deviation
from bellmax.maths.statistics import Moments, no_moments, update_moments, weighted_mean
from bellmax.networks.encoder import Encoder
from bellmax.networks.ensemble import ensemble, some
from bellmax.networks.mlp import MLP, Activation, Dense
from bellmax.ranges import Count, NonNegative, Positive, Sizes
from bellmax.spaces import Box, Space, is_image

FARTHEST = 10.0  # standardised inputs are cut to this: nobody knows what is beyond
BOUNDS = -10.0, 0.5  # of the logarithm of the variance, at first
PULL = 0.01  # how strongly the bounds are drawn together
HORIZON = 100.0  # batches that a held-out loss is the mean of


class Forecast(NamedTuple):
    """What members say of a step, standardised: where it leads, then the reward."""

    mean: Array  # [..., outputs]
    log_var: Array  # [..., outputs]
    ends: Array  # [...], the logit of its terminating the episode


class Member(eqx.Module):
    """Standardised features of an observation and an action [inputs] -> Forecast."""

    mlp: MLP
    head: Dense
    low: Array  # bounds of log_var, [outputs]
    high: Array

    def __init__(self, key: Array, inputs: int, outputs: int, hidden: tuple[int, ...], activation: Activation):
        mlp_key, head_key = jax.random.split(key)
        mlp = MLP(mlp_key, (inputs, *hidden), activation)
        head = Dense(head_key, hidden[-1] if hidden else inputs, 2 * outputs + 1)
        self.mlp, self.head = small((mlp, head), key)
        self.low, self.high = (jnp.full(outputs, bound) for bound in BOUNDS)

    def __call__(self, x: Array) -> Forecast:
        said, outputs = self.head(self.mlp(x)), len(self.low)
        log_var = softly_bounded(said[outputs : 2 * outputs], self.low, self.high)
        return Forecast(said[:outputs], log_var, said[-1])


class State(NamedTuple):
    """What has been learned of a world."""

    members: Member  # every leaf is [members, ...]
    encoder: Encoder  # of an observation and an action
    inputs: Moments  # of their features
    targets: Moments  # of what is foreseen
    losses: Array  # on steps that are held out, [members]
    learned: Array  # gradient steps so far
    opt_state: Any


class Ensemble(Frozen):
    """Several networks that each foresee the change of the observation and the reward."""

    members: Count = 7  # networks
    elites: Count = 5  # of them that are asked: those that foresee best what is held out
    hidden: Sizes = (200, 200, 200, 200)  # widths of their dense layers
    activation: Activation = "swish"  # between the dense layers
    learning_rate: Positive = 1e-3  # Adam's
    weight_decay: NonNegative = 5e-5  # of half the squared weights in the loss

    def __post_init__(self) -> None:
        Frozen.__post_init__(self)
        if self.elites > self.members:
            raise ValueError(f"Ensemble.elites = {self.elites}: there are {self.members} members; ask no more of them.")

    def init(self, key: Array, spec: Spec) -> State:
        """An ensemble that has seen nothing. ValueError unless observations are a box of numbers."""
        if not isinstance(spec.action, Space):
            raise ValueError(f"action space {spec.action}: this model wants a single space; flatten it.")
        outputs, encoder = numbers_of(spec.obs) + 1, Encoder(key, (spec.obs, spec.action))
        make = lambda k: Member(k, encoder.size, outputs, self.hidden, self.activation)
        members = ensemble(make, key, self.members)
        moments = no_moments((encoder.size,)), no_moments((outputs,))
        return State(
            members, encoder, *moments, jnp.zeros(self.members), jnp.zeros((), jnp.int32), adam().init(members)
        )

    def observe(self, state: State, fresh: Transition) -> State:
        """Take steps [...] into the means and deviations, once; those of weight 0 are not looked at."""
        weight = fresh.weight.reshape(-1)
        fresh = jax.tree.map(lambda x: x.reshape(len(weight), *x.shape[fresh.weight.ndim :]), fresh)
        inputs = update_moments(state.inputs, features(state, fresh.obs, fresh.action), weight)
        return state._replace(inputs=inputs, targets=update_moments(state.targets, changes(fresh), weight))

    def learn(self, state: State, batch: Transition, held_out: Array, key: Array) -> tuple[State, dict[str, Array]]:
        """One gradient step on the steps [batch] that are not `held_out` [batch] -> state, metrics."""
        x = by_moments(state.inputs, features(state, batch.obs, batch.action), FARTHEST)
        y, ends = by_moments(state.targets, changes(batch)), batch.discount == 0
        taught, withheld = batch.weight * (1.0 - held_out), batch.weight * held_out
        weight = taught * jax.random.exponential(key, (len(taught), self.members)).T

        grads, (losses, said) = jax.grad(self.loss, has_aux=True)(state.members, x, y, ends, weight)
        members, opt_state = descend(adam(), state.members, grads, state.opt_state, self.learning_rate)
        held = jax.vmap(weighted_mean, (0, None))(losses, withheld)
        running = running_loss(state.losses, held, withheld.sum() > 0, state.learned, HORIZON)
        metrics = {
            "model_loss": jax.vmap(weighted_mean, (0, None))(losses, taught).mean(),
            "held_out_loss": held[least(running, self.elites)].mean(),
            "disagreement": weighted_mean(disagreement(said.mean), batch.weight),
        }
        new = state._replace(members=members, losses=running, learned=state.learned + 1, opt_state=opt_state)
        return new, metrics

    def loss(self, members: Member, x: Array, y: Array, ends: Array, weight: Array) -> Any:
        """The sum of the members' losses, -> that, (each step's loss [members, batch], what was said)."""
        said = asked(members, x)
        losses = -log_prob_of(said, y) + jax.nn.softplus(said.ends) - ends * said.ends
        decay = 0.5 * self.weight_decay * sum(jnp.square(layer.weight).sum() for layer in dense_layers(members))
        bounds = PULL * (members.high - members.low).sum()
        return jax.vmap(weighted_mean)(losses, weight).sum() + bounds + decay, (losses, said)

    def best(self, state: State) -> State:
        """The elites alone: the same, with `elites` members."""
        chosen = least(state.losses, self.elites)
        return state._replace(members=some(state.members, chosen), losses=state.losses[chosen])


def numbers_of(space: Any) -> int:
    """How many numbers an observation has. ValueError unless it is a box of them, and no picture."""
    if not isinstance(space, Box) or is_image(space) or not space.dtype.startswith("float"):
        raise ValueError(
            f"observation space {space}: this model foresees numbers and needs a Box of floats; flatten what is nested "
            "in the environment, and for choices take Dyna-Q."
        )
    return math.prod(space.shape)


def features(state: State, obs: Any, action: Any) -> Array:
    """What members read, not standardised: [batch, inputs]."""
    return jax.vmap(state.encoder)((obs, action))


def changes(batch: Transition) -> Array:
    """What members foresee, not standardised: S' - S, and R behind it, [batch, outputs]."""
    moved = (batch.next_obs - batch.obs).reshape(*batch.reward.shape, -1)
    return jnp.concatenate([moved, batch.reward[..., None]], -1)


def asked(members: Member, x: Array) -> Forecast:
    """What every member says of every row of x [batch, inputs]: [members, batch, ...]."""
    return jax.vmap(lambda member: jax.vmap(member)(x))(members)


def foreseen(state: State, obs: Any, action: Any) -> Forecast:
    """What every member says of observations and actions [batch, ...], standardised: [members, batch, ...]."""
    x = by_moments(state.inputs, features(state, obs, action), FARTHEST)
    return asked(state.members, x)


def uncertainty(state: State, obs: Any, action: Any) -> Array:
    """How far apart the members' means are, in deviations of what is foreseen: [batch]."""
    return disagreement(foreseen(state, obs, action).mean)


def log_likelihood(state: State, batch: Transition) -> Array:
    """The log-density, in the units of the world, that all members together give to S' - S and R: [batch]."""
    said = foreseen(state, batch.obs, batch.action)
    standardised = mixture_log_prob(log_prob_of(said, by_moments(state.targets, changes(batch))))
    return standardised - jnp.log(deviation(state.targets)).sum()


def log_prob_of(said: Forecast, y: Array) -> Array:
    """The log-density of what came, standardised: [...]."""
    return Normal(said.mean, 0.5 * said.log_var).log_prob(y)


def small(network: Any, key: Array) -> Any:
    """The network with weights from a normal cut at two deviations, 1 / (2 sqrt(inputs)), as the authors' code has."""

    def begin(path: Any, x: Array) -> Array:
        if x.ndim < 2:
            return x
        name = zlib.crc32(jax.tree_util.keystr(path).encode())
        return jax.random.truncated_normal(jax.random.fold_in(key, name), -2, 2, x.shape) / (2 * x.shape[0] ** 0.5)

    return jax.tree_util.tree_map_with_path(begin, network)


def dense_layers(members: Member) -> list[Dense]:
    """All that weights decay in."""
    return [*members.mlp.layers, members.head]
