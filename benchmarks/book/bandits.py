"""Chapter 2 and what came after it: the 10-armed testbed, and regret against the best there can be."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from bellmax.algorithms.bandits.epsilon_greedy import EpsilonGreedyBandit
from bellmax.algorithms.bandits.gradient_bandit import GradientBandit
from bellmax.algorithms.bandits.thompson import ThompsonSampling
from bellmax.algorithms.bandits.ucb import UCB
from bellmax.core import Algorithm, Env
from bellmax.drivers.bandit import Play, play
from bellmax.envs.bandits import BernoulliBandit, DriftingBandit, GaussianBandit
from benchmarks.book.claim import Claim

SECTION = "Bandits"
TESTBED, RAISED = GaussianBandit(), GaussianBandit(mean=4.0)
TWO, TEN = BernoulliBandit((0.25, 0.2)), BernoulliBandit((0.5,) + (0.4,) * 9)
LONG = 100_000
LAST = 50  # curves are read off as the mean of their last pulls
MANY = 8_000  # problems; the book has 2,000, with which the greedy curve's end has a standard error of 0.012
# Slopes of Thompson sampling's regret over ln T from T = 1e4 to 1e5, their standard errors and their deviations from
# problem to problem, from a separate C program (Marsaglia & Tsang's gammas in float64, xoshiro256**): 2,000 problems
# with two arms, 200 with ten
SEPARATE = {"two": (5.38, 0.14, 6.35), "ten": (37.4, 1.0, 13.8)}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_play = jax.jit(play, static_argnames=("steps", "problems"))


def claims(figures: Path) -> list[Claim]:
    """Every row of the table, and the book's figures 2.2 to 2.6 as PNG in `figures`."""
    names = list(RUNS)
    with ThreadPoolExecutor(2) as pool:  # the longest first: two programs at a time, one a core
        done = dict(zip(names, pool.map(lambda name: jax.block_until_ready(RUNS[name]()), names)))
    for draw in (_sample_averages, _optimism, _bounds, _gradients, _study, _drift, _regret):
        name, figure = draw(done)
        figure.savefig(figures / f"{name}.png", dpi=100)
    found = [*_testbed_claims(done), *_gradient_claims(done), *_further_claims(done)]
    return [
        *found,
        *_regret_claims(done, "two", (0.25, 0.2)),
        *_regret_claims(done, "ten", (0.5, *[0.4] * 9)),
        _speed(),
    ]


def _run(algorithm: Algorithm, env: Env, steps: int = 1000, problems: int = 2000) -> Callable[[], Play]:
    return lambda: _play(algorithm, env, jax.random.key(0), steps=steps, problems=problems)


def _sweep(algorithm: Algorithm, field: str, powers: range) -> Callable[[], Any]:
    """Mean reward of the first 1,000 pulls, 500 problems, for each value 2^power of `field`."""

    def score(value: Any) -> Any:
        swept = algorithm.replace(**{field: value})
        return play(swept, TESTBED, jax.random.key(1), steps=1000, problems=500).reward.mean()

    return lambda: jax.jit(jax.vmap(score))(2.0 ** jnp.arange(powers.start, powers.stop))


OPTIMIST = EpsilonGreedyBandit(epsilon=0.0, step_size=0.1, initial=5.0)
STUDY: dict[str, tuple[Algorithm, str, range]] = {
    "epsilon-greedy, epsilon": (EpsilonGreedyBandit(), "epsilon", range(-7, -1)),
    "gradient bandit, alpha": (GradientBandit(), "step_size", range(-5, 3)),
    "UCB, c": (UCB(), "c", range(-4, 3)),
    "optimistic greedy, alpha = 0.1, initial value": (OPTIMIST, "initial", range(-2, 3)),
}
RUNS: dict[str, Callable[[], Any]] = {
    "thompson two": _run(ThompsonSampling(), TWO, LONG, 400),
    "thompson ten": _run(ThompsonSampling(), TEN, LONG, 50),
    "fixed two": _run(EpsilonGreedyBandit(), TWO, LONG, 100),
    "fixed ten": _run(EpsilonGreedyBandit(), TEN, LONG, 50),
    **{f"epsilon {e}": _run(EpsilonGreedyBandit(epsilon=e), TESTBED, problems=MANY) for e in (0.0, 0.01, 0.1)},
    "optimistic": _run(OPTIMIST, TESTBED, problems=MANY),
    "realistic": _run(EpsilonGreedyBandit(step_size=0.1), TESTBED, problems=MANY),
    "ucb": _run(UCB(), TESTBED, problems=MANY),
    **{
        f"gradient {alpha} {baseline}": _run(GradientBandit(step_size=alpha, baseline=baseline), RAISED)
        for baseline in (True, False)
        for alpha in (0.1, 0.4)
    },
    "drift averages": _run(EpsilonGreedyBandit(), DriftingBandit(), 10_000, 300),
    "drift constant": _run(EpsilonGreedyBandit(step_size=0.1), DriftingBandit(), 10_000, 300),
    **{f"study {name}": _sweep(*how) for name, how in STUDY.items()},
}


