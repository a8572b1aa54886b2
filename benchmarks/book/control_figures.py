"""The figures of the section on control, drawn like the book's."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")

import matplotlib.pyplot as plt

COLOURS = {
    "SARSA": "tab:blue",
    "Q-learning": "tab:red",
    "Expected SARSA": "tab:green",
    "Double Q-learning": "tab:green",
}
SIZE = (8, 5)


def smoothed(x: np.ndarray, width: int) -> np.ndarray:
    """The mean of the `width` numbers up to each."""
    total = np.cumsum(np.insert(x, 0, 0.0))
    first = np.maximum(np.arange(1, len(x) + 1) - width, 0)
    return (total[1:] - total[first]) / (np.arange(1, len(x) + 1) - first)


def save(figure: plt.Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def cliff(scores: dict[str, np.ndarray], figures: Path) -> None:
    """Example 6.6; scores: [run, episode]."""
    figure, axes = plt.subplots(figsize=SIZE)
    for name, score in scores.items():
        axes.plot(np.arange(1, score.shape[1] + 1), smoothed(score.mean(0), 10), color=COLOURS[name], label=name)
    axes.set(ylim=(-100, -15), xlabel="Episodes", ylabel="Sum of rewards during episode")
    axes.set_title("Cliff walking (Example 6.6): 50 runs, the last 10 episodes averaged")
    axes.legend(loc="lower right")
    save(figure, figures / "cliff_walking.png")


def step_sizes(alphas: np.ndarray, found: dict[str, list[np.ndarray]], figures: Path) -> None:
    """Figure 6.3; found: mean returns of the first 100 and of the first 1,000 episodes, [alpha]."""
    figure, axes = plt.subplots(figsize=SIZE)
    marks = {"Expected SARSA": "x", "SARSA": "v", "Q-learning": "s"}
    for name, (early, all_of_it) in found.items():
        style = {"color": COLOURS[name], "marker": marks[name], "markerfacecolor": "none"}
        axes.plot(alphas, all_of_it, **style, label=f"{name}, first 1,000 episodes")
        axes.plot(alphas, early, **style, linestyle=":", label=f"{name}, first 100")
    axes.set(ylim=(-165, -10), xlabel=r"$\alpha$", ylabel="Sum of rewards per episode")
    axes.set_title("Cliff walking (Figure 6.3): performance by step size")
    axes.legend(loc="lower center", fontsize=9)
    save(figure, figures / "expected_sarsa.png")


def bias(left: dict[str, np.ndarray], figures: Path) -> None:
    """Figure 6.5; left: [episode], shares."""
    figure, axes = plt.subplots(figsize=SIZE)
    for name, share in left.items():
        axes.plot(np.arange(1, len(share) + 1), 100 * share, color=COLOURS[name], label=name)
    axes.axhline(5, color="black", linestyle="--", linewidth=1, label="optimal (epsilon / 2)")
    axes.set(ylim=(0, 100), xlim=(0, 300), xlabel="Episodes", ylabel="% left actions from A")
    axes.set_title("Maximisation bias (Figure 6.5)")
    axes.legend()
    save(figure, figures / "maximisation_bias.png")


def blackjack(figures: Path, simple: np.ndarray, best: np.ndarray, actions: np.ndarray, q: np.ndarray) -> None:
    """Figures 5.1 and 5.2: the value of a simple policy, and the policy that was learned beside the best."""
    figure = plt.figure(figsize=(10, 7.5))
    learned = np.where(np.isnan(best), np.nan, q.max(-1))
    columns = {"Stick at 20 (Figure 5.1), exact": simple, "MC control (Figure 5.2)": learned, "Best, exact": best}
    for column, (name, values) in enumerate(columns.items()):
        for row, usable in enumerate((1, 0)):
            axes = figure.add_subplot(2, 3, 1 + column + 3 * row, projection="3d")
            surface(axes, values[12:22, 1:, usable])
            axes.set_title(f"{name}\n{'usable ace' if usable else 'no usable ace'}", fontsize=10)
    save(figure, figures / "blackjack_values.png")
    figure, rows = plt.subplots(2, 2, figsize=(9, 7.5))
    for row, usable in enumerate((1, 0)):
        for axes, policy, name in zip(rows[row], (q.argmax(-1), actions), ("MC control", "best, exact")):
            met = np.where(actions < 0, np.nan, policy)  # a usable ace makes 12 at least
            policy_map(axes, met[11:22, 1:, usable])
            axes.set_title(f"{name}, {'usable ace' if usable else 'no usable ace'}")
    figure.suptitle("Blackjack (Figure 5.2): stick (light) or hit (dark)")
    save(figure, figures / "blackjack_policy.png")


def surface(axes: plt.Axes, values: np.ndarray) -> None:
    """Values [sum 12 to 21, dealer's card]."""
    dealer, total = np.meshgrid(np.arange(1, 11), np.arange(12, 22))
    axes.plot_surface(dealer, total, values, cmap="viridis", vmin=-1, vmax=1, edgecolor="black", linewidth=0.3)
    axes.set(zlim=(-1, 1), xticks=[1, 4, 7, 10], yticks=[12, 15, 18, 21], zticks=[-1, 0, 1])
    axes.set_xlabel("Dealer showing", fontsize=8)
    axes.set_ylabel("Player sum", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.view_init(28, -60)


def policy_map(axes: plt.Axes, policy: np.ndarray) -> None:
    """Actions [sum 11 to 21, dealer's card]."""
    axes.imshow(
        policy, origin="lower", cmap="Blues", vmin=-0.4, vmax=1.4, extent=(0.5, 10.5, 10.5, 21.5), aspect="auto"
    )
    axes.set(xticks=range(1, 11), yticks=range(11, 22), xlabel="Dealer showing", ylabel="Player sum")
    axes.set_xticklabels(["A", *map(str, range(2, 11))])


def corridor(found: np.ndarray, best: float, figures: Path) -> None:
    """Figure 13.2; found: [method, run, episode]."""
    figure, axes = plt.subplots(figsize=SIZE)
    names = (r"REINFORCE, $\alpha=2^{-13}$", r"REINFORCE with baseline, $\alpha^\theta=2^{-9}, \alpha^w=2^{-6}$")
    for name, score, colour in zip(names, found, ("tab:red", "tab:green")):
        axes.plot(np.arange(1, score.shape[1] + 1), smoothed(score.mean(0), 5), color=colour, label=name)
    axes.axhline(best, color="black", linestyle="--", linewidth=1, label=f"$v_*(s_0)$ = {best:.2f}")
    axes.set(ylim=(-90, -8), xlabel="Episode", ylabel="Total reward on episode")
    axes.set_title("Short corridor (Figure 13.2): 100 runs")
    axes.legend(loc="lower right")
    save(figure, figures / "short_corridor.png")
