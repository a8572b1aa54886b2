"""Control with tables: chapters 5 and 6, the short corridor of chapter 13, and FrozenLake."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.algorithms.tabular.double_q_learning import DoubleQLearning
from bellmax.algorithms.tabular.expected_sarsa import ExpectedSARSA
from bellmax.algorithms.tabular.q_learning import QLearning
from bellmax.algorithms.tabular.sarsa import SARSA
from bellmax.core import Algorithm, Env
from bellmax.drivers import ingraph
from bellmax.envs import CliffWalking
from bellmax.envs.maximisation_bias import MaximisationBias
from bellmax.maths.exploration import EpsilonGreedy
from benchmarks.book import control_blackjack, control_corridor, control_figures, control_lake
from benchmarks.book.claim import Claim, episodes

SECTION, SEED = "Control", 0
ALPHAS = np.array([0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0], np.float32)
CLIFF = {"gamma": 1.0, "exploration": EpsilonGreedy(0.1)}


def claims(figures: Path) -> list[Claim]:
    """Everything of this section."""
    found = [*cliff_walking(figures), *step_sizes(figures), *maximisation_bias(figures)]
    found += control_blackjack.claims(figures) + control_corridor.claims(figures) + control_lake.claims()
    return found


def scores(
    algorithm: Algorithm, env: Env, alphas: np.ndarray, runs: int, steps: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the first `count` episodes, [alpha, run, episode], and Q in the end. NaN where `steps` were too few."""

    def one(alpha: jax.Array, key: jax.Array) -> tuple[dict[str, jax.Array], jax.Array]:
        run, metrics = ingraph.train(algorithm.replace(learning_rate=alpha), env, key, steps=steps)
        return {name: metrics[name] for name in ("episodes", "score", "length")}, run.state.q

    every = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))
    metrics, q = jax.device_get(every(jnp.asarray(alphas), jax.random.split(jax.random.key(SEED), runs)))
    found = np.full((len(alphas), runs, count), np.nan)
    for place in np.ndindex(len(alphas), runs):
        first = episodes({name: metrics[name][place] for name in metrics})[0][:count]
        found[(*place, slice(len(first)))] = first
    return found, q


def cliff_walking(figures: Path) -> list[Claim]:
    """Example 6.6: the safe way and the short one."""
    runs, steps, count = 50, 20_000, 500
    found = {}
    for name, algorithm in {"SARSA": SARSA(**CLIFF), "Q-learning": QLearning(**CLIFF)}.items():
        score, q = scores(algorithm, CliffWalking(), np.array([0.5]), runs, steps, count)
        found[name] = score[0], q[0]
    control_figures.cliff({name: score for name, (score, _) in found.items()}, figures)
    sarsa, q_learning = (float(score[:, -100:].mean()) for score, _ in found.values())
    paths = path_lengths(found["Q-learning"][1])
    settings = f"alpha .5, epsilon .1, {runs} runs, seed {SEED}"
    what, path = "Cliff walking, episodes 401 to 500, mean return", f"{min(paths)} to {max(paths)}"
    in_sarsa, in_q = -32 <= sarsa <= -20, -60 <= q_learning <= -40
    straight = "Cliff walking, steps of Q-learning's greedy path"
    return [
        Claim(SECTION, f"{what}, SARSA", f"{sarsa:.1f}", "about -25", "in [-32, -20]", in_sarsa, settings),
        Claim(SECTION, f"{what}, Q-learning", f"{q_learning:.1f}", "about -50", "in [-60, -40]", in_q, settings),
        Claim(SECTION, straight, path, "13", "every run", set(paths) == {13}, settings),
    ]


def path_lengths(tables: np.ndarray) -> list[int]:
    """Steps of each greedy path along the cliff to the goal, 100 if it does not arrive; tables: [run, 48, 4]."""
    move = jax.jit(jax.vmap(CliffWalking().move, (0, 0, None)))
    found = []
    for q in tables:
        entered, _, terminal = map(
            np.asarray, move(jnp.arange(48), jnp.asarray(q.argmax(1), jnp.int32), jnp.float32(0))
        )
        cell, over, steps = 36, False, 0
        while not over and steps < 100:
            cell, over, steps = entered[cell], terminal[cell], steps + 1
        found.append(steps)
    return found


