"""Do learners from logged data get out more than was put in? `python -m benchmarks.offline [ROW ...] [--seeds N]`

In Pendulum a controller by hand swings the rod up and holds it. It takes every action of some episodes; in all
the others every action is drawn evenly. Cloning such a mixture is to do something in between; TD3+BC, CQL and IQL are
to find the controller's actions by what they led to.

Scores are those of 20 greedy episodes behind the last update, one mean a seed.

Where there are steps of its own, the learner then goes on in the environment, with a buffer that begins with the same
logged steps: an update a step. What it is to beat is itself before that, and the same learner without data and without
what it had learned, after as many steps of its own. SAC with data learns nothing before its first step; `symmetric` is
the sampling of RLPD (Ball et al., 2023).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import bellmax as bm
from bellmax.core import Transition
from bellmax.envs.pendulum import Pendulum
from benchmarks.rows import keep, known

RESULTS = Path("docs/results/offline")
EPISODES, LENGTH = 100, 200


class Row(NamedTuple):
    """One learner on one data set."""

    algorithm: Any
    updates: int
    expert_share: float = 0.2  # of the episodes
    beats_bc: bool = True  # must it be better than cloning?
    own: int = 0  # steps of its own, behind the updates
    symmetric: bool = False  # half of each batch from logged steps, half from its own?


FOOD = bm.Dataset(batch=128)
SMALL = {"hidden": (64, 64), "experience": FOOD}
FAST = SMALL | {"gamma": 0.98, "learning_rate": 1e-3, "critic_learning_rate": 1e-3}
FAST_SAC = {"hidden": (64, 64), "gamma": 0.98, "learning_rate": 1e-3}
ROWS = {
    "bc": Row(bm.BC(**SMALL), 6_000, beats_bc=False),
    "iql": Row(bm.IQL(**FAST, expectile=0.9, beta=3.0), 6_000),
    "td3-bc": Row(bm.TD3BC(**FAST), 6_000),
    "cql": Row(bm.CQL(**FAST, alpha=1.0, samples=4), 6_000),
    "iql, then online": Row(bm.IQL(**FAST, expectile=0.9, beta=3.0), 6_000, beats_bc=False, own=5_000),
    "sac with data": Row(bm.SAC(**FAST_SAC), 0, beats_bc=False, own=2_500),
    "sac with data, symmetric": Row(bm.SAC(**FAST_SAC), 0, beats_bc=False, own=2_500, symmetric=True),
}


def controller(obs: jax.Array) -> jax.Array:
    """The torque that pumps energy until the rod is up, and then holds it there."""
    cosine, sine, velocity = obs
    energy = 0.5 * velocity**2 + 15 * cosine  # 15 when it stands still upright
    pump = jnp.where(velocity >= 0, 1.0, -1.0) * (15 - energy)
    hold = -(8 * jnp.arctan2(sine, cosine) + 2 * velocity)
    return jnp.clip(jnp.where(cosine > 0.95, hold, pump), -2, 2)[None]


@jax.jit
def played(key: jax.Array, skilled: jax.Array) -> Transition:
    """Episodes, by the controller where `skilled` [episode], else by chance -> steps [time, episode]."""
    env, count = Pendulum(), len(skilled)
    reset_key, play_key = jax.random.split(key)
    env_state, obs = jax.vmap(env.reset)(jax.random.split(reset_key, count))

    def step(carry: Any, key: jax.Array) -> Any:
        env_state, obs = carry
        anything = jax.random.uniform(key, (count, 1), minval=-2.0, maxval=2.0)
        action = jnp.where(skilled[:, None], jax.vmap(controller)(obs), anything)
        env_state, now = jax.vmap(env.step)(env_state, action, jax.random.split(key, count))
        return (env_state, now.obs), Transition(
            obs, action, now.reward, now.discount, now.last, now.obs, {}, jnp.ones(count)
        )

    return jax.lax.scan(step, (env_state, obs), jax.random.split(play_key, LENGTH))[1]


def logged(share: float, seed: int = 0) -> Transition:
    """The data set, episode behind episode."""
    skilled = np.arange(EPISODES) < round(share * EPISODES)
    steps = jax.device_get(played(jax.random.key(seed), jnp.asarray(skilled)))
    return jax.tree.map(lambda x: x.swapaxes(0, 1).reshape(-1, *x.shape[2:]), steps)


def run(name: str, row: Row, seeds: int, updates: int | None = None) -> dict[str, Any]:
    """A line of the table."""
    began, data, updates = time.perf_counter(), logged(row.expert_share), updates or row.updates
    trained = None
    if row.updates:
        trained = bm.train(row.algorithm, Pendulum(), data=data, steps=updates, seeds=seeds, **HOW)
    scores = [] if trained is None else scored(trained)
    more = {} if trained is None or not row.own else {"offline": scores}
    more |= went_on(row, data, trained, seeds) if row.own else {}
    scores = more.pop("scores", scores)
    paid = data.reward.reshape(EPISODES, LENGTH).sum(1)
    experts = round(row.expert_share * EPISODES)
    return {
        "learner": name,
        "updates": updates,
        "expert share": row.expert_share,
        "data": f"{paid[:experts].mean():.0f} and {paid[experts:].mean():.0f}",
        "scores": scores,
        "mean": round(float(np.mean(scores)), 1),
        "seconds": round(time.perf_counter() - began, 1),
    } | more


def scored(trained: Any) -> list[float]:
    """The mean of 20 greedy episodes, a seed each."""
    return [round(trained.evaluate(20, seed=index).mean, 1) for index in range(len(trained.seeds))]


def went_on(row: Row, data: Transition, trained: Any, seeds: int) -> dict[str, Any]:
    """Steps of its own behind logged ones, and the control without either."""
    replay = bm.Replay(EPISODES * LENGTH + row.own, batch=128, start=500, symmetric=row.symmetric)
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
        cloned = (table | {name: row}).get("bc", {}).get("mean")
        if ROWS[name].beats_bc and cloned is not None:
            row |= {"target": "every seed above the mean of bc", "met": min(row["scores"]) > cloned}
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
    "expert share": "the controller's share",
    "data": "scores in the data, its and by chance",
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
