"""Blackjack, Example 5.1: exact values by recursion over the cards, and Monte Carlo control beside them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from bellmax.algorithms.tabular.mc_control import MCControl
from bellmax.drivers import ingraph
from bellmax.envs.blackjack import Blackjack
from bellmax.experience import Episodes
from bellmax.maths.exploration import EpsilonGreedy
from benchmarks.book import control_figures
from benchmarks.book.claim import Claim

EPISODES, SIDE_BY_SIDE, LONGEST, SEED = 5_000_000, 1000, 6, 0
CARDS = {card: 4 / 13 if card == 10 else 1 / 13 for card in range(1, 11)}  # an ace is 1
Policy = Callable[[int, int, int], int]  # the player's sum, the dealer's card, a usable ace -> 0 stick, 1 hit


def value_of(total: int, ace: bool) -> int:
    """The sum of a hand whose aces counted as 1 make `total`."""
    return total + 10 if ace and total <= 11 else total


@functools.cache
def dealer(total: int, ace: bool) -> dict[int, float]:
    """What the dealer reaches from a hand, and how probably; 0 for going bust."""
    value = value_of(total, ace)
    if value >= 17:
        return {value if value <= 21 else 0: 1.0}
    reached: dict[int, float] = {}
    for card, p in CARDS.items():
        for end, q in dealer(total + card, ace or card == 1).items():
            reached[end] = reached.get(end, 0) + p * q
    return reached


@functools.cache
def sticking(value: int, showing: int, natural: bool) -> float:
    """The expected reward for sticking; a `natural` draws against a natural and wins against everything else."""
    if natural:
        return 1 - {1: CARDS[10], 10: CARDS[1]}.get(showing, 0.0)  # a draw against another natural
    ends: dict[int, float] = {}
    for card, p in CARDS.items():
        for end, q in dealer(showing + card, card == 1 or showing == 1).items():
            ends[end] = ends.get(end, 0) + p * q
    return sum(p * np.sign(value - end) for end, p in ends.items())


def evaluated(policy: Policy | None, sab: bool = True) -> tuple[float, np.ndarray, np.ndarray]:
    """-> expected return, values [sum, dealer's card, usable ace] and actions, of a policy; of the best one for None.

    Without `sab` a natural is a 21 like any other.
    """
    values, actions = np.full((32, 11, 2), np.nan), np.full((32, 11, 2), -1)

    @functools.cache
    def play(total: int, ace: bool, showing: int, natural: bool) -> float:
        if total > 21:
            return -1.0
        value, usable = value_of(total, ace), int(ace and total <= 11)
        stick = sticking(value, showing, natural)
        hit = sum(p * play(total + card, ace or card == 1, showing, False) for card, p in CARDS.items())
        action = int(hit > stick) if policy is None else policy(value, showing, usable)
        if not natural:
            values[value, showing, usable], actions[value, showing, usable] = (stick, hit)[action], action
        return (stick, hit)[action]

    mean = 0.0
    for first, p in CARDS.items():
        for second, q in CARDS.items():
            natural, ace = sab and {first, second} == {1, 10}, 1 in (first, second)
            mean += sum(p * q * r * play(first + second, ace, card, natural) for card, r in CARDS.items())
            for card in CARDS:
                play(first + second, ace, card, False)
    return mean, values, actions


def at_20(value: int, showing: int, usable: int) -> int:
    """The policy of Figure 5.1."""
    return int(value < 20)


def claims(figures: Path) -> list[Claim]:
    """The three lines about blackjack, and figures 5.1 and 5.2."""
    best, best_values, best_actions = evaluated(None)
    simple, simple_values, _ = evaluated(at_20)
    plain = evaluated(at_20, sab=False)[0]
    algorithm = MCControl(gamma=1.0, experience=Episodes(LONGEST), exploration=EpsilonGreedy(0.1))
    run = jax.jit(
        lambda key: ingraph.train(algorithm, Blackjack(), key, steps=LONGEST * EPISODES, num_envs=SIDE_BY_SIDE)
    )
    q = np.asarray(run(jax.random.key(SEED))[0].state.q)
    learned, _, _ = evaluated(lambda value, showing, usable: int(q[value, showing, usable].argmax()))
    control_figures.blackjack(figures, simple_values, best_values, best_actions, q)
    exact = "recursion over the cards"
    return [
        Claim(
            "Control",
            "Blackjack, the optimal return",
            f"{best:.5f}",
            "-0.04311",
            "+-.00001",
            abs(best + 0.04311) < 1e-5,
            exact,
        ),
        Claim(
            "Control",
            "Blackjack, sticking at 20 and 21 alone, a natural being no more than 21 (sab=False)",
            f"{plain:.4f}",
            "-0.3536",
            "+-.0001",
            abs(plain + 0.3536) < 1e-4,
            f"{exact}; {simple:.4f} with the book's rule for naturals (sab=True)",
        ),
        Claim(
            "Control",
            "Blackjack, Monte Carlo control after 5M episodes, greedy policy",
            f"{learned:.4f}",
            "-0.0431 at best",
            ">= -.050",
            learned >= -0.05,
            f"epsilon .1, {SIDE_BY_SIDE:,} games side by side, 1 seed, policy evaluated exactly",
        ),
    ]
