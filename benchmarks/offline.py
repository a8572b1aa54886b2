"""Do learners from logged data get out more than was put in? `python -m benchmarks.offline [ROW ...] [--seeds N]`

In Pendulum a controller by hand swings the rod up and holds it. It takes every action of some stretches of steps; in
all the others every action is drawn evenly. Cloning such a mixture is to do something in between; TD3+BC, CQL and IQL
are to find the controller's actions by what they led to. In CartPole, where choices drawn evenly would leave the
controller's in the majority, the others choose in seven of ten steps what it would not.

Scores are those of 20 greedy episodes behind the last update, one mean a seed.

Where there are steps of its own, the learner then goes on in the environment, with a buffer that begins with the same
logged steps: an update a step. What it is to beat is itself before that, and the same learner without data and without
what it had learned, after as many steps of its own. SAC with data learns nothing before its first step; `symmetric` is
the sampling of RLPD (Ball et al., 2023).
"""

from __future__ import annotations

import argparse
import functools
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import bellmax as bm
from bellmax.core import Transition
from bellmax.drivers.learn import where
from bellmax.envs.cart_pole import CartPole
from bellmax.envs.pendulum import Pendulum
from benchmarks.rows import keep, known

RESULTS = Path("docs/results/offline")
STRETCHES, LENGTH = 100, 200


class Row(NamedTuple):
    """One learner on one data set."""

    algorithm: Any
    updates: int
    expert_share: float = 0.2  # of the steps
    world: str = "bellmax:Pendulum"
    cloned: str | None = "bc"  # the row of cloning that it must be better than, if it must
    own: int = 0  # steps of its own, behind the updates
    symmetric: bool = False  # half of each batch from logged steps, half from its own?


FOOD = bm.Dataset(batch=128)
SMALL = {"hidden": (64, 64), "experience": FOOD}
FAST = SMALL | {"gamma": 0.98, "learning_rate": 1e-3, "critic_learning_rate": 1e-3}
CHOOSING = bm.DiscreteCQL(**SMALL, learning_rate=1e-3, target_every=1, target_rate=0.01)
FAST_SAC = {"hidden": (64, 64), "gamma": 0.98, "learning_rate": 1e-3}
ROWS = {
    "bc": Row(bm.BC(**SMALL), 6_000, cloned=None),
    "iql": Row(bm.IQL(**FAST, expectile=0.9, beta=3.0), 6_000),
    "td3-bc": Row(bm.TD3BC(**FAST), 6_000),
    "cql": Row(bm.CQL(**FAST, alpha=1.0, samples=4), 6_000),
    "bc of choices": Row(bm.BC(**SMALL), 6_000, world="bellmax:CartPole", cloned=None),
    "discrete-cql": Row(CHOOSING, 6_000, world="bellmax:CartPole", cloned="bc of choices"),
    "discrete-cql, alpha = 0": Row(CHOOSING.replace(alpha=0.0), 6_000, world="bellmax:CartPole", cloned=None),
    "iql, then online": Row(bm.IQL(**FAST, expectile=0.9, beta=3.0), 6_000, cloned=None, own=5_000),
    "sac with data": Row(bm.SAC(**FAST_SAC), 0, cloned=None, own=2_500),
    "sac with data, symmetric": Row(bm.SAC(**FAST_SAC), 0, cloned=None, own=2_500, symmetric=True),
}


def controller(obs: jax.Array) -> jax.Array:
    """The torque that pumps energy until the rod is up, and then holds it there."""
    cosine, sine, velocity = obs
    energy = 0.5 * velocity**2 + 15 * cosine  # 15 when it stands still upright
    pump = jnp.where(velocity >= 0, 1.0, -1.0) * (15 - energy)
    hold = -(8 * jnp.arctan2(sine, cosine) + 2 * velocity)
    return jnp.clip(jnp.where(cosine > 0.95, hold, pump), -2, 2)[None]


def balanced(obs: jax.Array) -> jax.Array:
    """The push that keeps the pole upright and the cart in the middle."""
    position, velocity, angle, turning = obs
    return jnp.int32(angle + 0.3 * turning + 0.05 * position + 0.1 * velocity > 0)


class World(NamedTuple):
    """Where the steps were taken, and by whom."""

    env: Any
    skilled: Any  # obs -> the controller's action
    other: Any  # obs [column, ...], key -> what the others do


def anything(obs: jax.Array, key: jax.Array) -> jax.Array:
    """Torques drawn evenly."""
    return jax.random.uniform(key, (len(obs), 1), minval=-2.0, maxval=2.0)


def mistaken(obs: jax.Array, key: jax.Array) -> jax.Array:
    """Pushes to the wrong side, mostly."""
    return jax.vmap(balanced)(obs) ^ jax.random.bernoulli(key, 0.7, (len(obs),))


WORLDS = {
    "bellmax:Pendulum": World(Pendulum(), controller, anything),
    "bellmax:CartPole": World(CartPole(), balanced, mistaken),
}


