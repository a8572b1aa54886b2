"""How soon does DreamerV3 act well, and is what it imagines true? `python -m benchmarks.dreamer [--seeds N]`

CartPole-v1 in the graph, by the recipe, one environment. Every 250 steps the policy plays 100 greedy episodes; a seed
stops at the first mean of 475, or at 5,000 steps, which is then a seed that never got there.

Dreams are held against the world from states that chance leads to: up to 25 random actions from a start, so that some
poles are about to fall and others are not. From each the policy goes on for 50 steps, once in the world and once in the
model; what is compared is the number of steps that the pole stays up, and the number that the model expects. The
control is the same with the dreams dealt out to other states.

An update's time is that of the process, not the clock's, and so is that of the matrix products beside it: the machine
was not free.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import bellmax as bm
from bellmax.compilation import use_cache
from bellmax.core import Decision
from bellmax.drivers import evaluate, ingraph
from bellmax.envs.cart_pole import CartPole
from bellmax.models import imagine
from bellmax.models.dream import Dream
from bellmax.recipes import find

RESULTS = Path("docs/results/dreamer")
COMMAND = "python -m benchmarks.dreamer"
EVERY, MOST, SOLVED = 250, 5_000, 475
STATES, LENGTH, WANDER = 1_000, 50, 25
COLUMNS = {"what": "what", "figure": "figure", "target": "target", "met": "met"}
WORLD = CartPole()


def train(algorithm: bm.DreamerV3, seed: int) -> tuple[Any, int | None, list[float]]:
    """Until it is solved -> what was learned, the steps it took (None: too many), the greedy means."""
    run = jax.jit(ingraph.start, static_argnums=3)(algorithm, WORLD, jax.random.key(seed), 1)
    means: list[float] = []
    for steps in range(EVERY, MOST + 1, EVERY):
        run, _ = ingraph.advance(algorithm, WORLD, run, jnp.int32(10**6), jnp.int32(EVERY))
        key = jax.random.fold_in(jax.random.key(1_000_000), seed)
        means.append(evaluate.ingraph(algorithm, WORLD, run.state, key, episodes=100, most_steps=500).mean)
        print(f"seed {seed}, {steps} steps: {means[-1]:.1f}", flush=True)
        if means[-1] >= SOLVED:
            return run.state, steps, means
    return run.state, None, means


@jax.jit
def wandered(algorithm: bm.DreamerV3, state: Any, key: jax.Array) -> Any:
    """One start and random actions -> the world's state, the model's, is the pole still up?"""
    keys, network = jax.random.split(key, 4), state.network
    env_state, obs = WORLD.reset(keys[0])
    latent = algorithm.look(network.world, obs, keys[3], network.world.begin())

    def step(carry: Any, key: jax.Array) -> Any:
        env_state, latent, up, left = carry
        act_key, look_key = jax.random.split(key)
        action = jax.random.randint(act_key, (), 0, 2)
        after, outcome = WORLD.step(env_state, action, act_key)
        memory = network.world.remember(latent, action)
        moved = algorithm.look(network.world, outcome.obs, look_key, memory)
        going = left > 0
        env_state, latent = jax.tree.map(
            lambda new, old: jnp.where(going, new, old), (after, moved), (env_state, latent)
        )
        return (env_state, latent, up & ~(going & outcome.last), left - 1), None

    count = jax.random.randint(keys[1], (), 0, WANDER + 1)
    carry = env_state, latent, jnp.bool_(True), count
    return jax.lax.scan(step, carry, jax.random.split(keys[2], WANDER))[0][:3]


@jax.jit
def lived(algorithm: bm.DreamerV3, state: Any, env_state: Any, latent: Any, key: jax.Array) -> jax.Array:
    """The steps that the pole stays up, of `LENGTH`."""
    network = state.network

    def step(carry: Any, key: jax.Array) -> Any:
        env_state, latent, alive = carry
        act_key, look_key = jax.random.split(key)
        action = network.actor(latent.features, algorithm.unimix).sample(act_key)
        env_state, outcome = WORLD.step(env_state, action, act_key)
        latent = algorithm.look(network.world, outcome.obs, look_key, network.world.remember(latent, action))
        return (env_state, latent, alive * outcome.discount), alive

    return jax.lax.scan(step, (env_state, latent, jnp.float32(1)), jax.random.split(key, LENGTH))[1].sum()


@jax.jit
def dreamt(algorithm: bm.DreamerV3, state: Any, latents: Any, key: jax.Array) -> jax.Array:
    """The steps that the model expects it to stay up, of `LENGTH` -> [states]."""
    network = state.network

    def choose(features: jax.Array, key: jax.Array) -> Decision:
        return Decision(network.actor(features, algorithm.unimix).sample(key))

    world = Dream(network.world, algorithm.unimix)
    steps = imagine(world, choose, latents, latents.features, key, LENGTH)
    alive = jnp.concatenate([jnp.ones_like(steps.discount[:1]), jnp.cumprod(steps.discount[:-1], axis=0)])
    return (steps.reward * alive).sum(0)


def agreement(algorithm: bm.DreamerV3, state: Any, seed: int) -> tuple[float, float]:
    """How what is dreamt goes with what is lived: the correlation, and that of dreams dealt out to other states."""
    keys = jax.random.split(jax.random.key(seed), (3, STATES))
    env_states, latents, up = jax.vmap(wandered, (None, None, 0))(algorithm, state, keys[0])
    real = jax.vmap(lived, (None, None, 0, 0, 0))(algorithm, state, env_states, latents, keys[1])
    dreams = dreamt(algorithm, state, latents, keys[2, 0])
    real, dreams = np.asarray(real)[np.asarray(up)], np.asarray(dreams)[np.asarray(up)]
    dealt = np.random.default_rng(seed).permutation(dreams)
    print(f"{len(real)} states; lived {real.mean():.1f} +- {real.std():.1f}, dreamt {dreams.mean():.1f}", flush=True)
    return float(np.corrcoef(real, dreams)[0, 1]), float(np.corrcoef(real, dealt)[0, 1])


def speed(algorithm: bm.DreamerV3, repeats: int = 40) -> tuple[float, float, float]:
    """Updates a second of processor time, the GFLOP/s they come to, and those of products of 256 x 256."""
    run = jax.jit(ingraph.start, static_argnums=3)(algorithm, WORLD, jax.random.key(0), 1)
    rounds = algorithm.experience.waits(1) + 1
    run, _ = ingraph.advance(algorithm, WORLD, run, jnp.int32(rounds), jnp.int32(10**6))
    began = time.process_time()
    run, _ = jax.block_until_ready(ingraph.advance(algorithm, WORLD, run, jnp.int32(repeats), jnp.int32(10**6)))
    updates = repeats / (time.process_time() - began)
    batch = algorithm.experience.sample(run.buffer, None, jax.random.key(0))
    compiled = jax.jit(algorithm.update).lower(run.state, batch, jax.random.key(0)).compile()
    cost = compiled.cost_analysis()
    flops = (cost[0] if isinstance(cost, list) else cost)["flops"]
    product = jax.jit(lambda x: jax.lax.fori_loop(0, 300, lambda _, y: y @ x * 1e-3, x))
    x = jnp.eye(256)
    product(x).block_until_ready()
    began = time.process_time()
    product(x).block_until_ready()
    peak = 300 * 2 * 256**3 / (time.process_time() - began) / 1e9
    return updates, updates * flops / 1e9, peak


def speeds(algorithm: bm.DreamerV3) -> list[dict[str, Any]]:
    """Two rows more: how fast it learns."""
    updates, rate, peak = speed(algorithm)
    return [
        {"what": "updates a second of one core", "figure": f"{updates:.1f}", "target": "", "met": None},
        {
            "what": "GFLOP/s of an update; of 256 x 256 products",
            "figure": f"{rate:.1f}; {peak:.1f}",
            "target": "",
            "met": None,
        },
    ]


def rows_of(steps: dict[int, int | None], found: dict[int, tuple[float, float]]) -> list[dict[str, Any]]:
    """The table, of the seeds that were trained so far."""
    counts = [np.inf if count is None else count for count in steps.values()]
    median, least = float(np.median(counts)), min(near for near, _ in found.values())
    said = ", ".join("never" if count is None else f"{count:,}" for count in steps.values())
    seeds = f"{len(steps)} seeds"
    rows = [
        {"what": f"steps to a greedy mean of {SOLVED}, each of {seeds}", "figure": said, "target": "", "met": None},
        {"what": f"median of {seeds}", "figure": f"{median:,.0f}", "target": "<= 2,000", "met": median <= 2_000},
        {
            "what": f"steps lived and dreamt: least correlation of {seeds}",
            "figure": f"{least:.3f}",
            "target": "> 0.8",
            "met": least > 0.8,
        },
        {
            "what": "the control: dreams dealt out, largest correlation",
            "figure": f"{max(abs(other) for _, other in found.values()):.3f}",
            "target": "< 0.2",
            "met": all(abs(other) < 0.2 for _, other in found.values()),
        },
    ]
    return [row | {"seeds": list(steps)} for row in rows]


def main() -> None:
    """Train and compare seed after seed; the table is written again after each."""
    from bellmax.report import write_result

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--quick", action="store_true", help="write nothing")
    chosen = parser.parse_args()
    use_cache()
    recipe = find("dreamer-v3", "CartPole-v1")
    assert recipe is not None
    algorithm: Any = recipe.algorithm
    notes = [" ".join(part.split()) for part in (__doc__ or "").split("\n\n")[1:]]
    fast = speeds(algorithm)
    steps: dict[int, int | None] = {}
    found: dict[int, tuple[float, float]] = {}
    for seed in range(chosen.seeds):
        state, steps[seed], _ = train(algorithm, seed)
        found[seed] = agreement(algorithm, state, seed)
        rows = rows_of(steps, found) + [row | {"seeds": [0]} for row in fast]
        print(rows, flush=True)
        if not chosen.quick:
            write_result(RESULTS, "DreamerV3", rows, COLUMNS, notes, command=COMMAND)