# --- claims -----------------------------------------------------------------------------------------------------------


def _end(curve: Any) -> float:
    return float(np.mean(np.asarray(curve)[-LAST:]))


def _within(what: str, value: float, wanted: float, margin: float, source: str, shown: str = "{:.2f}") -> Claim:
    settings = "2,000 problems" if source == "figure 2.5" else f"{MANY:,} problems"
    passed = abs(value - wanted) <= margin
    reference = f"{shown.format(wanted)} ({source})"
    return Claim(SECTION, what, shown.format(value), reference, f"+-{margin:g}", passed, settings)


def _testbed_claims(done: dict[str, Any]) -> list[Claim]:
    found = []
    for epsilon, reward, optimal in ((0.0, 1.05, 37), (0.01, 1.32, 61), (0.1, 1.38, 80)):
        run, what = done[f"epsilon {epsilon}"], f"10-armed testbed, sample averages, epsilon {epsilon:g}"
        found.append(_within(f"{what}: reward at pull 1,000", _end(run.reward), reward, 0.03, "figure 2.2"))
        share = 100 * _end(run.optimal)
        found.append(_within(f"{what}: optimal action, %", share, optimal, 2.5, "figure 2.2", "{:.1f}"))
    for name, said, optimal in (("optimistic", "Q0 = 5, greedy", 85.5), ("realistic", "epsilon 0.1", 75.5)):
        what = f"10-armed testbed, alpha 0.1, {said}: optimal action, %"
        found.append(_within(what, 100 * _end(done[name].optimal), optimal, 2.5, "figure 2.3", "{:.1f}"))
    ucb, fixed = _end(done["ucb"].reward), _end(done["epsilon 0.1"].reward)
    what = f"UCB c = 2 ({ucb:.2f}) over epsilon 0.1 ({fixed:.2f}): reward at pull 1,000"
    return [*found, _within(what, ucb - fixed, 0.14, 0.04, "figure 2.4")]


def _gradient_claims(done: dict[str, Any]) -> list[Claim]:
    found = []
    for baseline, shares in ((True, (85.5, 72.5)), (False, (48.5, 27.0))):
        for alpha, wanted in zip((0.1, 0.4), shares):
            what = f"gradient bandit, q* ~ N(4, 1), {'with' if baseline else 'no'} baseline, alpha {alpha}: optimal, %"
            share = 100 * _end(done[f"gradient {alpha} {baseline}"].optimal)
            found.append(_within(what, share, wanted, 3.0, "figure 2.5", "{:.1f}"))
    return found


def _further_claims(done: dict[str, Any]) -> list[Claim]:
    best = {name: float(done[f"study {name}"].max()) for name in STUDY}
    shown = ", ".join(f"{name.split(',')[0]} {score:.2f}" for name, score in best.items())
    first = max(best, key=lambda name: best[name])
    what = "parameter study: the best mean reward of 1,000 pulls"
    study = Claim(SECTION, what, shown, "UCB best (figure 2.6)", "order", first.startswith("UCB"), "500 problems")
    constant, average = (100 * _end(done[f"drift {kind}"].optimal) for kind in ("constant", "averages"))
    what = "drifting arms, alpha 0.1 against sample averages: optimal action at pull 10,000, %"
    text = f"{constant:.0f} against {average:.0f}"
    passed = constant > average + 10
    return [study, Claim(SECTION, what, text, "constant better (exercise 2.5)", "by 10", passed, "300 problems")]


