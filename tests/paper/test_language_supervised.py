"""One update from labelled or written answers is what the papers say: SFT, KTO, the process reward model."""

import jax
import numpy as np

from bellmax.algorithms.language.kto import KTO, Unpaired
from bellmax.algorithms.language.process_reward_model import ProcessRewardModel
from bellmax.algorithms.language.sft import SFT
from bellmax.language.adapters import kept
from bellmax.language.learner import AdamW
from tests.language import tiny
from tests.paper import language_by_hand as by_hand
from tests.paper.by_hand import quickly
from tests.paper.language_by_hand import SETTINGS, SlowAdamW, sigmoid, slopes, written

RATE = 0.05
HOW = {"learning_rate": RATE, "optimiser": AdamW(**SETTINGS._asdict())}
REFERENCES = tiny.model(seed=7), tiny.model(seed=8)  # the KL's estimate is above 0 for one, below for the other


def assert_same_update(algorithm, state, batch, expected, length, loss):
    state, metrics = quickly(algorithm.update)(state, batch, jax.random.key(1))
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-4)
    np.testing.assert_allclose(metrics["grad_norm"], length, rtol=1e-3)
    by_hand.assert_same_model(state.model, expected)
    return metrics


def test_sft_twice():
    """The mean over all tokens that count, not over rows; two updates, so that AdamW's memory is in it."""
    algorithm, model = SFT(**HOW), tiny.model()
    batches = [tiny.texts(tiny.rows(seed), before=1, after=1) for seed in (0, 1)]
    state, adam, expected = algorithm.init(jax.random.key(0), model), SlowAdamW(model), model
    for number, texts in enumerate(batches):
        places = [(i, t) for i, times in enumerate(written(texts)) for t in times]

        def loss(x, places=places):
            return -sum(x[place] for place in places) / len(places)

        log_prob = by_hand.log_probs(expected, texts)
        slope = slopes(loss, log_prob, written(texts))
        grads = by_hand.added(by_hand.weights_by_log_prob(expected, texts, 1.0, slope))
        entropy = np.mean([by_hand.entropies(expected, texts)[place] for place in places])
        expected, length = adam.step(expected, grads, RATE)
        state, metrics = quickly(algorithm.update)(state, texts, jax.random.key(1))
        np.testing.assert_allclose(metrics["loss"], loss(log_prob), rtol=1e-4)
        np.testing.assert_allclose(metrics["entropy"], entropy, rtol=1e-4)
        np.testing.assert_allclose(metrics["grad_norm"], length, rtol=1e-3)
        assert metrics["tokens"] == len(places)
        by_hand.assert_same_model(state.model, expected)
        assert int(state.steps) == number + 1


def kto(a, log_prob, labelled, reference, baseline):
    """Ethayarajh et al., eq. 8."""
    total = 0.0
    for i, times in enumerate(written(labelled.texts)):
        ratio = sum(log_prob[i, t] - reference[i, t] for t in times)
        if labelled.label[i] == 1:
            total += a.good_weight * (1 - sigmoid(a.beta * (ratio - baseline)))
        else:
            total += a.bad_weight * (1 - sigmoid(a.beta * (baseline - ratio)))
    return total / 4


def test_kto():
    algorithm, model = KTO(beta=0.4, good_weight=1.3, bad_weight=0.8, **HOW), tiny.model()
    labelled, others = tiny.labelled(before=1, after=1), tiny.texts(tiny.rows(9), after=2)
    assert set(labelled.label.tolist()) == {0.0, 1.0}
    baselines = []
    for reference in REFERENCES:
        gap = by_hand.log_probs(model, others) - by_hand.log_probs(reference, others)
        mismatched = np.mean([sum(gap[i, t] for t in times) for i, times in enumerate(written(others))])
        baseline = max(mismatched, 0.0)
        baselines.append(baseline)
        theirs = by_hand.log_probs(reference, labelled.texts)
        log_prob = by_hand.log_probs(model, labelled.texts)
        given = labelled, theirs, baseline

        def loss(x, given=given):
            return kto(algorithm, x, *given)

        grads = by_hand.added(
            by_hand.weights_by_log_prob(model, labelled.texts, 1.0, slopes(loss, log_prob, written(labelled.texts)))
        )
        expected, length = SlowAdamW(model).step(model, grads, RATE)
        state = algorithm.init(jax.random.key(0), model)._replace(before=kept(reference))
        batch = Unpaired(labelled, others)
        metrics = assert_same_update(algorithm, state, batch, expected, length, loss(log_prob))
        np.testing.assert_allclose(metrics["kl"], baseline, rtol=1e-4, atol=1e-5)
        ratios = [sum((log_prob - theirs)[i, t] for t in times) for i, times in enumerate(written(labelled.texts))]
        for name, label in (("reward_good", 1), ("reward_bad", 0)):
            mine = [0.4 * ratio for ratio, y in zip(ratios, labelled.label) if y == label]
            np.testing.assert_allclose(metrics[name], np.mean(mine), rtol=1e-3, atol=1e-5)
    assert min(baselines) == 0 < max(baselines)  # z is never below 0


def test_a_process_reward_model():
    """Cross-entropy of the label of each step, at the token that ends it; the mean is over steps."""
    algorithm, model, draw = ProcessRewardModel(**HOW), tiny.critic(), np.random.default_rng(3)
    labelled = tiny.labelled(before=1, after=1)
    ends = labelled.texts.weight * (draw.random(labelled.texts.weight.shape) < 0.6)
    label = np.float32(draw.random(ends.shape) < 0.5)
    batch = labelled._replace(texts=labelled.texts._replace(weight=ends), label=label)
    places = [(i, t) for i, times in enumerate(written(batch.texts)) for t in times]
    assert len(places) > 3

    def loss(x):
        right = [sigmoid(x[place]) if label[place] else 1 - sigmoid(x[place]) for place in places]
        return -np.log(right).mean()

    said = by_hand.said(model, batch.texts)
    slope = slopes(loss, said, written(batch.texts))
    grads = by_hand.added(by_hand.weights_by_said(model, batch.texts, slope))
    expected, length = SlowAdamW(model).step(model, grads, RATE)
    state = algorithm.init(jax.random.key(0), tiny.model())._replace(model=model)
    metrics = assert_same_update(algorithm, state, batch, expected, length, loss(said))
    np.testing.assert_allclose(metrics["accuracy"], np.mean([(said[p] > 0) == label[p] for p in places]), rtol=1e-6)