def step_sizes(figures: Path) -> list[Claim]:
    """Figure 6.3: mean returns over the first 100 and the first 1,000 episodes for every alpha."""
    plans = {  # algorithm, and (alphas, runs, steps): SARSA falls off the cliff for a long time where alpha is 1
        "Expected SARSA": (ExpectedSARSA(**CLIFF), [(ALPHAS, 10, 28_000)]),
        "SARSA": (SARSA(**CLIFF), [(ALPHAS[:-1], 10, 60_000), (ALPHAS[-1:], 20, 200_000)]),
        "Q-learning": (QLearning(**CLIFF), [(ALPHAS, 10, 28_000)]),
    }
    found = {}
    for name, (algorithm, parts) in plans.items():
        score = [scores(algorithm, CliffWalking(), alphas, *rest, count=1000)[0] for alphas, *rest in parts]
        found[name] = [np.concatenate([x[:, :, :count].mean((1, 2)) for x in score]) for count in (100, 1000)]
    control_figures.step_sizes(ALPHAS, found, figures)
    published = {"Expected SARSA": (-36, -25, -23.5), "SARSA": (-36, -32, -148), "Q-learning": (-60, -52, -52)}
    table = []
    for name, references in published.items():
        for alpha, reference in zip((0.1, 0.5, 1.0), references):
            mean = float(found[name][1][np.argmin(abs(ALPHAS - alpha))])
            what = f"Cliff walking, first 1,000 episodes, {name}, alpha {alpha:g}"
            passed, runs = abs(mean - reference) <= 0.15 * abs(reference), 20 if reference == -148 else 10
            table.append(Claim(SECTION, what, f"{mean:.1f}", f"{reference:g}", "+-15 %", passed, f"{runs} runs"))
    return table


def maximisation_bias(figures: Path) -> list[Claim]:
    """Example 6.7: how often left is taken, episode by episode."""
    runs, count, left = 2000, 300, {}
    for name, kind in {"Q-learning": QLearning, "Double Q-learning": DoubleQLearning}.items():
        algorithm = kind(gamma=1.0, learning_rate=0.1, exploration=EpsilonGreedy(0.1))
        run = jax.vmap(lambda key, algorithm=algorithm: lengths(algorithm, key, 2 * count))
        ended, length = jax.device_get(jax.jit(run)(jax.random.split(jax.random.key(SEED), runs)))
        left[name] = np.stack([x[e > 0][:count] > 1 for e, x in zip(ended, length)]).mean(0)
    control_figures.bias(left, figures)
    peak, most = (float(share.max()) for share in left.values())
    q, double = (float(share[-10:].mean()) for share in left.values())
    settings, what = f"alpha .1, epsilon .1, 10 actions in B, {runs:,} runs", "Maximisation bias, share of left,"
    rows = [
        ("Q-learning at its peak", peak, "about .95", "> .85", peak > 0.85),
        ("Double Q-learning at most", most, "about .5 at first", "< .55", most < 0.55),
        ("Q-learning in episodes 291 to 300", q, ".135", "+-.03", abs(q - 0.135) < 0.03),
        ("Double Q-learning in episodes 291 to 300", double, ".07", "+-.03", abs(double - 0.07) < 0.03),
    ]
    return [Claim(SECTION, f"{what} {name}", f"{x:.3f}", *rest, settings) for name, x, *rest in rows]


def lengths(algorithm: Algorithm, key: jax.Array, steps: int) -> tuple[jax.Array, jax.Array]:
    """Of every step: whether an episode ended, and its length."""
    metrics = ingraph.train(algorithm, MaximisationBias(), key, steps=steps)[1]
    return metrics["episodes"], metrics["length"]
