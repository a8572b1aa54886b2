"""Does a sequence model act for the return it is asked for? `python -m benchmarks.sequences [ROW ...] [--seeds N]`

Key to door (Chen et al., 2021, section 5.5): 1,000 episodes of a random walk, 3 in 100 of which open the door; what is
done in the first room pays in the third. Asked is the best return in the data, 1. Behaviour cloning is the control.

Shortest paths (their figure 2): 1,000 random walks of at most 10 steps on a random graph of 20 nodes, -1 a step until
node 0 is reached, and 10 less for the last step of a walk that is cut before. From every other node that can reach it,
asked is the best return of any walk from there; counted are the paths that are as short as any.

Pendulum: what a SAC run of 10,000 steps has in its buffer, from its first swing to its last. Asked are ten returns,
from the worst to the best of the last of these episodes; Spearman's correlation is that of asked and achieved, each the
mean of 20 episodes. All scores are of greedy episodes behind the last update.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import bellmax as bm
from bellmax.core import Env, Outcome, Spec, Transition
from bellmax.data import find
from bellmax.drivers import evaluate
from bellmax.envs.key_to_door import KeyToDoor
from bellmax.envs.pendulum import Pendulum
from benchmarks.rows import keep, known

RESULTS = Path("docs/results/sequences")
WALKS, NODES, DENSITY, LONGEST = 1_000, 20, 0.1, 10
QUIET = {"run_folder": None, "display": "quiet", "evaluate_every": 0}
SMALL = {"width": 32, "layers": 2, "heads": 2, "learning_rate": 1e-3, "warmup": 100, "longest": 20}


def transformer(steps: int, batch: int = 64, **changes: Any) -> bm.DecisionTransformer:
    """One that reads `steps` steps."""
    return bm.DecisionTransformer(experience=bm.Dataset(batch=batch, n=steps, pad="before"), **(SMALL | changes))


class Graph(Env):
    """Go to node 0; -1 a step. An action names the next node; where there is no edge one stays."""

    number: int = 0  # of the graph

    @property
    def spec(self) -> Spec:
        return Spec(bm.Discrete(NODES), bm.Discrete(NODES))

    def reset(self, key: jax.Array) -> tuple[Any, jax.Array]:
        node = jax.random.randint(key, (), 1, NODES)
        return (node, jnp.int32(0)), node

    def step(self, env_state: Any, action: jax.Array, key: jax.Array) -> tuple[Any, Outcome]:
        node, step = env_state
        node, step = jnp.where(jnp.asarray(edges(self.number))[node, action], action, node), step + 1
        there = node == 0
        reward = -1.0 - LONGEST * ((step == LONGEST) & ~there)  # or the end of a walk in vain looked like a short one
        return (node, step), Outcome(node, reward, 1 - jnp.float32(there), there | (step == LONGEST))


@functools.cache
def edges(number: int) -> np.ndarray:
    """Which nodes are joined, [node, node], both ways."""
    drawn = np.triu(np.random.default_rng(number).random((NODES, NODES)) < DENSITY, 1)
    return drawn | drawn.T


def shortest(number: int) -> np.ndarray:
    """Steps to node 0 from every node, breadth first; infinite where there is no way."""
    away, joined = np.where(np.arange(NODES) == 0, 0, np.inf), edges(number)
    for _ in range(NODES):
        away = np.minimum(away, np.where(joined, away[None] + 1, np.inf).min(1))
    return away


def walked(env: Env, choose: Any, length: int, seed: int) -> Transition:
    """Random episodes, behind each other. choose: obs, key -> action."""

    def step(carry: Any, key: jax.Array) -> Any:
        env_state, obs, alive = carry
        keys = jax.random.split(key, WALKS)
        action = jax.vmap(choose)(obs, keys)
        env_state, now = jax.vmap(env.step)(env_state, action, keys)
        row = Transition(obs, action, now.reward, now.discount, now.last, now.obs, {}, alive)
        return (env_state, now.obs, alive * (1 - now.last)), row

    @jax.jit
    def play(key: jax.Array) -> Transition:
        reset_key, play_key = jax.random.split(key)
        begun = jax.vmap(env.reset)(jax.random.split(reset_key, WALKS))
        return jax.lax.scan(step, (*begun, jnp.ones(WALKS)), jax.random.split(play_key, length))[1]

    steps = jax.device_get(play(jax.random.key(seed)))
    steps = jax.tree.map(lambda x: x.swapaxes(0, 1).reshape(-1, *x.shape[2:]), steps)
    return jax.tree.map(lambda x: x[steps.weight > 0], steps)


def key_to_door(algorithm: Any, updates: int, seed: int) -> float:
    """How often the door is opened, of 500 episodes."""
    env = KeyToDoor()
    data = walked(env, lambda obs, key: jax.random.randint(key, (), 0, 4), 15, seed)
    run = bm.train(algorithm, env, data=data, steps=updates, seeds=[seed], **QUIET)
    return 100 * run.evaluate(500).mean


def paths(algorithm: Any, updates: int, seed: int) -> float:
    """The share of nodes from which the path is a shortest one."""
    env, joined = Graph(seed), jnp.asarray(edges(seed))
    among = lambda obs, key: jax.random.categorical(key, jnp.where(joined[obs], 0.0, -jnp.inf))
    data = find(walked(env, among, LONGEST, seed), env.spec)
    run = bm.train(algorithm, env, data=data, steps=updates, seeds=[seed], **QUIET)
    steps, away = data.log.steps, shortest(seed)
    begins = [node for node in range(1, NODES) if np.isfinite(away[node]) and away[node] < LONGEST]
    reached = np.asarray(steps.extras["return_to_go"])
    best = [reached[steps.obs == node].max(initial=-LONGEST) for node in begins]
    found = lengths(run.algorithm, env, run.state_of(), jnp.asarray(begins), jnp.asarray(best, jnp.float32))
    return 100 * float((np.asarray(found) == away[begins]).mean())


@jax.jit
def lengths(algorithm: Any, env: Env, state: Any, begins: jax.Array, asked: jax.Array) -> jax.Array:
    """Steps until node 0 from each node, [begin], given the return that is asked for there; infinite if not reached."""
    key = jax.random.key(0)

    def one(node: jax.Array, asked: jax.Array) -> jax.Array:
        asking = algorithm.replace(target_return=asked) if hasattr(algorithm, "target_return") else algorithm

        def step(carry: Any, _: Any) -> Any:
            env_state, memory, over, taken = carry
            decision = asking.greedy(state, env_state[0], key, memory)
            env_state, outcome = env.step(env_state, decision.action, key)
            memory = asking.hear(state, decision.memory, outcome)
            taken, over = taken + ~over, over | (outcome.discount == 0)
            return (env_state, memory, over, taken), None

        begun = (node, jnp.int32(0)), asking.begin(state, node, key), jnp.bool_(False), jnp.int32(0)
        (_, _, over, taken), _ = jax.lax.scan(step, begun, length=LONGEST)
        return jnp.where(over, taken, jnp.inf)

    return jax.vmap(one)(begins, asked)


def pendulum(algorithm: Any, updates: int, seed: int) -> float:
    """Spearman's correlation of what is asked and what is achieved."""
    sac = bm.SAC(hidden=(64, 64), learning_rate=1e-3, gamma=0.98, experience=bm.Replay(10_000, batch=128, start=500))
    with tempfile.TemporaryDirectory() as folder:
        options = QUIET | {"run_folder": folder, "name": "sac", "track": ()}
        bm.train(sac, Pendulum(), steps=10_000, num_envs=1, seeds=[seed], **options)
        data = find(f"{folder}/sac", Pendulum().spec)
    run = bm.train(algorithm, Pendulum(), data=data, steps=updates, seeds=[seed], **QUIET)
    asked = np.linspace(data.scores.min(), data.scores.max(), 10)
    play = lambda value: evaluate.ingraph(
        run.algorithm.replace(target_return=float(value)), Pendulum(), run.state_of(), jax.random.key(seed), episodes=20
    )
    achieved = np.array([play(value).mean for value in asked])
    print("asked", asked.round(), "achieved", achieved.round(), flush=True)
    ranks = [np.argsort(np.argsort(x)) for x in (asked, achieved)]
    return float(np.corrcoef(*ranks)[0, 1])


