"""One update from pairs of answers is what the papers say: DPO and its forms, ORPO, SimPO, the reward model."""

import jax
import numpy as np
import pytest

from bellmax.algorithms.language.dpo import DPO
from bellmax.algorithms.language.orpo import ORPO
from bellmax.algorithms.language.reward_model import RewardModel
from bellmax.algorithms.language.simpo import SimPO
from bellmax.language.adapters import kept
from bellmax.language.learner import AdamW
from tests.language import tiny
from tests.paper import language_by_hand as by_hand
from tests.paper.by_hand import quickly
from tests.paper.language_by_hand import SETTINGS, SlowAdamW, sigmoid, slopes, written

RATE = 0.05
HOW = {"learning_rate": RATE, "optimiser": AdamW(**SETTINGS._asdict())}
REFERENCE = tiny.model(seed=7)


def whole(log_prob, times, row):
    return sum(log_prob[row, time] for time in times[row])


def average(log_prob, times, row):
    return whole(log_prob, times, row) / len(times[row])


def dpo(a, chosen, rejected, pairs, of=whole):
    """Rafailov et al., eq. 7, and its conservative form: pair by pair."""
    reference = [by_hand.log_probs(REFERENCE, texts) for texts in (pairs.chosen, pairs.rejected)]
    good, bad, total = written(pairs.chosen), written(pairs.rejected), 0.0
    for row in range(4):
        ratio_chosen = of(chosen, good, row) - of(reference[0], good, row)
        ratio_rejected = of(rejected, bad, row) - of(reference[1], bad, row)
        total += pair_loss(a, ratio_chosen - ratio_rejected) / 4
    return total


def pair_loss(a, gap):
    if a.form == "ipo":
        return (gap - 1 / (2 * a.beta)) ** 2
    p = sigmoid(a.beta * gap)
    return -(1 - a.smoothing) * np.log(p) - a.smoothing * np.log(1 - p)


def orpo(a, chosen, rejected, pairs):
    """Hong et al., eqs. 6 and 7, with odds in float64."""
    good, bad, total = written(pairs.chosen), written(pairs.rejected), 0.0
    for row in range(4):
        p, q = np.exp(average(chosen, good, row)), np.exp(average(rejected, bad, row))
        odds_ratio = (p / (1 - p)) / (q / (1 - q))
        total += (-average(chosen, good, row) - a.odds_weight * np.log(sigmoid(np.log(odds_ratio)))) / 4
    return total


def simpo(a, chosen, rejected, pairs):
    """Meng et al., eq. 6."""
    good, bad = written(pairs.chosen), written(pairs.rejected)
    gaps = [average(chosen, good, row) - average(rejected, bad, row) for row in range(4)]
    return sum(-np.log(sigmoid(a.beta * gap - a.gamma)) for gap in gaps) / 4


CASES = {
    "DPO": (DPO(beta=0.7, **HOW), dpo),
    "conservative DPO": (DPO(beta=0.7, smoothing=0.2, **HOW), dpo),
    "IPO": (DPO(beta=0.7, form="ipo", **HOW), lambda *given: dpo(*given, of=average)),
    "ORPO": (ORPO(odds_weight=0.6, **HOW), orpo),
    "SimPO": (SimPO(beta=2.0, gamma=0.5, **HOW), simpo),
}


@pytest.mark.parametrize("name", CASES)
def test_an_update_of_a_policy(name):
    algorithm, loss = CASES[name]
    model, batch = tiny.model(), tiny.pairs(before=1, after=1)
    chosen, rejected = (by_hand.log_probs(model, texts) for texts in (batch.chosen, batch.rejected))
    by_chosen = slopes(lambda x: loss(algorithm, x, rejected, batch), chosen, written(batch.chosen))
    by_rejected = slopes(lambda x: loss(algorithm, chosen, x, batch), rejected, written(batch.rejected))
    grads = by_hand.added(
        by_hand.weights_by_log_prob(model, batch.chosen, 1.0, by_chosen),
        by_hand.weights_by_log_prob(model, batch.rejected, 1.0, by_rejected),
    )
    expected, length = SlowAdamW(model).step(model, grads, RATE)

    state = algorithm.init(jax.random.key(0), model)
    if isinstance(algorithm, DPO):
        state = state._replace(before=kept(REFERENCE))
    state, metrics = quickly(algorithm.update)(state, batch, jax.random.key(1))
    np.testing.assert_allclose(metrics["loss"], loss(algorithm, chosen, rejected, batch), rtol=1e-4)
    np.testing.assert_allclose(metrics["grad_norm"], length, rtol=1e-3)
    by_hand.assert_same_model(state.model, expected)
    assert int(state.steps) == 1


