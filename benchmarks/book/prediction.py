"""Prediction: random walks (Examples 6.2, 6.3, 7.1; figures 12.3, 12.6, 12.8) and off-policy Monte Carlo (chapter 5).

Figures marked [F] were read off the book's plots, [X] are exact.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bellmax.algorithms.tabular.lambda_return import LambdaReturn
from bellmax.algorithms.tabular.td_lambda import TDLambda
from benchmarks.book import prediction_figures as figures_of
from benchmarks.book import prediction_importance as importance
from benchmarks.book import prediction_walks as walks
from benchmarks.book.claim import Claim

SECTION = "Prediction"
PUBLISHED = {
    "TD 0.05": 0.036, "TD 0.1": 0.050, "TD 0.15": 0.068,
    "MC 0.01": 0.100, "MC 0.02": 0.085, "MC 0.03": 0.095, "MC 0.04": 0.110,
}  # fmt: skip
TEN = "first 10 episodes, 100 runs, the same walks for all"


def claims(figures: Path) -> list[Claim]:
    """Everything of the section, with its figures."""
    return [*small_walk(figures), *large_walk(figures), *chapter_5(figures)]


def claim(what: str, measured: str, reference: str, tolerance: str, passed: object, command: str) -> Claim:
    return Claim(SECTION, what, measured, reference, tolerance, bool(passed), command)


# --- 5 states ---------------------------------------------------------------------------------------------------------


def small_walk(figures: Path) -> list[Claim]:
    """Example 6.2 and 6.3."""
    walked = walks.walk(walks.SMALL, episodes=100, steps=1400)
    curves, v = walks.small_walk(walked)
    figures_of.random_walk(curves, v, walks.SMALL.values()[1:-1], figures / "random-walk-6-2.png")
    command, found = "100 runs x 100 episodes, V = .5 at first", []
    for name, expected in PUBLISHED.items():
        error = curves[name][100]
        what = f"5-state random walk, {name.replace(' 0', ' alpha ')}, RMS error after 100 episodes"
        found.append(claim(what, f"{error:.3f}", f"{expected:.3f} (Example 6.2) [F]", "+-.012",
                           abs(error - expected) <= 0.012, command))  # fmt: skip
    best = {kind: min(curve[100] for name, curve in curves.items() if kind in name) for kind in ("TD", "MC")}
    found.append(claim("5-state random walk, best TD against best MC", f"{best['TD']:.3f} / {best['MC']:.3f}",
                       "TD is better (Example 6.2)", "less", best["TD"] < best["MC"], command))  # fmt: skip
    return [*found, *batch_walk(walked, figures)]


def batch_walk(walked: walks.Walks, figures: Path) -> list[Claim]:
    """Figure 6.2."""
    curves = walks.batch_walk(walked)
    figures_of.batch(curves, figures / "batch-6-2.png")
    td, mc = curves["TD"], curves["MC"]
    less, command = (td < mc)[4:], "100 runs, all episodes so far fitted to within 1e-4"
    return [
        claim("Batch TD / MC, RMS error after 100 episodes", f"{td[99]:.3f} / {mc[99]:.3f}",
              ".039 / .056 (figure 6.2) [F]", "+-.012", abs(td[99] - 0.039) <= 0.012 and abs(mc[99] - 0.056) <= 0.012,
              command),
        claim("Batch TD below batch MC from 5 episodes on", f"{less.sum()} of {less.size}", "everywhere (figure 6.2)",
              "all", less.all(), command),
    ]  # fmt: skip


# --- 19 states --------------------------------------------------------------------------------------------------------


def large_walk(figures: Path) -> list[Claim]:
    """Figures 7.2, 12.3, 12.6 and 12.8, all from the same walks."""
    walked = walks.walk(walks.LARGE, episodes=10, steps=3000)
    n_step = walks.n_step_curves(walked)
    kinds = {
        "12-3": (LambdaReturn(gamma=1.0), "Off-line λ-return"),
        "12-6": (TDLambda(gamma=1.0, traces="accumulating"), "TD(λ), accumulating traces"),
        "12-8": (TDLambda(gamma=1.0, traces="dutch"), "True online TD(λ)"),
    }
    curves = {figure: walks.lambda_curves(algorithm, walked) for figure, (algorithm, _) in kinds.items()}
    start = float(np.sqrt(np.square(walks.LARGE.values()[1:-1]).mean()))
    where = "on the 19-state random walk"
    figures_of.step_sizes(n_step, walks.ALPHAS, "n", f"n-step TD {where}", start, figures / "n-step-td-7-2.png")
    for figure, (_, title) in kinds.items():
        path = figures / f"lambda-{figure}.png"
        figures_of.step_sizes(curves[figure], walks.ALPHAS, "λ", f"{title} {where}", start, path)
    return [n_step_claim(n_step), *lambda_claims(curves["12-3"], curves["12-6"], curves["12-8"])]


def best_of(curves: dict[str, np.ndarray]) -> tuple[str, float, float]:
    """The best curve's name, its least error, and the step size of that."""
    name = min(curves, key=lambda name: np.nanmin(curves[name]))
    place = int(np.nanargmin(curves[name]))
    return name, float(curves[name][place]), float(walks.ALPHAS[place])


