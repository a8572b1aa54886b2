"""Chapter 8: Dyna on the maze (figure 8.2), in mazes that change (figures 8.4 and 8.5), prioritised sweeping (8.4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from bellmax.algorithms.tabular.dyna_q import DynaQ
from bellmax.algorithms.tabular.dyna_q_plus import DynaQPlus
from bellmax.algorithms.tabular.prioritised_sweeping import PrioritisedSweeping
from bellmax.core import Algorithm, Env
from bellmax.drivers import ingraph
from bellmax.envs.maze import blocking_maze, dyna_maze, shortcut_maze
from benchmarks.book.claim import Claim, episodes

SECTION = "Planning"
RUNS, CHANGING_RUNS = 30, 20


def claims(figures: Path) -> list[Claim]:
    """Everything of the section, with its figures."""
    return [*dyna(figures), *changing(figures), *sweeping(figures)]


# --- figure 8.2: the Dyna maze ----------------------------------------------------------------------------------------


def dyna(figures: Path) -> list[Claim]:
    """Steps an episode for 0, 5 and 50 planning steps, means over runs that begin alike."""
    enough = {0: 22_000, 5: 6_000, 50: 5_000}  # environment steps, for 50 episodes
    curves = {}
    for n, steps in enough.items():
        metrics = train_all(DynaQ(planning_steps=n, gamma=0.95), dyna_maze(), steps, RUNS)
        curves[n] = np.mean([lengths[:50] for lengths in lengths_of(metrics)], 0)
    draw_dyna(curves, figures / "dyna-maze.png")
    soon, plain = curves[50][2:5].mean(), curves[0][4]
    what = "Dyna maze, steps an episode,"
    command = f"alpha .1, epsilon .1, gamma .95, {RUNS} runs"
    late = {n: curves[n][first - 1 : first + 4].mean() for n, first in ((0, 25), (5, 5), (50, 3))}
    return [
        Claim(SECTION, f"{what} n = 50, episodes 3-5", f"{soon:.1f}", "about 14-20", "< 25", bool(soon < 25), command),
        Claim(SECTION, f"{what} n = 0, episode 5", f"{plain:.0f}", "above 100", "> 100", bool(plain > 100), command),
        Claim(
            SECTION, f"{what} n = 0 / 5 / 50, five episodes from 25 / 5 / 3 on",
            " / ".join(f"{x:.1f}" for x in late.values()), "14-20 (figure 8.2)", "n = 5 and 50 < 25, n = 0 < 40",
            bool(late[0] < 40 and late[5] < 25 and late[50] < 25), command,
        ),
    ]  # fmt: skip


def train_all(algorithm: Algorithm, env: Env, steps: int, runs: int) -> dict[str, np.ndarray]:
    """Metrics of every round of many runs, [run, round]."""
    train = jax.jit(jax.vmap(lambda key: ingraph.train(algorithm, env, key, steps=steps)[1]))
    return {name: np.asarray(x) for name, x in train(jax.random.split(jax.random.key(0), runs)).items()}


def lengths_of(metrics: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The lengths of the episodes of every run."""
    return [episodes({name: x[run] for name, x in metrics.items()})[1] for run in range(len(metrics["steps"]))]


def draw_dyna(curves: dict[int, np.ndarray], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 5))
    for n, curve in curves.items():
        name = f"{n} planning steps" + (" (direct RL only)" if n == 0 else "")
        axes.plot(np.arange(2, 51), curve[1:50], label=name)
    axes.axhline(14, color="grey", lw=1, ls=":", label="shortest way, 14")
    axes.set(title="Dyna-Q in the maze of Example 8.1", xlabel="Episodes", ylabel="Steps per episode", ylim=(0, 800))
    finish(figure, axes, path)


def finish(figure: Any, axes: Any, path: Path) -> None:
    axes.legend()
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


# --- figures 8.4 and 8.5: mazes that change ---------------------------------------------------------------------------


def changing(figures: Path) -> list[Claim]:
    """Rewards up to each time step of Dyna-Q+ and Dyna-Q while a wall moves."""
    shared: dict[str, Any] = {"gamma": 0.95, "learning_rate": 1.0}
    cases = {
        "blocking": (blocking_maze(), blocking_maze(blocked=True), 1000, 3000, 10, 1e-4, "131 / 77 (figure 8.4)", 1.3),
        "shortcut": (shortcut_maze(), shortcut_maze(opened=True), 3000, 6000, 50, 1e-3, "365 / 297 (figure 8.5)", 1.1),
    }
    found = []
    for name, (before, after, change, steps, n, kappa, reference, least) in cases.items():
        algorithms = {
            "Dyna-Q+": DynaQPlus(**shared, planning_steps=n, kappa=kappa),
            "Dyna-Q": DynaQ(**shared, planning_steps=n),
        }
        curves = {key: cumulative(x, before, after, change, steps) for key, x in algorithms.items()}
        draw_changing(curves, name, change, figures / f"{name}-maze.png")
        plus, plain = curves["Dyna-Q+"][-1], curves["Dyna-Q"][-1]
        found.append(
            Claim(
                SECTION, f"{name} maze, cumulative reward after {steps:,} steps, Dyna-Q+ / Dyna-Q",
                f"{plus:.0f} / {plain:.0f}, ratio {plus / plain:.2f}", reference, f"ratio >= {least}",
                bool(plus / plain >= least), f"n {n}, kappa {kappa:g}, alpha 1, epsilon .1, {CHANGING_RUNS} runs",
            )
        )  # fmt: skip
    return found