class Row(NamedTuple):
    """One learner at one task, and what is wanted of the mean over seeds."""

    task: Any
    algorithm: Any
    updates: int
    least: float | None = None
    most: float | None = None


CLONING = bm.BC(hidden=(64, 64), experience=bm.Dataset(batch=64))
ROWS = {
    "key-to-door": Row(key_to_door, transformer(15), 1_500, least=60),
    "key-to-door-bc": Row(key_to_door, CLONING, 1_500, most=5),
    "paths": Row(paths, transformer(LONGEST, scale=10.0), 1_500, least=90),
    "paths-bc": Row(paths, CLONING, 1_500),
    "pendulum": Row(pendulum, transformer(10, longest=200, batch=32), 2_000, least=0.8),
}


def run(name: str, row: Row, seeds: int) -> dict[str, Any]:
    """A line of the table."""
    began = time.perf_counter()
    scores = [round(row.task(row.algorithm, row.updates, seed), 2) for seed in range(seeds)]
    line = {"row": name, "learner": type(row.algorithm).__name__, "updates": row.updates, "scores": scores}
    line |= {"mean": round(float(np.mean(scores)), 2), "seconds": round(time.perf_counter() - began, 1)}
    if row.least is not None:
        return line | {"target": f"at least {row.least}", "met": line["mean"] >= row.least}
    return line if row.most is None else line | {"target": f"at most {row.most}", "met": line["mean"] <= row.most}


def main() -> None:
    """All rows, or those that are named; a row that was measured before is kept until it is measured again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS])
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    for name in asked.rows or ROWS:
        line = run(name, ROWS[name], asked.seeds)
        print(line, flush=True)
        table = known(RESULTS, "row") | {name: line | {"seeds": list(range(asked.seeds))}}
        keep(RESULTS, "Acting for a return that is asked for", table, ROWS, COLUMNS, __doc__, COMMAND)


COMMAND = "python -m benchmarks.sequences"
COLUMNS = {
    "row": "row",
    "learner": "learner",
    "updates": "updates",
    "scores": "a seed each: %, %, correlation",
    "mean": "mean",
    "target": "wanted of the mean",
    "met": "met",
    "seconds": "seconds",
}

if __name__ == "__main__":
    main()
