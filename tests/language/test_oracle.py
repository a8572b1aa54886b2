"""Against what can be counted out: the best policy where all answers are known, and the exact gradient.

The gradient of an estimator is taken in expectation, without drawing: every group that could be drawn is updated from,
and counts as probable as it is.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from benchmarks.language_oracle import ROWS, find

from bellmax.algorithms.language.grpo import GRPO
from bellmax.algorithms.language.rloo import RLOO
from bellmax.language.config import ModelConfig
from bellmax.language.experience import Completions
from bellmax.language.learner import AdamW
from bellmax.language.log_probs import token_scores
from bellmax.language.sampler import Sampling
from bellmax.language.texts import Answers, Texts, total
from tests.language import tiny
from tests.paper.by_hand import by_name, quickly

# --- the best policy --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "beta"), [("ppo", 1.0), ("grpo", 0.1), ("rloo", 1.0), ("dpo", 1.0)])
def test_it_finds_the_best_policy(name, beta):
    """pi_ref exp(r / beta) / Z; all of them, with every beta and more seeds, are in benchmarks/language_oracle.py."""
    found = find(ROWS[name], beta, seed=0, steps=60 if name == "ppo" else 100)
    assert found.begun > 0.4
    assert found.distance < 0.02
    if name == "dpo":  # its implicit reward is r, in [-2, 2], up to a constant, for answers that nobody gives, too
        assert found.reward_error < 0.1


# --- the exact gradient -----------------------------------------------------------------------------------------------

# Two tokens at most, of which 0 ends the answer: 0; 1 and 2, each followed by 0, 1 or 2.
ANSWERS = [(0,), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
CONFIG = ModelConfig(3, width=8, layers=1, heads=2, hidden=8, tied=False)
TOKENS = np.array([(1, 2, *answer, 0)[:4] for answer in ANSWERS])
WEIGHT = np.array([[0.0, 0.0, 1.0, float(len(answer) > 1)] for answer in ANSWERS], np.float32)
ALL = Texts(TOKENS, np.array([[1, 1, 1, int(len(answer) > 1)] for answer in ANSWERS]), WEIGHT)
REWARD = np.array([0.3, -1.0, 2.0, 0.5, 0.0, -0.7, 1.1], np.float32)
BETA = 0.4
SLOW = AdamW(epsilon=1e4, max_grad_norm=1e9)  # with so large an epsilon a step is g / epsilon
HOW = {"learning_rate": 1e4, "optimiser": SLOW}


def policy(seed=0):
    return tiny.model(CONFIG, seed)


def log_probs(model):
    """Of all tokens [answers, time], and of whole answers [answers]."""
    each = token_scores(model, ALL.tokens, ALL.segments).log_prob
    return jnp.where(WEIGHT > 0, each, 0), total(each, WEIGHT)


def expected_step(algorithm, size):
    """-d weights in the mean over all groups of so many answers, each as probable as the policy makes it."""
    model, reference = policy(), policy(1)
    each, whole = jax.jit(log_probs)(model)
    np.testing.assert_allclose(np.exp(whole).sum(), 1, rtol=1e-5)  # these are all answers there are
    groups = np.array(list(itertools.product(range(7), repeat=size)))
    chance = np.exp(np.asarray(whole)[groups].sum(1))
    state = algorithm.init(jax.random.key(0), model)
    if algorithm.kl_weight is not None:
        state = state._replace(before=reference)

    def updated(group):
        texts, reward = jax.tree.map(lambda x: jnp.asarray(x)[group], (ALL, REWARD))
        batch = Answers(texts, each[group], reward, group >= 0)
        return algorithm.update(state, batch, jax.random.key(0))[0].model

    after = by_name(quickly(jax.vmap(updated))(groups))
    return {name: -np.tensordot(chance, after[name] - x, 1) for name, x in by_name(model).items()}


def exact(objective):
    """-d objective(pi) / d weights, counted out over all answers."""
    model = policy()
    return by_name(quickly(jax.grad(lambda model: -objective(*log_probs(model))))(model))


def mean_reward(each, whole):
    return (jnp.exp(whole) * REWARD).sum()


def mean_reward_less_kl(each, whole):
    reference = log_probs(policy(1))[1]
    return (jnp.exp(whole) * (REWARD - BETA * (whole - reference))).sum()


def flat(tree):
    return np.concatenate([x.ravel() for x in tree.values()])


def assert_parallel(got, expected, scale):
    got, expected = flat(got), flat(expected)
    np.testing.assert_allclose(got @ expected / np.linalg.norm(got) / np.linalg.norm(expected), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(got) / np.linalg.norm(expected), scale, rtol=1e-3)


def food(size):
    return Completions(prompts=1, group=size, sampling=Sampling(max_tokens=2))


@pytest.mark.parametrize("size", [2, 3])
def test_the_mean_gradient_of_rloo_is_the_exact_one(size):
    """Of the reward less beta KL(pi || pi_ref), with the KL of whole answers: no matter how large the group is."""
    rloo = RLOO(experience=food(size), kl_weight=BETA, **HOW)
    assert_parallel(expected_step(rloo, size), exact(mean_reward_less_kl), 1.0)


def test_so_is_that_of_reinforce():
    rloo = RLOO(experience=food(1), kl_weight=BETA, **HOW)
    assert_parallel(expected_step(rloo, 1), exact(mean_reward_less_kl), 1.0)


@pytest.mark.parametrize("size", [2, 3])
def test_the_mean_gradient_against_the_groups_mean_is_the_exact_one_shortened(size):
    """By (G - 1) / G, since an answer is part of the mean that it is held against; and by the longest, in Dr. GRPO."""
    grpo = GRPO(experience=food(size), reduction="dr-grpo", standardised=False, kl_weight=None, **HOW)
    assert_parallel(expected_step(grpo, size), exact(mean_reward), (size - 1) / size / 2)


def test_lengths_and_deviations_that_divide_turn_the_gradient():
    true = flat(exact(mean_reward))
    for change in ({"reduction": "grpo"}, {"reduction": "dapo"}, {"standardised": True}):
        settings = {"reduction": "dr-grpo", "standardised": False, "kl_weight": None} | change
        got = flat(expected_step(GRPO(experience=food(2), **settings, **HOW), 2))
        assert got @ true / np.linalg.norm(got) / np.linalg.norm(true) < 0.9999, change


# --- the KL as a loss -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kl", "right"), [("k2", True), ("k1", False), ("k3", False)])
def test_the_gradient_of_k2_is_the_kls(kl, right):
    """Without rewards, of answers of one token. That of k1 is 0 in the mean, that of k3 KL(pi_ref || pi)'s."""
    model, reference = policy(), policy(1)
    grpo = GRPO(experience=food(3), kl=kl, kl_weight=BETA, standardised=False, **HOW)
    logits = jax.jit(lambda model: jax.nn.log_softmax(model.logits(model(TOKENS[:1, :2]))[0, -1]))

    def updated(token):
        tokens = jnp.concatenate([jnp.array([1, 2]), token[None]])[None].repeat(3, 0)
        weight = jnp.array([[0.0, 0.0, 1.0]]).repeat(3, 0)
        said = weight * logits(model)[token]
        batch = Answers(Texts(tokens, jnp.ones_like(tokens), weight), said, jnp.zeros(3), jnp.ones(3, bool))
        state = grpo.init(jax.random.key(0), model)._replace(before=reference)
        return grpo.update(state, batch, jax.random.key(0))[0].model

    after, p = by_name(quickly(jax.vmap(updated))(jnp.arange(3))), np.exp(logits(model))
    got = {name: -np.tensordot(p, after[name] - x, 1) for name, x in by_name(model).items()}

    def divergence(log_p, log_q):
        return (jnp.exp(log_p) * (log_p - log_q)).sum()

    slopes = [
        by_name(jax.jit(jax.grad(of))(model))
        for of in (
            lambda model: BETA * divergence(logits(model), logits(reference)),
            lambda model: BETA * divergence(logits(reference), logits(model)),
        )
    ]
    if right:
        assert_parallel(got, slopes[0], 1.0)
    elif kl == "k1":
        assert np.abs(flat(got)).max() < 1e-5
    else:
        assert_parallel(got, slopes[1], 1.0)