def cumulative(algorithm: Algorithm, before: Env, after: Env, change: int, steps: int) -> np.ndarray:
    """The mean over runs of all rewards so far, [step]; the world is another after `change` steps."""

    def alone(key: jax.Array) -> jax.Array:
        def stretch(env: Env, run: ingraph.Run, length: int) -> tuple[ingraph.Run, jax.Array]:
            run, metrics = jax.lax.scan(lambda run, _: ingraph.tick(algorithm, env, run), run, length=length)
            return run, metrics["score"]

        run, first = stretch(before, ingraph.start(algorithm, before, key), change)
        return jnp.cumsum(jnp.concatenate([first, stretch(after, run, steps - change)[1]]))

    return np.asarray(jax.jit(jax.vmap(alone))(jax.random.split(jax.random.key(1), CHANGING_RUNS))).mean(0)


def draw_changing(curves: dict[str, np.ndarray], name: str, change: int, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 5))
    for label, curve in curves.items():
        axes.plot(np.arange(1, len(curve) + 1), curve, label=label)
    axes.axvline(change, color="grey", lw=1, ls=":", label="the maze changes")
    axes.set(title=f"The {name} maze", xlabel="Time steps", ylabel="Cumulative reward")
    finish(figure, axes, path)


# --- Example 8.4: prioritised sweeping --------------------------------------------------------------------------------

SCALES = (1, 2, 3)
CHUNK = 40  # real steps between two looks at the greedy policy
SWEEPS = 10  # runs


def sweeping(figures: Path) -> list[Claim]:
    """Updates until the greedy way is nearly the shortest, in ever finer mazes."""
    shared: dict[str, Any] = {"gamma": 0.95, "learning_rate": 0.5, "planning_steps": 5}
    algorithms = {"prioritised sweeping": PrioritisedSweeping(**shared, theta=1e-4), "Dyna-Q": DynaQ(**shared)}
    updates = {
        name: np.array([updates_needed(algorithm, scale) for scale in SCALES]) for name, algorithm in algorithms.items()
    }
    draw_sweeping(updates, figures / "prioritised-sweeping.png")
    found = []
    for index, reference in enumerate(("2.7k / 3.9k", "9k / 25k", "30k / 72k")):
        sweep, plain = (rows[index].mean() for rows in updates.values())
        found.append(
            Claim(
                SECTION, f"maze {SCALES[index]}, updates to an optimal way, prioritised sweeping / Dyna-Q",
                f"{sweep / 1e3:.1f}k / {plain / 1e3:.1f}k, ratio {plain / sweep:.2f}", f"{reference} (Example 8.4)",
                "ratio >= 1.3", bool(plain / sweep >= 1.3), f"n 5, alpha .5, theta 1e-4, epsilon .1, {SWEEPS} runs",
            )
        )  # fmt: skip
    return found


def updates_needed(algorithm: Algorithm, scale: int) -> np.ndarray:
    """Updates of Q, real and imagined, until the greedy way has at most 1.2 times 14 `scale` steps: [run]."""
    env, most = dyna_maze(scale), int(1.2 * 14 * scale)

    def go_on(carry: tuple[ingraph.Run, jax.Array]) -> jax.Array:
        run, _ = carry
        return ~arrives(env, run.state.q, most) & (run.round < 100_000)

    def chunk(carry: tuple[ingraph.Run, jax.Array]) -> tuple[ingraph.Run, jax.Array]:
        run, updates = carry
        run, metrics = jax.lax.scan(lambda run, _: ingraph.tick(algorithm, env, run), run, length=CHUNK)
        return run, updates + (metrics["backups"].sum() if "backups" in metrics else CHUNK * 6.0)

    def alone(key: jax.Array) -> jax.Array:
        return jax.lax.while_loop(go_on, chunk, (ingraph.start(algorithm, env, key), jnp.float32(0)))[1]

    train = jax.jit(alone)
    return np.array([float(train(key)) for key in jax.random.split(jax.random.key(2), SWEEPS)])


def arrives(env: Env, q: jax.Array, most: int) -> jax.Array:
    """Does the greedy policy reach the goal in at most so many steps?"""

    def step(carry: tuple[Any, jax.Array, jax.Array], _: None) -> tuple[tuple[Any, jax.Array, jax.Array], None]:
        env_state, obs, there = carry
        env_state, outcome = env.step(env_state, jnp.argmax(q[obs]), jax.random.key(0))
        return (env_state, outcome.obs, there | (outcome.discount == 0)), None

    (_, _, there), _ = jax.lax.scan(step, (*env.reset(jax.random.key(0)), jnp.bool_(False)), length=most)
    return there


def draw_sweeping(updates: dict[str, np.ndarray], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 5))
    for name, rows in updates.items():
        axes.plot(SCALES, rows.mean(1), "o-", label=name)
        axes.fill_between(SCALES, rows.min(1), rows.max(1), alpha=0.15)
    axes.set_xticks(SCALES, [f"{scale}\n{54 * scale**2} cells" for scale in SCALES])
    title = "Updates until the way is nearly the shortest: mean and range of the runs"
    axes.set(title=title, xlabel="Resolution of the maze", ylabel="Updates", yscale="log")
    finish(figure, axes, path)
