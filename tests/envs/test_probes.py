"""The probe environments: each rewards what its docstring says, and its failure shows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.envs.probes import (
    PROBES,
    ActionReward,
    Combination,
    ConstantReward,
    DelayedReward,
    Forbidden,
    MatchingReward,
    Recall,
    SeenReward,
    Target,
    TimeLimitChain,
)
from bellmax.spaces import Discrete, Masked, sample, zeros

KEYS = jax.random.split(jax.random.key(0), 40)
KEY = KEYS[0]


begin = jax.jit(lambda env, key: env.reset(key))
step = jax.jit(lambda env, state, action: env.step(state, action, KEY))


def play(env, key, actions):
    """Observations (the first and one a step) and outcomes under these actions."""
    state, obs = begin(env, key)
    seen, outcomes = [obs], []
    for action in actions:
        state, outcome = step(env, state, jnp.asarray(action))
        seen.append(outcome.obs)
        outcomes.append(outcome)
    return seen, outcomes


def ends(outcome):
    return float(outcome.discount), bool(outcome.last)


@pytest.mark.parametrize("discrete", [False, True])
def test_constant_reward(discrete):
    _, (outcome,) = play(ConstantReward(discrete=discrete), KEY, [0])
    assert (float(outcome.reward), *ends(outcome)) == (1, 0, True)


def test_seen_reward_is_the_observation_and_both_occur():
    seen = set()
    for key in KEYS:
        (obs, _), (outcome,) = play(SeenReward(), key, [0])
        (index, _), _ = play(SeenReward(discrete=True), key, [0])
        assert float(outcome.reward) == float(obs[0]) == 2 * int(index) - 1
        assert ends(outcome) == (0, True)
        seen.add(float(obs[0]))
    assert seen == {-1, 1}


@pytest.mark.parametrize("discrete", [False, True])
def test_delayed_reward_is_worth_gamma_and_one(discrete):
    seen, (first, second) = play(DelayedReward(discrete=discrete), KEY, [0, 0])
    assert [int(np.squeeze(obs)) for obs in seen[:2]] == [0, 1]
    assert (float(first.reward), *ends(first)) == (0, 1, False)
    assert (float(second.reward), *ends(second)) == (1, 0, True)


def test_action_reward():
    for action, reward in ((0, -1), (1, 1)):
        _, (outcome,) = play(ActionReward(), KEY, [action])
        assert (float(outcome.reward), *ends(outcome)) == (reward, 0, True)


def test_matching_reward_needs_the_observation():
    for key in KEYS[:10]:
        rewards = []
        for action in (0, 1):
            (obs, _), (outcome,) = play(MatchingReward(), key, [action])
            rewards.append(float(outcome.reward))
        assert rewards == ([-1, 1] if float(obs[0]) == 1 else [1, -1])


def test_recall_shows_the_cue_once_and_asks_after_the_delay():
    cues = set()
    for key in KEYS[:10]:
        state, _ = Recall(delay=3).reset(key)
        cue = int(state.cue)
        for answer in (0, 1):
            seen, outcomes = play(Recall(delay=3), key, [1 - answer] * 3 + [answer])
            np.testing.assert_array_equal(jnp.stack(seen), [[2 * cue - 1, 0], [0, 0], [0, 0], [0, 1], [0, 0]])
            assert [float(o.reward) for o in outcomes] == [0, 0, 0, 1 if answer == cue else -1]
            assert [ends(o) for o in outcomes] == [(1, False)] * 3 + [(0, True)]
        cues.add(cue)
    assert cues == {0, 1}


def test_the_time_limit_chain_tells_truncation_from_termination():
    # v = 1 + gamma discount v at every step: 1 / (1 - 0.9) = 10. Whoever takes `last` for the end gets less: with one
    # table entry, v = 1 + 0.9 * 3/4 * v over the four steps of an episode, 1 / (1 - 0.675) = 3.08.
    _, outcomes = play(TimeLimitChain(limit=4), KEY, [0] * 4)
    assert [ends(o) for o in outcomes] == [(1, False)] * 3 + [(1, True)]
    right = wrong = 0.0
    for _ in range(200):
        right = np.mean([float(o.reward + 0.9 * o.discount * right) for o in outcomes])
        wrong = np.mean([float(o.reward + 0.9 * (1 - o.last) * wrong) for o in outcomes])
    assert right == pytest.approx(10, rel=1e-5)
    assert wrong == pytest.approx(1 / (1 - 0.675), rel=1e-5)


def test_target_is_best_hit_and_lies_beyond_one():
    targets = []
    for key in KEYS:
        (obs, _), (outcome,) = play(Target(), key, [-1.5 * begin(Target(), key)[1]])
        assert float(outcome.reward) == pytest.approx(0, abs=1e-12)
        _, (off,) = play(Target(), key, [-1.5 * obs + 0.5])
        assert float(off.reward) == pytest.approx(-0.25, rel=1e-5)
        targets.append(-1.5 * float(obs[0]))
    assert min(targets) < -1
    assert max(targets) > 1
    assert np.abs(targets).max() < Target().spec.action.high


def test_combination_pays_each_choice():
    (obs, _), _ = play(Combination(), KEY, [[0, 0]])
    cue = int(obs[0] > 0)
    for action, reward in (([cue, 2], 1), ([cue, 0], 0.5), ([1 - cue, 2], 0.5), ([1 - cue, 1], 0)):
        _, (outcome,) = play(Combination(), KEY, [action])
        assert (float(outcome.reward), *ends(outcome)) == (reward, 0, True)


def test_forbidden_pays_most_for_what_is_illegal():
    cues = set()
    for key in KEYS:
        (obs, _), _ = play(Forbidden(), key, [0])
        cue = int(obs.obs)
        assert obs.legal.tolist() == [action != cue for action in range(3)]
        rewards = [float(play(Forbidden(), key, [action])[1][0].reward) for action in range(3)]
        assert [rewards[(cue + k) % 3] for k in range(3)] == [10, 1, 0]
        cues.add(cue)
    assert cues == {0, 1, 2}


CASES = [probe() for probe in PROBES] + [probe(discrete=True) for probe in PROBES if "discrete" in probe._hints]


@pytest.mark.parametrize("env", CASES, ids=str)
def test_probes_keep_to_their_spec_and_jit(env):
    state, obs = env.reset(KEY)
    action = sample(env.spec.action, KEY)
    plain = env.step(state, action, KEY)
    jitted = jax.jit(lambda env, state: env.step(state, action, KEY))(env, state)
    shapes = lambda tree: [(x.shape, x.dtype) for x in jax.tree.leaves(tree)]
    assert shapes(plain[0]) == shapes(state) == shapes(jitted[0])
    assert shapes(plain[1].obs) == shapes(obs) == shapes(zeros(env.spec.obs))
    assert shapes(plain[1][1:]) == [((), np.float32), ((), np.float32), ((), bool)]
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(jitted)):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert isinstance(obs, Masked) == isinstance(env.spec.obs, Masked)
    if isinstance(env.spec.obs, Discrete):
        assert 0 <= int(obs) < env.spec.obs.n
