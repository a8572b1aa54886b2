"""Runs mapped over learning rates and seeds are the runs one by one, and the learning rate matters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples.whole_run_under_vmap import final_score, table

from bellmax import A2C
from bellmax.drivers import ingraph
from bellmax.envs.probes import ActionReward, ConstantReward

STEPS = 4_096
RATES, SEEDS = jnp.array([1e-9, 1e-2]), jnp.arange(2)


@pytest.fixture(scope="module")
def scores():
    return np.asarray(table(RATES, SEEDS, ActionReward(), STEPS))


def test_the_right_action_is_learned_where_the_learning_rate_lets_it(scores):
    # Action 1 pays 1 and action 0 pays -1: a policy that learns nothing gets 0, give or take 1 / sqrt(1024).
    assert scores.shape == (2, 2)
    assert scores[1] == pytest.approx([1, 1], abs=0.05)
    assert scores[0] == pytest.approx([0, 0], abs=0.15)


def test_mapped_runs_are_the_runs_one_by_one(scores):
    alone = jax.jit(lambda rate, seed: final_score(rate, seed, ActionReward(), STEPS))
    assert float(alone(RATES[0], SEEDS[1])) == pytest.approx(scores[0, 1], abs=1e-5)
    assert scores[0, 0] != scores[0, 1], "seeds differ"


def test_the_derivative_through_a_run_is_the_slope_between_two_runs():
    def last_error(rate):
        a2c = A2C(learning_rate=rate, hidden=(8,), activation="tanh")
        _, rounds = ingraph.train(a2c, ConstantReward(), jax.random.key(0), steps=80, num_envs=4)
        return rounds["value_error"][-1]

    run, slope = jax.jit(last_error), jax.jit(jax.grad(last_error))(3e-3)
    assert float(slope) == pytest.approx((float(run(3.1e-3)) - float(run(2.9e-3))) / 2e-4, rel=0.02)
    assert float(slope) < 0, "the value is learned faster"
