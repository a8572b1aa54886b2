"""What 2,000 steps of pictures teach: `python -m benchmarks.dreamer_pixels [ROW ...] [--seeds N]`

`bellmax:PixelCartPole`, a grey picture of 32 x 32 in which no speed can be seen, one environment. DreamerV3 has its
recipe and size "tiny". DQN, which has no model and no memory, sees the last two pictures, and has its recipe for
CartPole-v1, by which it solves that in 1,500 to 5,000 steps, but explores for 1,000 steps instead of 3,000; the control
sees one picture. Scores are the means of 20 greedy episodes of at most 500 steps, every 500 steps and at the end;
random actions score about 22.

Seconds are of the processor, with one thread: others used the machine. Every seed is written down as it comes.
DreamerV3's settings were tried on seed 0 before, DQN's were not.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.compilation import use_cache
from bellmax.core import Env, Outcome, Spec
from bellmax.drivers import evaluate, ingraph
from bellmax.envs.pixel_cart_pole import PixelCartPole
from bellmax.maths.exploration import EpsilonGreedy
from bellmax.maths.schedules import Linear, resolve
from bellmax.recipes import find
from bellmax.spaces import Box
from benchmarks.rows import Row, keep, known

RESULTS = Path("docs/results/dreamer_pixels")
COMMAND = "python -m benchmarks.dreamer_pixels"
STEPS, EVERY, EPISODES = 2_000, 500, 20
COLUMNS = {
    "what": "what",
    "scores": f"score after {STEPS:,} steps, a seed each",
    "mean": "mean",
    "curves": f"every {EVERY} steps",
    "seconds": "seconds of the processor",
    "wanted": "wanted",
    "met": "met",
}


class LastTwo(Env):
    """`PixelCartPole` that shows the last two pictures, the older first."""

    world: PixelCartPole = PixelCartPole()

    @property
    def spec(self) -> Spec:
        obs, action, _ = self.world.spec
        return Spec(Box((*obs.shape[:2], 2), 0, 255, "uint8"), action)  # type: ignore[union-attr]

    def reset(self, key: Array) -> tuple[Any, Array]:
        env_state, obs = self.world.reset(key)
        return (env_state, obs), jnp.concatenate([obs, obs], -1)

    def step(self, env_state: Any, action: Array, key: Array) -> tuple[Any, Outcome]:
        inner, outcome = self.world.step(env_state[0], action, key)
        return (inner, outcome.obs), outcome._replace(obs=jnp.concatenate([env_state[1], outcome.obs], -1))


class Agent(NamedTuple):
    """One line of the table."""

    name: str
    recipe: str  # the environment whose recipe it has
    env: Env


ROWS = {
    "dreamer-v3": Agent("dreamer-v3", "PixelCartPole", PixelCartPole()),
    "dqn": Agent("dqn", "CartPole-v1", LastTwo()),
    "dqn, one picture": Agent("dqn", "CartPole-v1", PixelCartPole()),
}


def chosen(agent: Agent) -> Any:
    """The algorithm of a row."""
    recipe = find(agent.name, agent.recipe)
    assert recipe is not None
    algorithm: Any = recipe.algorithm
    if agent.name == "dqn":
        algorithm = algorithm.replace(exploration=EpsilonGreedy(Linear(1.0, 0.02, 1_000)))
    return resolve(algorithm, STEPS)


def trained(agent: Agent, seed: int) -> list[float]:
    """The greedy means of a run, every `EVERY` steps."""
    algorithm, env, means = chosen(agent), agent.env, []
    run = jax.jit(ingraph.start, static_argnums=3)(algorithm, env, jax.random.key(seed), 1)
    for steps in range(EVERY, STEPS + 1, EVERY):
        run, _ = ingraph.advance(algorithm, env, run, jnp.int32(10**6), jnp.int32(EVERY))
        key = jax.random.fold_in(jax.random.key(1_000_000), seed)
        mean = evaluate.ingraph(algorithm, env, run.state, key, episodes=EPISODES, most_steps=500).mean
        means.append(round(mean, 1))
        print(f"{agent.name}, seed {seed}, {steps} steps: {mean:.1f}", flush=True)
    return means


def added(row: Row, seed: int, means: list[float], seconds: float) -> Row:
    """The row with one seed more, or another outcome of a seed that it had."""
    curves = dict(zip(row.get("seeds", []), row.get("curves", []))) | {seed: means}
    seeds = sorted(curves)
    scores = [curves[each][-1] for each in seeds]
    told = {"scores": scores, "mean": round(float(np.mean(scores)), 1), "curves": [curves[each] for each in seeds]}
    return row | told | {"seeds": seeds, "seconds": round(row.get("seconds", 0) + seconds)}


def judged(table: dict[str, Row]) -> dict[str, Row]:
    """The table, and whether Dreamer's mean is above that of DQN."""
    if {"dreamer-v3", "dqn"} <= table.keys():
        least = table["dqn"]["mean"]
        ours = {"wanted": f"mean > DQN's, {least:g}", "met": table["dreamer-v3"]["mean"] > least}
        return table | {"dreamer-v3": table["dreamer-v3"] | ours}
    return table


def main() -> None:
    """All rows, or those that are named; what was measured before is kept until it is measured again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    asked = parser.parse_args()
    use_cache()
    for seed in range(asked.first, asked.first + asked.seeds):
        for name in asked.rows or ROWS:
            began = time.process_time()
            means = trained(ROWS[name], seed)
            table = known(RESULTS, "what")
            table[name] = added(table.get(name, {"what": name}), seed, means, time.process_time() - began)
            keep(RESULTS, "DreamerV3 on pictures", judged(table), ROWS, COLUMNS, __doc__, COMMAND)


if __name__ == "__main__":
    main()
