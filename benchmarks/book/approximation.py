"""The windy grid world (Example 6.5) and mountain car with tile coding (figures 10.1, 10.2 and 12.10)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from bellmax.algorithms.tabular.sarsa import SARSA
from bellmax.algorithms.tabular.tile_sarsa import TileSARSA, values
from bellmax.drivers import ingraph
from bellmax.envs.mountain_car import MountainCar
from bellmax.envs.windy_grid_world import GOAL, START, WIND, WindyGridWorld
from bellmax.maths.exploration import EpsilonGreedy
from bellmax.maths.schedules import Linear
from benchmarks.book.claim import Claim

WINDY, CAR = "Windy grid world", "Mountain car"
LOW, HIGH = (-1.2, -0.07), (0.5, 0.07)


def claims(figures: Path) -> list[Claim]:
    """Everything of the section, with its figures."""
    return [*windy(figures), *cost_to_go(figures), *learning_curves(figures), *traces(figures)]


# --- Example 6.5 ------------------------------------------------------------------------------------------------------
WINDY_RUNS, LONG_RUNS, LONG = 30, 7, 40_000


def windy(figures: Path) -> list[Claim]:
    """SARSA with the book's step size, and with one that falls to 0 so that the policy comes to rest."""
    ended = train_windy(0.5, 4, 8000, WINDY_RUNS)[1]
    count, late = ended.sum(1).mean(), 2000 / ended[:, 6000:].sum(1).mean()
    rested = {moves: train_windy(Linear(0.5, 0.0, LONG), moves, LONG, LONG_RUNS) for moves in (4, 8)}
    ways = {moves: [greedy_way(table, moves) for table in q] for moves, (q, _) in rested.items()}
    draw_windy(np.cumsum(ended, 1), min(ways[4], key=len), figures / "windy-grid-world.png")
    steps = {moves: np.median([len(way) - 1 for way in found]) for moves, found in ways.items()}
    resting = 5000 / rested[4][1][:, -5000:].sum(1).mean()
    command = f"alpha .5, epsilon .1, {WINDY_RUNS} runs"
    resting_command = f"alpha .5 falling to 0 over {LONG:,} steps, epsilon .1, {LONG_RUNS} runs"
    return [
        Claim(WINDY, "SARSA, episodes in 8,000 steps", f"{count:.0f}", "about 170 (Example 6.5)", "150 to 190",
              bool(150 <= count <= 190), command),
        Claim(WINDY, "SARSA, mean steps an episode, steps 6,000 to 8,000", f"{late:.1f}", "about 17 (Example 6.5)",
              "16 to 20", bool(16 <= late <= 20), command + "; a plain NumPy loop has 26, too"),
        Claim(WINDY, "SARSA, mean steps an episode with the policy at rest", f"{resting:.1f}",
              "17.05, the best with epsilon .1 [X]", "+-.75", bool(abs(resting - 17.05) <= 0.75), resting_command),
        Claim(WINDY, "SARSA, greedy way, median, four moves / king's", f"{steps[4]:.0f} / {steps[8]:.0f}",
              "15 / 7 (Example 6.5, exercise 6.9) [X]", "equal", bool(steps == {4: 15, 8: 7}), resting_command),
    ]  # fmt: skip


