"""Self-play as in Pgx's AlphaZero example (https://github.com/sotetsuk/pgx, examples/alphazero), written anew.

The example is not part of the package. This is its loop: a batch of games that start again where they end, and before
every move mctx's `gumbel_muzero_policy` with default settings, over logits that are masked. Its residual network is
replaced by the dense one that it is compared with: `hidden` relu layers, then heads for policy and value (tanh).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import mctx
import pgx
from pgx.experimental import auto_reset


def network(key: jax.Array, inputs: int, hidden: tuple[int, ...], moves: int) -> list[tuple[jax.Array, jax.Array]]:
    """Weights and biases of the dense layers, the last of which is both heads."""
    sizes = (inputs, *hidden, moves + 1)
    keys = jax.random.split(key, len(sizes))
    return [(jax.random.normal(k, (i, o)) / i**0.5, jnp.zeros(o)) for k, i, o in zip(keys, sizes, sizes[1:])]


def forward(layers: Any, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Boards [batch, ...] -> logits [batch, moves], values [batch]."""
    x = observation.astype(jnp.float32).reshape(len(observation), -1)
    for weight, bias in layers[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    out = x @ layers[-1][0] + layers[-1][1]
    return out[:, :-1], jnp.tanh(out[:, -1])


def self_play(name: str, batch: int, simulations: int, moves: int) -> Any:
    """A function of layers and a key that plays `moves` moves in `batch` games -> what would be learned from."""
    env = pgx.make(name)

    def imagine(layers: Any, key: jax.Array, action: jax.Array, state: Any) -> Any:
        mover = state.current_player
        state = jax.vmap(env.step)(state, action)
        logits, value = forward(layers, state.observation)
        logits = logits - jnp.max(logits, axis=-1, keepdims=True)
        logits = jnp.where(state.legal_action_mask, logits, jnp.finfo(logits.dtype).min)
        reward = state.rewards[jnp.arange(batch), mover]
        value = jnp.where(state.terminated, 0.0, value)
        discount = jnp.where(state.terminated, 0.0, -1.0 * jnp.ones_like(value))
        return mctx.RecurrentFnOutput(reward=reward, discount=discount, prior_logits=logits, value=value), state

    def play(layers: Any, key: jax.Array) -> Any:
        def move(state: Any, key: jax.Array) -> Any:
            search_key, step_key = jax.random.split(key)
            logits, value = forward(layers, state.observation)
            root = mctx.RootFnOutput(prior_logits=logits, value=value, embedding=state)
            found = mctx.gumbel_muzero_policy(
                layers, search_key, root, imagine, simulations, ~state.legal_action_mask, gumbel_scale=1.0
            )
            mover, seen = state.current_player, state.observation
            state = jax.vmap(auto_reset(env.step, env.init))(state, found.action, jax.random.split(step_key, batch))
            kept = seen, found.action_weights, state.rewards[jnp.arange(batch), mover], state.terminated
            return state, kept

        begin_key, key = jax.random.split(key)
        state = jax.vmap(env.init)(jax.random.split(begin_key, batch))
        return jax.lax.scan(move, state, jax.random.split(key, moves))[1]

    return jax.jit(play)