def test_what_dpo_tells():
    a, model, batch = DPO(beta=0.7, **HOW), tiny.model(), tiny.pairs()
    state = a.init(jax.random.key(0), model)._replace(before=kept(REFERENCE))
    metrics = quickly(a.update)(state, batch, jax.random.key(1))[1]
    log_prob, reward = {}, {}
    for name, texts in (("chosen", batch.chosen), ("rejected", batch.rejected)):
        ours, theirs, times = by_hand.log_probs(model, texts), by_hand.log_probs(REFERENCE, texts), written(texts)
        log_prob[name] = [whole(ours, times, row) for row in range(4)]
        reward[name] = [0.7 * (whole(ours, times, row) - whole(theirs, times, row)) for row in range(4)]
    for name in ("chosen", "rejected"):
        np.testing.assert_allclose(metrics[f"log_prob_{name}"], np.mean(log_prob[name]), rtol=1e-4)
        np.testing.assert_allclose(metrics[f"reward_{name}"], np.mean(reward[name]), rtol=1e-4)
    better = [c > r for c, r in zip(reward["chosen"], reward["rejected"])]
    np.testing.assert_allclose(metrics["accuracy"], np.mean(better), rtol=1e-6)


def test_an_update_of_a_reward_model():
    """-log sigmoid(r_c - r_r - margin) + c (r_c + r_r)^2, where r is said behind the last token of an answer."""
    algorithm, batch = RewardModel(centring=0.3, **HOW), tiny.pairs(before=1, after=2)
    model = tiny.critic()
    last = [[[times[-1]] for times in written(texts)] for texts in (batch.chosen, batch.rejected)]

    def loss(chosen, rejected):
        total = 0.0
        for row in range(4):
            c, r = chosen[row, last[0][row][0]], rejected[row, last[1][row][0]]
            total += (-np.log(sigmoid(c - r - batch.margin[row])) + 0.3 * (c + r) ** 2) / 4
        return total

    chosen, rejected = (by_hand.said(model, texts) for texts in (batch.chosen, batch.rejected))
    grads = by_hand.added(
        by_hand.weights_by_said(model, batch.chosen, slopes(lambda x: loss(x, rejected), chosen, last[0])),
        by_hand.weights_by_said(model, batch.rejected, slopes(lambda x: loss(chosen, x), rejected, last[1])),
    )
    expected, length = SlowAdamW(model).step(model, grads, RATE)
    state = algorithm.init(jax.random.key(0), tiny.model())._replace(model=model)
    state, metrics = quickly(algorithm.update)(state, batch, jax.random.key(1))
    np.testing.assert_allclose(metrics["loss"], loss(chosen, rejected), rtol=1e-4)
    np.testing.assert_allclose(metrics["grad_norm"], length, rtol=1e-3)
    by_hand.assert_same_model(state.model, expected)


def test_a_new_reward_model_begins_as_the_policy_with_a_small_head():
    """The head's deviation is 1 / sqrt(width + 1): 1 / sqrt(17) = .2425 for a width of 16 (Stiennon et al., 2020)."""
    policy = tiny.model()
    made = [RewardModel().init(jax.random.key(seed), policy).model for seed in range(40)]
    np.testing.assert_allclose(np.std([m.score.weight for m in made]), 0.2425, rtol=0.1)
    assert all((m.score.bias == 0).all() for m in made)
    by_hand.assert_same_model(made[0].model, policy, absolute=0)
