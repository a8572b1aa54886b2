"""The slopes derived by hand are those of the function: central differences in float64."""

import numpy as np
import pytest

from bellmax import PPO, Box, Discrete, RecurrentPPO, Spec
from tests.paper.by_hand import backward, begun, by_name, forward, proximal, random_batch, zeros
from tests.paper.gru_by_hand import read, read_backward

SLOPES = 0.7, -0.4, 1.3  # by log_prob, entropy and value
STEP = 1e-6


def differences(function, params):
    """d function / d parameter, one number at a time."""
    slopes = zeros(params)
    for name, x in params.items():
        for i in np.ndindex(*x.shape):
            ends = []
            for sign in (1, -1):
                moved = x.copy()
                moved[i] += sign * STEP
                ends.append(function(params | {name: moved}))
            slopes[name][i] = (ends[0] - ends[1]) / (2 * STEP)
    return slopes


def assert_slopes(function, params, grads):
    for name, slope in differences(function, params).items():
        assert np.abs(slope).max() > 1e-4, f"{name} matters"
        np.testing.assert_allclose(grads[name], slope, rtol=1e-6, atol=1e-8, err_msg=name)


def said(now):
    return SLOPES[0] * now.choice.log_prob + SLOPES[1] * now.choice.entropy + SLOPES[2] * now.value


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("action", [Discrete(3), Box((2,))], ids=["discrete", "continuous"])
def test_the_actor_critic(action, shared):
    params = by_name(begun(PPO(hidden=(5, 4), shared=shared), Spec(Box((3,)), action), 1).network)
    batch, grads = random_batch(2, action), zeros(params)
    obs, chosen = batch.obs[0, 0], batch.action[0, 0]
    backward(params, grads, forward(params, obs, chosen), *SLOPES)
    assert_slopes(lambda p: said(forward(p, obs, chosen)), params, grads)


@pytest.mark.parametrize("action", [Discrete(3), Box((2,))], ids=["discrete", "continuous"])
def test_the_gru_through_time(action):
    params = by_name(begun(RecurrentPPO(hidden=(3,), memory_size=3), Spec(Box((3,)), action), 1).network)
    batch, grads = random_batch(2, action), zeros(params)
    begins = np.array([False, False, True, False, False, False, True])
    memory, share = np.array([0.5, -0.3, 0.8]), np.linspace(-1, 1.5, 7)  # every step counts differently
    steps = lambda p: read(p, memory, batch.obs[:, 0], batch.action[:, 0], begins)
    read_backward(params, grads, steps(params), [tuple(w * slope for slope in SLOPES) for w in share])
    assert_slopes(lambda p: sum(w * said(now) for w, now in zip(share, steps(p))), params, grads)


@pytest.mark.parametrize("advantage", [2.0, -2.0])
@pytest.mark.parametrize("ratio", [0.5, 0.9, 1.1, 1.5])
def test_the_clipped_surrogate(ratio, advantage):
    surrogate = lambda log_prob: proximal(log_prob, 0.3, advantage, 0.2)[0]
    at = 0.3 + np.log(ratio)
    slope = (surrogate(at + STEP) - surrogate(at - STEP)) / (2 * STEP)
    held = (ratio > 1.2 and advantage > 0) or (ratio < 0.8 and advantage < 0)
    assert slope == pytest.approx(0.0 if held else ratio * advantage, abs=1e-6)
    assert proximal(at, 0.3, advantage, 0.2)[1] == pytest.approx(slope, abs=1e-6)
