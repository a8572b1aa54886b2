"""Decision Transformer (Chen et al., 2021), https://arxiv.org/abs/2106.01345: actions for the return that is asked for.

A causal transformer reads the last K steps of an episode, three tokens each: the return R that was still to come, the
observation and the action. From the token of the observation it predicts the action. On logged steps (algorithm 1)

    descend  E[ mean_k ( a_k - pi(R_1, s_1, a_1, ..., R_k, s_k) )^2 ],  of choices -log pi(a_k | ...)

and to act, ask for a return and take off it what was paid: R_1 = target, R_k+1 = R_k - r_k. Returns-to-go are not
discounted, and divided by a scale; observations are standardised by the mean and deviation of the data. As in the
authors' code (https://github.com/kzl/decision-transformer): AdamW with a rate that grows at first, clipped gradients,
dropout, a norm behind the embeddings, continuous actions behind a tanh.

Beyond the paper: without `target_return` the best return in the data is asked for, without `scale` the largest
return-to-go is 1; attention itself is not dropped out; weights are orthogonal; stretches are drawn evenly over steps.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Outcome, Spec, Transition
from bellmax.experience import Dataset
from bellmax.maths.optimise import clipped_adamw, descend, global_norm
from bellmax.maths.schedules import Scheduled, at
from bellmax.maths.standardising import Seen, nothing_seen, standardised, take_in
from bellmax.maths.statistics import weighted_mean
from bellmax.networks.mlp import Activation
from bellmax.networks.trajectory import Stretch, TrajectoryNetwork
from bellmax.ranges import Count, NonNegative, Positive, Range
from bellmax.spaces import zeros


class State(NamedTuple):
    """What has been learned."""

    network: TrajectoryNetwork
    seen: Seen  # mean and deviation of the observations in the data
    best: Array  # the best return of an episode in the data
    largest: Array  # the largest return-to-go there, whatever its sign
    opt_state: Any
    steps: Array  # updates so far


class Memory(NamedTuple):
    """The last K steps, the newest last, and what is asked for now."""

    obs: Any
    action: Any
    to_go: Array
    time: Array
    weight: Array  # 0 where there is none yet
    asked: Array  # the return that is still to come
    now: Array  # the number of the step to come


class DecisionTransformer(Algorithm):
    """Decision Transformer."""

    experience: Dataset = Dataset(batch=64, n=20, pad="before")  # what it learns from; n is K, the steps it reads
    target_return: float | None = None  # what is asked for in acting; None: the best return in the data
    scale: Positive | None = None  # returns are divided by it; None: by the largest in the data
    learning_rate: Scheduled = 1e-4  # AdamW's
    warmup: Count = 10_000  # updates over which the rate grows from 0
    weight_decay: NonNegative = 1e-4  # AdamW's
    max_grad_norm: Positive = 0.25  # gradients are cut to this length
    dropout: Annotated[float, Range(0, 1, open_high=True)] = 0.1  # probability with which a number is left out
    width: Count = 128  # of a token
    layers: Count = 3  # of the transformer
    heads: Count = 1  # of its attention
    longest: Count = 1_000  # steps of an episode that are told apart by their number
    activation: Activation = "relu"  # between the dense layers

    def init(self, key: Array, spec: Spec) -> State:
        network = TrajectoryNetwork(
            key, spec.obs, spec.action, self.width, self.heads, self.layers, self.longest, self.activation
        )
        none, least = jnp.zeros(()), jnp.finfo(jnp.float32).min
        opt_state = clipped_adamw(self.max_grad_norm, self.weight_decay).init(network)
        return State(network, nothing_seen(spec.obs), jnp.float32(least), none, opt_state, jnp.zeros(()))

    def observe(self, state: State, fresh: Transition) -> State:
        to_go, begins = fresh.extras["return_to_go"], fresh.extras["time"] == 0
        best = jnp.where(begins, to_go, state.best).max(initial=state.best)
        largest = jnp.abs(to_go).max(initial=state.largest)
        return state._replace(seen=take_in(state.seen, fresh.obs, fresh.weight), best=best, largest=largest)

    def begin(self, state: State, obs: Any, key: Array) -> Memory:
        steps = self.experience.n
        nothing, action = (
            jax.tree.map(lambda x: jnp.zeros((steps, *jnp.shape(x)), jnp.asarray(x).dtype), tree)
            for tree in (obs, zeros(state.network.space))
        )
        asked = state.best if self.target_return is None else jnp.float32(self.target_return)
        none = jnp.zeros(steps)
        return Memory(nothing, action, none, jnp.zeros(steps, jnp.int32), none, asked, jnp.int32(0))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return self.decide(state, obs, key, memory)

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return self.decide(state, obs, None, memory)

    def hear(self, state: State, memory: Memory, outcome: Outcome) -> Memory:
        return memory._replace(asked=memory.asked - outcome.reward, now=memory.now + 1)

    def decide(self, state: State, obs: Any, key: Array | None, memory: Memory) -> Decision:
        """Put the step into the memory, the oldest out, and read the action that comes next."""
        nothing = zeros(state.network.space)
        newest = (obs, nothing, memory.asked, memory.now, jnp.float32(1))
        kept = [jax.tree.map(_pushed, old, new) for old, new in zip(memory[:5], newest)]
        memory = memory._replace(**dict(zip(Memory._fields, kept)))
        read = jax.tree.map(lambda x: x[None], Stretch(memory.to_go, *kept[:2], *kept[3:]))
        features = state.network(self.scaled(state, read))[0, -1]
        action = state.network.choose(features, obs, key)
        written = jax.tree.map(lambda all, new: all.at[-1].set(new), memory.action, action)
        return Decision(action, memory=memory._replace(action=written))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        rate = at(self.learning_rate, state.steps) * jnp.minimum((state.steps + 1) / self.warmup, 1)
        grads, loss = jax.grad(self.loss, has_aux=True)(state.network, state, batch, key)
        optimizer = clipped_adamw(self.max_grad_norm, self.weight_decay)
        network, opt_state = descend(optimizer, state.network, grads, state.opt_state, rate)
        steps = batch.extras["steps"].max()
        metrics = {"loss": loss, "grad_norm": global_norm(grads)}
        return state._replace(network=network, opt_state=opt_state, steps=steps), metrics

    def loss(self, network: TrajectoryNetwork, state: State, batch: Transition, key: Array) -> tuple[Array, Array]:
        """Over the stretches [time, batch]; the gradient goes into `network`."""
        batch = jax.tree.map(lambda x: x.swapaxes(0, 1), batch)
        to_go, time = batch.extras["return_to_go"], batch.extras["time"]
        stretch = self.scaled(state, Stretch(to_go, batch.obs, batch.action, time, batch.weight))
        features = network(stretch, key, self.dropout)
        loss = weighted_mean(network.surprise(features, batch.obs, batch.action), batch.weight)
        return loss, loss

    def scaled(self, state: State, stretch: Stretch) -> Stretch:
        """As the network reads it: returns of about unit size, observations standardised."""
        scale = jnp.maximum(state.largest, 1e-6) if self.scale is None else self.scale
        return stretch._replace(to_go=stretch.to_go / scale, obs=standardised(state.seen, stretch.obs, jnp.inf))


def _pushed(old: Array, new: Array) -> Array:
    """The newest behind the others, without the oldest."""
    return jnp.concatenate([old[1:], jnp.asarray(new, old.dtype)[None]])