def train_windy(rate: float | Linear, moves: int, steps: int, runs: int) -> tuple[np.ndarray, np.ndarray]:
    """-> the tables of all runs, and where episodes ended, [run, step]."""
    algorithm = SARSA(gamma=1.0, learning_rate=rate, exploration=EpsilonGreedy(0.1))

    def alone(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        run, metrics = ingraph.train(algorithm, WindyGridWorld(moves=moves), key, steps=steps)
        return run.state.q, metrics["episodes"]

    q, ended = jax.jit(jax.vmap(alone))(jax.random.split(jax.random.key(0), runs))
    return np.asarray(q), np.asarray(ended)


def greedy_way(q: np.ndarray, moves: int) -> list[int]:
    """The cells that the greedy policy passes, at most 60."""
    move, way = jax.jit(WindyGridWorld(moves=moves).move), [START]
    while way[-1] != GOAL and len(way) < 60:
        way.append(int(move(jnp.int32(way[-1]), jnp.int32(q[way[-1]].argmax()), jnp.float32(0))[0]))
    return way


def draw_windy(ended: np.ndarray, way: list[int], path: Path) -> None:
    figure, (axes, world) = plt.subplots(1, 2, figsize=(11, 4.5), width_ratios=(1, 1.2))
    for run in ended[:5]:
        axes.plot(run[:8000], color="tab:blue", alpha=0.25, lw=1)
    axes.plot(ended[:, :8000].mean(0), color="tab:blue", lw=2, label=f"mean of {len(ended)} runs, and five of them")
    axes.set(title="SARSA in the windy grid world", xlabel="Time steps", ylabel="Episodes")
    axes.legend()
    axes.grid(alpha=0.3)
    row, column = np.divmod(np.array(way), 10)
    world.plot(column, row, "o-", color="tab:orange", label=f"greedy way, {len(way) - 1} steps")
    for letter, cell in (("S", START), ("G", GOAL)):
        world.text(cell % 10, cell // 10 + 0.35, letter, ha="center", va="center", weight="bold")
    world.set(
        title="What was learned", xlim=(-0.5, 9.5), ylim=(6.5, -0.5), aspect="equal", xlabel="Wind, cells upwards"
    )
    world.set_xticks(range(10), WIND)
    world.set_yticks(range(7), [""] * 7)
    world.grid(alpha=0.3)
    world.legend(loc="lower left")
    save(figure, path)


def save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


# --- figures 10.1 and 10.2 --------------------------------------------------------------------------------------------


def driver(**fields: Any) -> TileSARSA:
    """The book's settings: 8 tilings of 8 x 8, no exploration, optimistic values."""
    return TileSARSA(gamma=1.0, low=LOW, high=HIGH, exploration=EpsilonGreedy(0.0), **fields)


def cost_to_go(figures: Path) -> list[Claim]:
    """What the learner expects to pay, after 12, 104 and 1,000 episodes of one run."""
    algorithm, car = driver(lambda_=0.0, learning_rate=0.5), MountainCar(max_steps=None)

    def until(run: ingraph.Run, episodes: jax.Array) -> ingraph.Run:
        def body(carry: tuple[ingraph.Run, jax.Array]) -> tuple[ingraph.Run, jax.Array]:
            run, metrics = ingraph.tick(algorithm, car, carry[0])
            return run, carry[1] + metrics["episodes"]

        return jax.lax.while_loop(lambda carry: carry[1] < episodes, body, (run, jnp.int32(0)))[0]

    run, surfaces = ingraph.start(algorithm, car, jax.random.key(0)), {}
    position, velocity = np.meshgrid(*(np.linspace(*ends, 40, dtype=np.float32) for ends in zip(LOW, HIGH)))
    points = jnp.stack([position, velocity], -1).reshape(-1, 2)
    go_on = jax.jit(until)
    cost = jax.jit(
        jax.vmap(lambda state, x: -values(state.weights, algorithm.active(state, x)).sum(-1).max(), (None, 0))
    )
    for more, episode in ((12, 12), (92, 104), (896, 1000)):
        run = go_on(run, jnp.int32(more))
        surfaces[episode] = np.asarray(cost(run.state, points)).reshape(40, 40)
    draw_cost(position, velocity, surfaces, figures / "mountain-car-cost-to-go.png")
    highest = [surface.max() for surface in surfaces.values()]
    return [
        Claim(CAR, "highest cost-to-go after 12 / 104 / 1,000 episodes", " / ".join(f"{x:.0f}" for x in highest),
              "rising to between 100 and 120 (figure 10.1)", "rising, the last 90 to 140",
              bool(highest[0] < highest[1] < highest[2] and 90 <= highest[2] <= 140), "alpha .5 / 8, lambda 0, 1 run")
    ]  # fmt: skip


def draw_cost(position: np.ndarray, velocity: np.ndarray, surfaces: dict[int, np.ndarray], path: Path) -> None:
    figure = plt.figure(figsize=(12, 4.6))
    for index, (episode, surface) in enumerate(surfaces.items()):
        axes = figure.add_subplot(1, 3, index + 1, projection="3d")
        axes.plot_surface(position, velocity, surface, cmap="viridis", linewidth=0.2, edgecolor="k", alpha=0.95)
        axes.set_title(f"after {episode:,} episodes")
        axes.set_xlabel("Position")
        axes.set_ylabel("Velocity")
        axes.set_xticks([-1.2, -0.35, 0.5])
        axes.set_yticks([-0.07, 0, 0.07])
        axes.view_init(35, -60)
        axes.set_box_aspect(None, zoom=0.9)
    figure.suptitle("Mountain car: the steps a learner expects to need")
    save(figure, path)


CAR_RUNS, CAR_STEPS, RATES = 8, 130_000, (0.1, 0.2, 0.5)


def learning_curves(figures: Path) -> list[Claim]:
    """Steps an episode for three step sizes."""
    rates = np.repeat(RATES, CAR_RUNS)
    keys = jnp.tile(jax.random.split(jax.random.key(1), CAR_RUNS), len(RATES))
    ended, length = train_cars(np.zeros(len(rates)), rates, keys, CAR_STEPS)
    lengths = np.array([length[lane][ended[lane]][:500] for lane in range(len(rates))])
    curves = lengths.reshape(len(RATES), CAR_RUNS, 500).mean(1)
    draw_curves(curves, figures / "mountain-car.png")
    late, early = (dict(zip(RATES, curves[:, part].mean(1))) for part in (slice(-50, None), slice(5, 50)))
    command = f"lambda 0, 8 tilings of 8 x 8, {CAR_RUNS} runs"
    return [
        Claim(CAR, "steps an episode, episodes 451-500, alpha .5 / 8", f"{late[0.5]:.0f}", "120-130 (figure 10.2)",
              "105 to 140", bool(105 <= late[0.5] <= 140), command),
        Claim(CAR, "steps an episode, episodes 6-50, alpha .1 / .2 / .5 over 8",
              " / ".join(f"{early[rate]:.0f}" for rate in RATES), "falling with alpha (figure 10.2)", "falling",
              bool(early[0.1] > early[0.2] > early[0.5]), command),
    ]  # fmt: skip


def train_cars(lambdas: np.ndarray, rates: np.ndarray, keys: jax.Array, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Where episodes ended and how long they were, [lane, step]; lanes differ in lambda, step size and key."""

    def alone(lambda_: jax.Array, rate: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        algorithm = driver(lambda_=lambda_, learning_rate=rate)
        metrics = ingraph.train(algorithm, MountainCar(max_steps=None), key, steps=steps)[1]
        return metrics["episodes"] > 0, metrics["length"]

    floats = (jnp.asarray(x, jnp.float32) for x in (lambdas, rates))
    ended, length = jax.jit(jax.vmap(alone))(*floats, keys)
    return np.asarray(ended), np.asarray(length)


def draw_curves(curves: np.ndarray, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 5))
    for rate, curve in zip(RATES, curves):
        axes.plot(np.arange(1, 501), curve, label=f"alpha = {rate} / 8", lw=1)
    axes.set(
        title="Mountain car: semi-gradient SARSA with tile coding", xlabel="Episode", yscale="log", ylim=(90, 1100)
    )
    axes.set_ylabel(f"Steps per episode, mean of {CAR_RUNS} runs")
    axes.set_yticks([100, 200, 400, 1000], ["100", "200", "400", "1000"])
    axes.legend()
    axes.grid(alpha=0.3, which="both")
    save(figure, path)


# --- figure 12.10 -----------------------------------------------------------------------------------------------------
LAMBDAS, TRACE_RATES = (0.0, 0.68, 0.84, 0.92, 0.98, 0.99), (0.4, 0.7, 1.0, 1.3, 1.6)
TRACE_RUNS, TRACE_STEPS = 4, 20_000


def traces(figures: Path) -> list[Claim]:
    """Steps an episode over the first 50 episodes, for each lambda and step size."""
    grid = np.array([(x, rate) for x in LAMBDAS for rate in TRACE_RATES for _ in range(TRACE_RUNS)])
    keys = jnp.tile(jax.random.split(jax.random.key(2), TRACE_RUNS), len(LAMBDAS) * len(TRACE_RATES))
    ended, length = train_cars(*grid.T, keys, TRACE_STEPS)
    means = [mean_of_fifty(length[lane][ended[lane]]) for lane in range(len(grid))]
    table = np.reshape(means, (len(LAMBDAS), len(TRACE_RATES), TRACE_RUNS)).mean(2)
    draw_traces(table, figures / "mountain-car-lambda.png")
    command = f"replacing traces, {TRACE_RUNS} runs"
    best, coarse = dict(zip(LAMBDAS, table.min(1))), dict(zip(LAMBDAS, table[:, -1]))
    return [
        Claim(CAR, "SARSA(lambda), steps an episode, first 50 episodes, best alpha, lambda .92 / 0",
              f"{best[0.92]:.0f} / {best[0.0]:.0f}", "traces help much (figure 12.10)", "ratio <= .85",
              bool(best[0.92] <= 0.85 * best[0.0]), command),
        Claim(CAR, f"the same, alpha {TRACE_RATES[-1]} / 8, lambda .99 / .92",
              f"{coarse[0.99]:.0f} / {coarse[0.92]:.0f}", "too long traces harm (figure 12.10)", "ratio >= 1.15",
              bool(coarse[0.99] >= 1.15 * coarse[0.92]), command),
    ]  # fmt: skip


def mean_of_fifty(lengths: np.ndarray) -> float:
    """The mean length of the first 50 episodes; of fewer, the steps there were over 50, which is too good."""
    return float(lengths[:50].mean()) if len(lengths) >= 50 else TRACE_STEPS / max(len(lengths), 1)


def draw_traces(table: np.ndarray, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 5))
    for lambda_, row in zip(LAMBDAS, table):
        axes.plot(TRACE_RATES, row, "o-", label=f"lambda = {lambda_:g}", ms=3)
    axes.set(title="Mountain car: SARSA(lambda) with replacing traces", xlabel="alpha x tilings (8)", ylim=(150, 320))
    axes.set_ylabel(f"Steps per episode, first 50 episodes, {TRACE_RUNS} runs")
    axes.legend()
    axes.grid(alpha=0.3)
    save(figure, path)