def n_step_claim(curves: dict[str, np.ndarray]) -> Claim:
    n, error, alpha = best_of(curves)
    return claim("19-state random walk, n-step TD: best n, alpha, RMS error", f"{n}, {alpha:.2g}, {error:.3f}",
                 "4, .4, .27 (figure 7.2) [F]", "n 4 or 8, +-.03", n in ("4", "8") and abs(error - 0.27) <= 0.03,
                 TEN)  # fmt: skip


def lambda_claims(off_line: dict, accumulating: dict, online: dict) -> list[Claim]:
    """The best settings of each kind, and what the book says of how they compare."""
    found = []
    for curves, name, published, figure in (
        (off_line, "off-line lambda-return", 0.27, "12.3"),
        (accumulating, "TD(lambda)", 0.28, "12.6"),
        (online, "true online TD(lambda)", 0.26, "12.8"),
    ):
        lambda_, error, alpha = best_of(curves)
        found.append(claim(f"19-state random walk, {name}: best lambda, alpha, RMS error",
                           f"{lambda_}, {alpha:.2g}, {error:.3f}", f".8 to .9, {published} (figure {figure}) [F]",
                           "lambda .8 or .9, +-.03", lambda_ in ("0.8", "0.9") and abs(error - published) <= 0.03,
                           TEN))  # fmt: skip
    large = int(np.flatnonzero(np.isclose(walks.ALPHAS, 0.6))[0])
    traces, forward, true = accumulating["0.9"][large], off_line["0.9"][large], online["0.9"][large]
    best = best_of(online)[1], best_of(off_line)[1]
    return [
        *found,
        claim("lambda .9, alpha .6: TD(lambda) against off-line and true online",
              f"{traces:.2f} against {forward:.2f} and {true:.2f}", "far worse (figures 12.6, 12.3, 12.8)", "x 1.3",
              traces > 1.3 * max(forward, true), TEN),
        claim("True online against the off-line lambda-return, best settings", f"{best[0]:.3f} / {best[1]:.3f}",
              "slightly better (figure 12.8)", "less", best[0] < best[1], TEN),
    ]  # fmt: skip


# --- blackjack, and an infinite variance ------------------------------------------------------------------------------


def chapter_5(figures: Path) -> list[Claim]:
    """Figures 5.1, 5.3 and 5.4."""
    return [*sticking(figures), *one_hand(figures), *infinite_variance(figures)]


def sticking(figures: Path) -> list[Claim]:
    tables, score = importance.sticking_on_20()
    figures_of.blackjack(tables, (10_000, 500_000), figures / "blackjack-5-1.png")
    return [claim("Blackjack, sticking on 20 and 21 only: mean return", f"{score:.4f}", "-.3536 [X]", "+-.005",
                  abs(score + 0.3536) <= 0.005, "490,000 episodes")]  # fmt: skip


def one_hand(figures: Path) -> list[Claim]:
    curves, ends = importance.one_hand(), importance.counts(10_000)
    figures_of.one_hand(curves, ends, figures / "importance-sampling-5-3.png")
    ordinary, weighted = (curves[name] for name in importance.KINDS)
    early, command = ends <= 10, "100 runs x 10,000 episodes, random behaviour, hand 13 with an ace against 2"
    worst = max(ordinary[-1], weighted[-1])
    return [
        claim("Blackjack hand, off-policy: mean squared error after 10,000 episodes, ordinary / weighted",
              f"{ordinary[-1]:.4f} / {weighted[-1]:.4f}", "near 0, the value being -.27726 (figure 5.3)", "< .01",
              worst < 0.01, command),
        claim("... mean over the first 10 episodes", f"{ordinary[early].mean():.2f} / {weighted[early].mean():.2f}",
              "weighted is much better (figure 5.3)", "x .5", weighted[early].mean() < 0.5 * ordinary[early].mean(),
              command),
    ]  # fmt: skip


def infinite_variance(figures: Path) -> list[Claim]:
    curves, ends = importance.loop(), importance.counts(30_000)
    figures_of.loop(curves, ends, figures / "infinite-variance-5-4.png")
    ordinary, weighted = (curves[name] for name in importance.KINDS)
    off, command = np.median(abs(ordinary[:, -1] - 1)), "10 runs x 30,000 episodes"
    exact = (weighted == 0) | np.isclose(weighted, 1, atol=1e-4)
    return [
        claim("Example 5.5, ordinary: median error after 30,000 episodes", f"{off:.2f}",
              "does not converge (figure 5.4)", "> .05", off > 0.05, command),
        claim("Example 5.5, weighted: exact from the first possible episode on", f"{exact.mean():.0%} of estimates",
              "1 for ever [X]", "all", exact.all() and (weighted[:, -1] != 0).all(), command),
    ]  # fmt: skip