def _lai_robbins(means: tuple[float, ...]) -> float:
    """sum over worse arms of gap / d(mean, best): what regret must grow by, divided by ln T (Lai & Robbins, 1985)."""
    best = max(means)
    coin = lambda p, q: p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    return float(sum((best - p) / coin(p, best) for p in means if p < best))


def _regret_claims(done: dict[str, Any], name: str, means: tuple[float, ...]) -> list[Claim]:
    arms, constant = "(.25, .2)" if name == "two" else "(.5, .4 x 9)", _lai_robbins(means)
    thompson, fixed = (np.asarray(done[f"{kind} {name}"].regret) for kind in ("thompson", "fixed"))
    slope = (thompson[-1] - thompson[LONG // 10 - 1]) / np.log(10)
    what = f"Thompson sampling on coins {arms}: regret's slope over ln T, T from 1e4 to 1e5"
    problems = len(done[f"thompson {name}"].state[0])
    text, passed = f"{slope:.2f} = {slope / constant:.2f} x", 0.85 <= slope / constant <= 1.3
    reference = f"{constant:.2f} (Lai & Robbins, T to infinity)"
    sampled = Claim(SECTION, what, text, reference, "[.85, 1.3] x", passed, f"{problems} problems")
    separate, error, deviation = SEPARATE[name]
    margin = 3 * np.hypot(error, deviation / np.sqrt(problems))
    reference, passed = f"{separate} +- {error} (a separate program in C)", bool(abs(slope - separate) < margin)
    allowed = f"+-{margin:.1f}, 3 standard errors"
    checked = Claim(SECTION, what, f"{slope:.2f}", reference, allowed, passed, f"{problems} problems")
    # linear: of the regret from T/4 to T, 2/3 fall in the last half; logarithmic: half
    share = (fixed[-1] - fixed[LONG // 2 - 1]) / (fixed[-1] - fixed[LONG // 4 - 1])
    what = f"control, epsilon 0.1 on coins {arms}: share of the regret from T/4 to T that falls after T/2"
    problems = len(done[f"fixed {name}"].state[0])
    linear = Claim(SECTION, what, f"{share:.3f}", "2/3 (linear; log is 1/2)", "+-.03", abs(share - 2 / 3) < 0.03)
    return [sampled, checked, linear._replace(command=f"{problems} problems")]


def _speed() -> Claim:
    run, times = _run(EpsilonGreedyBandit(), TESTBED), []  # 2,000 problems
    for _ in range(10):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    best, what = min(times), "2,000 problems x 1,000 pulls of epsilon-greedy, compiled: seconds"
    return Claim(SECTION, what, f"{best:.2f}", "0.5", "at most", best < 0.5, "best of 10")


# --- figures ----------------------------------------------------------------------------------------------------------


def _figure(rows: int, title: str, across: str) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(8, 3.4 * rows + 0.6), layout="constrained")
    axes = list(figure.subplots(rows, 1, squeeze=False)[:, 0])
    figure.suptitle(title)
    axes[-1].set_xlabel(across)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _lines(axis: Any, curves: dict[str, Any], down: str, percent: bool = False) -> None:
    for (label, curve), colour in zip(curves.items(), COLOURS):
        values = np.asarray(curve) * (100 if percent else 1)
        axis.plot(np.arange(1, len(values) + 1), values, label=label, color=colour, linewidth=1)
    axis.set_ylabel(down)
    if percent:
        axis.set_ylim(0, 100)
    axis.legend(frameon=False, loc="lower right")


def _sample_averages(done: dict[str, Any]) -> tuple[str, Figure]:
    figure, (upper, lower) = _figure(2, "Figure 2.2: epsilon-greedy on the 10-armed testbed", "pulls")
    runs = {f"epsilon = {e:g}": done[f"epsilon {e}"] for e in (0.1, 0.01, 0.0)}
    _lines(upper, {name: run.reward for name, run in runs.items()}, "average reward")
    _lines(lower, {name: run.optimal for name, run in runs.items()}, "optimal action, %", percent=True)
    return "figure_2_2", figure


def _optimism(done: dict[str, Any]) -> tuple[str, Figure]:
    figure, (axis,) = _figure(1, "Figure 2.3: an optimistic start, alpha = 0.1", "pulls")
    curves = {"optimistic, greedy: Q0 = 5, epsilon = 0": done["optimistic"].optimal}
    curves["realistic, epsilon-greedy: Q0 = 0, epsilon = 0.1"] = done["realistic"].optimal
    _lines(axis, curves, "optimal action, %", percent=True)
    return "figure_2_3", figure


def _bounds(done: dict[str, Any]) -> tuple[str, Figure]:
    figure, (axis,) = _figure(1, "Figure 2.4: upper confidence bounds", "pulls")
    curves = {"UCB, c = 2": done["ucb"].reward, "epsilon-greedy, epsilon = 0.1": done["epsilon 0.1"].reward}
    _lines(axis, curves, "average reward")
    return "figure_2_4", figure


def _gradients(done: dict[str, Any]) -> tuple[str, Figure]:
    figure, (axis,) = _figure(1, "Figure 2.5: the gradient bandit, q* ~ N(4, 1)", "pulls")
    curves = {
        f"{'with' if baseline else 'without'} baseline, alpha = {alpha}": done[f"gradient {alpha} {baseline}"].optimal
        for baseline in (True, False)
        for alpha in (0.1, 0.4)
    }
    _lines(axis, curves, "optimal action, %", percent=True)
    axis.legend(frameon=False, loc="lower right", ncols=2)
    return "figure_2_5", figure


def _study(done: dict[str, Any]) -> tuple[str, Figure]:
    figure, (axis,) = _figure(1, "Figure 2.6: a parameter study on the 10-armed testbed", "parameter")
    for (name, (_, _, powers)), colour in zip(STUDY.items(), COLOURS):
        axis.plot(
            2.0 ** np.arange(powers.start, powers.stop), done[f"study {name}"], "o-", ms=4, label=name, color=colour
        )
    axis.set_xscale("log", base=2)
    axis.set_xticks([2.0**k for k in range(-7, 3)], [f"1/{2**-k}" if k < 0 else str(2**k) for k in range(-7, 3)])
    axis.set_ylabel("mean reward of 1,000 pulls")
    axis.set_ylim(0.95, 1.7)
    axis.legend(frameon=False, loc="upper left", ncols=2, fontsize=9)
    return "figure_2_6", figure


def _drift(done: dict[str, Any]) -> tuple[str, Figure]:
    figure, (axis,) = _figure(1, "Exercise 2.5: arms that drift, epsilon = 0.1", "pulls")
    curves = {"constant step, alpha = 0.1": done["drift constant"].optimal}
    curves["sample averages"] = done["drift averages"].optimal
    _lines(axis, curves, "optimal action, %", percent=True)
    return "exercise_2_5", figure


def _regret(done: dict[str, Any]) -> tuple[str, Figure]:
    figure, axes = _figure(2, "Regret, with two standard errors: Thompson sampling and the least there can be", "pulls")
    pulls = np.unique(np.geomspace(10, LONG, 400).astype(int))
    for axis, (name, means) in zip(axes, (("two", (0.25, 0.2)), ("ten", (0.5, *[0.4] * 9)))):
        for kind, colour in (("thompson", COLOURS[0]), ("fixed", COLOURS[1])):
            run, label = done[f"{kind} {name}"], "Thompson sampling" if kind == "thompson" else "epsilon = 0.1"
            regret, error = np.asarray(run.regret)[pulls - 1], np.asarray(run.regret_error)[pulls - 1]
            axis.plot(pulls, regret, label=label, color=colour)
            axis.fill_between(pulls, regret - 2 * error, regret + 2 * error, color=colour, alpha=0.2, linewidth=0)
        end = float(done[f"thompson {name}"].regret[-1])
        late = pulls[pulls >= 1000]
        line = end + _lai_robbins(means) * np.log(late / LONG)
        axis.plot(late, line, "--", color="0.3", label="slope of Lai & Robbins")
        axis.set(xscale="log", ylim=(0, 2.5 * end), ylabel="regret, in reward")
        axis.set_title(f"coins {'.25 and .2' if name == 'two' else '.5 and nine of .4'}", fontsize=10)
        axis.legend(frameon=False, loc="upper left")
    return "bandit_regret", figure