@functools.partial(jax.jit, static_argnums=0)
def played(world: str, key: jax.Array, skilled: jax.Array) -> Transition:
    """Stretches of steps, by the controller where `skilled` [stretch], else by others -> steps [time, stretch]."""
    (env, choose, other), count = WORLDS[world], len(skilled)
    reset_key, play_key = jax.random.split(key)
    env_state, obs = jax.vmap(env.reset)(jax.random.split(reset_key, count))

    def step(carry: Any, key: jax.Array) -> Any:
        env_state, obs = carry
        theirs, ours = other(obs, key), jax.vmap(choose)(obs)
        action = where(skilled, ours, theirs)
        env_state, now = jax.vmap(env.step)(env_state, action, jax.random.split(key, count))
        fresh = jax.vmap(env.reset)(jax.random.split(jax.random.fold_in(key, 1), count))
        return where(now.last, fresh, (env_state, now.obs)), Transition(
            obs, action, now.reward, now.discount, now.last, now.obs, {}, jnp.ones(count)
        )

    return jax.lax.scan(step, (env_state, obs), jax.random.split(play_key, LENGTH))[1]


def logged(share: float, seed: int = 0, world: str = "bellmax:Pendulum") -> Transition:
    """The data set, stretch behind stretch; where one ends, an episode is cut."""
    skilled = np.arange(STRETCHES) < round(share * STRETCHES)
    steps = jax.device_get(played(world, jax.random.key(seed), jnp.asarray(skilled)))
    last = steps.last.copy()
    last[-1] = True
    return jax.tree.map(lambda x: x.swapaxes(0, 1).reshape(-1, *x.shape[2:]), steps._replace(last=last))


def run(name: str, row: Row, seeds: int, updates: int | None = None) -> dict[str, Any]:
    """A line of the table."""
    began, data, updates = time.perf_counter(), logged(row.expert_share, world=row.world), updates or row.updates
    trained = None
    if row.updates:
        trained = bm.train(row.algorithm, WORLDS[row.world].env, data=data, steps=updates, seeds=seeds, **HOW)
    scores = [] if trained is None else scored(trained)
    more = {} if trained is None or not row.own else {"offline": scores}
    more |= went_on(row, data, trained, seeds) if row.own else {}
    scores = more.pop("scores", scores)
    experts = round(row.expert_share * STRETCHES) * LENGTH
    paid = [data.reward[part].sum() / data.last[part].sum() for part in (slice(experts), slice(experts, None))]
    return {
        "learner": name,
        "updates": updates,
        "expert share": row.expert_share,
        "world": row.world.removeprefix("bellmax:"),
        "data": f"{paid[0]:.0f} and {paid[1]:.0f}",
        "scores": scores,
        "mean": round(float(np.mean(scores)), 1),
        "seconds": round(time.perf_counter() - began, 1),
    } | more


def scored(trained: Any) -> list[float]:
    """The mean of 20 greedy episodes, a seed each."""
    return [round(trained.evaluate(20, seed=index).mean, 1) for index in range(len(trained.seeds))]


def went_on(row: Row, data: Transition, trained: Any, seeds: int) -> dict[str, Any]:
    """Steps of its own behind logged ones, and the control without either."""
    replay = bm.Replay(STRETCHES * LENGTH + row.own, batch=128, start=500, symmetric=row.symmetric)
    online = row.algorithm.replace(experience=replay)
    arms = {"scores": {"data": data, "start_from": trained}, "from nothing": {}}
    return {"steps of its own": row.own} | {
        arm: scored(bm.train(online, Pendulum(), steps=row.own, seeds=seeds, **options, **HOW))
        for arm, options in arms.items()
    }


def main() -> None:
    """All rows, or those that are named; a row that was measured before is kept until it is measured again."""

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS])
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    for name in asked.rows or ROWS:
        row, table = run(name, ROWS[name], asked.seeds), known(RESULTS, "learner")
        cloned = table.get(ROWS[name].cloned, {}).get("mean")
        if cloned is not None:
            row |= {"target": f"every seed above the mean of {ROWS[name].cloned}", "met": min(row["scores"]) > cloned}
        if ROWS[name].own:
            others = [row[control] for control in ("offline", "from nothing") if control in row]
            better = all(score > max(control) for score, *control in zip(row["scores"], *others))
            itself = "itself offline and " if "offline" in row else ""
            row |= {"target": f"every seed above {itself}the same from nothing", "met": better}
        print(row, flush=True)
        table |= {name: row | {"seeds": list(range(asked.seeds))}}
        keep(RESULTS, "Learning from logged data", table, ROWS, COLUMNS, __doc__, COMMAND)


HOW: dict[str, Any] = {"run_folder": None, "display": "quiet", "evaluate_every": 0}
COMMAND = "python -m benchmarks.offline"
COLUMNS = {
    "learner": "learner",
    "updates": "updates",
    "world": "environment",
    "expert share": "the controller's share",
    "data": "scores in the data, its and the others'",
    "offline": "score before its own steps, a seed each",
    "steps of its own": "steps of its own",
    "scores": "score, a seed each",
    "mean": "mean",
    "from nothing": "score from nothing after as many steps",
    "target": "wanted",
    "met": "met",
}

if __name__ == "__main__":
    main()
