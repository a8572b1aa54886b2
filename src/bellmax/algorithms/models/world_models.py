"""World Models (Ha & Schmidhuber, 2018), https://arxiv.org/abs/1803.10122.

V, a variational autoencoder, puts what is seen in a few numbers z; M, an LSTM with a mixture density output, foresees

    p(z_t+1 | a_t, z_t, h_t)                                                                (section 2.2)

and whether the episode ends; C, the controller, is linear: a_t = W [z_t h_t] + b. V and M learn here, from what random
actions show; with `bellmax.foresee` M learns on from all that is stored, and then C is found by CMA-ES in the dream
that M is (section 4): `bellmax.dream`.

Beyond the paper: V and M learn side by side from the same replayed stretches, in which M begins without memory (V
never hears of M's errors); V's decoder is dense; M foresees the change of z, and the reward, which in the paper's dream
is 1 a step. Of choices C takes the one of the largest output; bounded numbers are squashed by tanh. C sees the mean of
z. `picture_weight` is 1 in the paper. Only random actions look around: the iterated procedure of section 5 is left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from bellmax.core import Algorithm, Decision, Outcome, Spec, Transition
from bellmax.experience import Sequences
from bellmax.maths.mixtures import kl_from_standard_normal
from bellmax.maths.optimise import clipped_adam, descend, global_norm
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.models import unrolled
from bellmax.models.mixture_dream import MixtureDream, MixtureDreamState, seen
from bellmax.networks.autoencoder import Autoencoder, scaled, unscaled
from bellmax.networks.mixture_memory import MixtureMemory
from bellmax.ranges import Count, NonNegative, Positive
from bellmax.spaces import Box, Discrete, Space, is_image, sample


class State(NamedTuple):
    """What has been learned."""

    autoencoder: Autoencoder  # V
    memory: MixtureMemory  # M
    controller: Array  # C: W and b, [latent + memory_size + 1, outputs]
    opt_states: tuple[Any, Any]  # of V and M
    steps: Array  # environment steps so far: the clock of the schedules


class WorldModels(Algorithm):
    """See in a few numbers, remember and foresee, and decide by a linear controller."""

    experience: Sequences = Sequences(20_000, batch=16, window=16, burn_in=0, start=5_000)  # what it learns from
    latent: Count = 16  # numbers in z
    hidden: Count = 256  # width of V's decoder
    memory_size: Count = 64  # numbers in h
    mixtures: Count = 5  # normals for each number of z
    picture_weight: Positive = 1.0  # of the squared error of pictures beside a nat; more for what is small in them
    kl_tolerance: NonNegative = 0.5  # nats for each number of z that cost nothing
    learning_rate: Scheduled = 1e-3  # Adam's
    max_grad_norm: Positive = 100.0  # gradients longer than this are shortened to it

    def init(self, key: Array, spec: Spec) -> State:
        if not is_image(spec.obs) or not isinstance(spec.action, Discrete | Box):
            raise ValueError(
                f"observations {spec.obs}, actions {spec.action}: WorldModels sees pictures [height, width, channels], "
                "and acts by one choice or by numbers."
            )
        see_key, memory_key = jax.random.split(key)
        autoencoder = Autoencoder(see_key, spec.obs.shape, self.latent, self.hidden)  # type: ignore[arg-type]
        memory = MixtureMemory(memory_key, self.latent, spec.action, self.memory_size, self.mixtures)
        optimizer = clipped_adam(self.max_grad_norm)
        controller = jnp.zeros((self.latent + self.memory_size + 1, memory.actions.size))
        opt_states = optimizer.init(autoencoder), optimizer.init(memory)
        return State(autoencoder, memory, controller, opt_states, jnp.zeros(()))

    def begin(self, state: State, obs: Any, key: Array) -> Any:
        return state.memory.begin()

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        """Anything at all: V and M learn from what it shows."""
        return Decision(sample(state.memory.actions.spaces[0], key), {}, memory)

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        z = state.autoencoder.encode(obs[None])[0][0]
        action = controlled(state.controller, seen(z, memory), state.memory.actions.spaces[0])
        return Decision(action, {}, state.memory(memory, z, action)[0])

    def foresee(self, state: State, obs: Any, memory: Any, actions: Any, key: Array) -> Outcome:
        """What would come of `actions` [time, ...] (see `models.Foresees`)."""
        z = state.autoencoder.encode(obs[None])[0]
        outcome = unrolled(MixtureDream(state.memory, z), MixtureDreamState(z[0], memory), actions, key)
        pictures = jax.vmap(state.autoencoder.decode)(outcome.obs[:, : self.latent])
        return outcome._replace(obs=unscaled(pictures, obs.dtype))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        see_key, *keys = jax.random.split(key, 3)
        optimizer, learning_rate = clipped_adam(self.max_grad_norm), at(self.learning_rate, state.steps)
        see_grads, seen_well = jax.grad(self.see_loss, has_aux=True)(state.autoencoder, batch, see_key)
        z, next_z = (drawn(state.autoencoder, obs, k) for obs, k in zip((batch.obs, batch.next_obs), keys))
        grads, foreseen = jax.grad(self.foresee_loss, has_aux=True)(state.memory, batch, z, next_z)
        autoencoder, see_state = descend(optimizer, state.autoencoder, see_grads, state.opt_states[0], learning_rate)
        memory, memory_state = descend(optimizer, state.memory, grads, state.opt_states[1], learning_rate)
        new = state._replace(autoencoder=autoencoder, memory=memory, opt_states=(see_state, memory_state))
        metrics = seen_well | foreseen | {"grad_norm": global_norm(grads)}
        return new._replace(steps=batch.extras["steps"].max()), metrics

    def see_loss(self, autoencoder: Autoencoder, batch: Transition, key: Array) -> tuple[Array, dict[str, Array]]:
        """Half the squared error of the pictures, and what z tells beyond the tolerance."""
        pictures, weight = flat(batch.obs), batch.weight.reshape(-1)
        mean, log_std = autoencoder.encode(pictures)
        z = mean + jnp.exp(log_std) * normals(key, batch.obs.shape[:2], self.latent)
        error = 0.5 * jnp.square(jax.vmap(autoencoder.decode)(z) - scaled(pictures)).sum((1, 2, 3))
        kl = kl_from_standard_normal(mean, log_std)
        loss = self.picture_weight * error + jnp.maximum(kl, self.kl_tolerance * self.latent)
        metrics = {"picture_error": weighted_mean(error, weight), "kl": weighted_mean(kl, weight)}
        return weighted_mean(loss, weight), metrics

    def foresee_loss(
        self, memory: MixtureMemory, batch: Transition, z: Array, next_z: Array
    ) -> tuple[Array, dict[str, Array]]:
        """-log p of the next z, of ends, and half the squared error of rewards."""

        def step(carry: Any, now: Any) -> Any:
            z, action, last = now
            carry, foreseen = jax.vmap(memory)(carry, z, action)
            fresh = jax.tree.map(lambda x: jnp.where(last[:, None], 0, x), carry)
            return fresh, foreseen

        count = batch.reward.shape[1]
        begun = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), memory.begin())
        foreseen = jax.lax.scan(step, begun, (z, batch.action, batch.last))[1]
        terms = {
            "foresight": foreseen.z.log_prob(next_z),
            "end_error": optax.sigmoid_binary_cross_entropy(foreseen.end, 1 - batch.discount),
            "reward_error": 0.5 * jnp.square(foreseen.reward - batch.reward),
        }
        means = {name: weighted_mean(term, batch.weight) for name, term in terms.items()}
        return -means["foresight"] + means["end_error"] + means["reward_error"], means


def controlled(controller: Array, features: Array, space: Space) -> Array:
    """What the controller does: W [z h] + b, the largest of choices, or numbers within their bounds."""
    outputs = features @ controller[:-1] + controller[-1]
    if isinstance(space, Discrete):
        return jnp.argmax(outputs).astype(jnp.int32)
    assert isinstance(space, Box)
    low, high = (bound.astype("float32") for bound in space.bounds())
    return low + 0.5 * (jnp.tanh(outputs.reshape(space.shape)) + 1) * (high - low)


def drawn(autoencoder: Autoencoder, pictures: Array, key: Array) -> Array:
    """z drawn for pictures [time, batch, ...] -> [time, batch, latent]; V does not hear what becomes of it."""
    mean, log_std = autoencoder.encode(flat(pictures))
    z = mean + jnp.exp(log_std) * normals(key, pictures.shape[:2], mean.shape[-1])
    return jax.lax.stop_gradient(z).reshape(*pictures.shape[:2], -1)


def normals(key: Array, shape: tuple[int, ...], size: int) -> Array:
    """Standard normals [time * batch, size]; those of a stretch do not depend on how many others there are."""
    time, batch = shape
    drawn = jax.vmap(lambda key: jax.random.normal(key, (time, size)), out_axes=1)(jax.random.split(key, batch))
    return drawn.reshape(-1, size)


def flat(pictures: Array) -> Array:
    """[time, batch, ...] -> [time * batch, ...]."""
    return pictures.reshape(-1, *pictures.shape[2:])
