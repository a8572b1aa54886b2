"""A whole run is one pure function: vmap and grad go through it; a fleet of runs is the runs one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import A2C, Steps
from bellmax.drivers import ingraph
from bellmax.drivers.fleet import Fleet
from bellmax.envs.probes import DelayedReward, MatchingReward

ALGORITHM = A2C(experience=Steps(4), hidden=(4,))


def final_error(learning_rate):
    algorithm = ALGORITHM.replace(learning_rate=learning_rate)
    _, metrics = ingraph.train(algorithm, DelayedReward(), jax.random.key(0), steps=64, num_envs=2)
    return metrics["value_error"][-1]


def test_a_gradient_goes_through_a_whole_run():
    """The slope of the final value error over the learning rate, against a central difference."""
    slope = jax.jit(jax.grad(final_error))(0.01)
    errors = jax.jit(jax.vmap(final_error))(jnp.array([0.0101, 0.0099]))
    assert slope != 0
    assert float(slope) == pytest.approx(float(errors[0] - errors[1]) / 2e-4, rel=0.02)


def test_seeds_and_rates_in_one_call():
    train = jax.vmap(jax.vmap(run_of, (None, 0)), (0, None))
    rates, keys = jnp.array([0.0, 0.05]), jax.random.split(jax.random.key(3), 2)
    scores = jax.jit(train)(rates, keys)
    assert scores.shape == (2, 2)
    alone = run_of(rates[1], keys[1])
    assert float(scores[1, 1]) == pytest.approx(float(alone), abs=1e-4)
    assert (scores[1] > scores[0] + 0.3).all(), "learning pays"


def run_of(rate, key):
    algorithm = ALGORITHM.replace(learning_rate=rate, entropy_weight=0.0)
    _, metrics = ingraph.train(algorithm, MatchingReward(), key, steps=2048, num_envs=4)
    return metrics["score"][-20:].sum() / metrics["episodes"][-20:].sum()


@pytest.mark.parametrize("stacked", [False, True])
def test_a_fleet_is_its_runs_one_by_one(stacked):
    algorithms = [ALGORITHM.replace(learning_rate=rate) for rate in (1e-3, 1e-2, 1e-1)]
    fleet = Fleet(algorithms, MatchingReward(), [5, 6, 7], 2, stacked=stacked)
    totals = fleet.advance(3, [10**9] * 3)
    for index, (algorithm, seed) in enumerate(zip(algorithms, (5, 6, 7))):
        run = ingraph.start(algorithm, MatchingReward(), jax.random.key(seed), 2)
        run, total = ingraph.advance(algorithm, MatchingReward(), run, jnp.int32(3), jnp.int32(10**9))
        assert totals[index]["steps"] == total["steps"] == 24
        assert totals[index]["score"] == pytest.approx(float(total["score"]), abs=1e-4)
        for x, y in zip(jax.tree.leaves(fleet.run(index).state), jax.tree.leaves(run.state), strict=True):
            np.testing.assert_allclose(x, y, atol=1e-5)
    again = Fleet(algorithms, MatchingReward(), [5, 6, 7], 2, runs=fleet.runs, stacked=stacked)
    one, other = fleet.advance(2, [10**9] * 3), again.advance(2, [10**9] * 3)
    assert [total["score"] for total in one] == [total["score"] for total in other]
    fleet.close()
    again.close()


def test_no_step_is_taken_beyond_what_was_asked_but_to_fill_a_round():
    fleet = Fleet([ALGORITHM], MatchingReward(), [0], 2)
    assert fleet.advance(100, [0])[0]["steps"] == 0
    assert fleet.advance(100, [1])[0]["steps"] == 8  # a round is 4 steps of 2 environments
    assert fleet.advance(100, [17])[0]["steps"] == 24
    fleet.close()
