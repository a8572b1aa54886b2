"""A whole training run as one pure function: compiled once, mapped over learning rates and seeds.

    python examples/whole_run_under_vmap.py

trains PPO in CartPole nine times at once and prints a table: which learning rate, how sure. Nothing is written
anywhere, nothing is printed on the way; `bellmax.train` and `bellmax.sweep` do that.
"""

import jax
import jax.numpy as jnp
from jax import Array

import bellmax as bm
from bellmax.core import Env
from bellmax.drivers import ingraph
from bellmax.envs import CartPole


def final_score(learning_rate: Array, seed: Array, env: Env, steps: int) -> Array:
    """Train once -> the mean score of the episodes that ended in the last quarter of the run."""
    ppo = bm.PPO(learning_rate=learning_rate, experience=bm.Steps(32), gamma=0.98, entropy_weight=0.0)
    _, rounds = ingraph.train(ppo, env, jax.random.key(seed), steps=steps, num_envs=8)
    late = {name: rounds[name][-len(rounds[name]) // 4 :].sum() for name in ("score", "episodes")}
    return late["score"] / late["episodes"]


def table(learning_rates: Array, seeds: Array, env: Env, steps: int) -> Array:
    """The final score of every combination, [learning rate, seed]: one compilation, one call."""

    def one(learning_rate: Array, seed: Array) -> Array:
        return final_score(learning_rate, seed, env, steps)

    over_seeds = jax.vmap(one, (None, 0))
    return jax.jit(jax.vmap(over_seeds, (0, None)))(learning_rates, seeds)


def main() -> None:
    learning_rates, seeds = jnp.array([1e-5, 3e-4, 1e-3]), jnp.arange(3)
    for rate, scores in zip(learning_rates, table(learning_rates, seeds, CartPole(), 50_000)):
        each = ", ".join(f"{score:.0f}" for score in scores)
        print(f"learning rate {rate:.0e}: mean score {scores.mean():.0f}, by seed {each}")


if __name__ == "__main__":
    main()
