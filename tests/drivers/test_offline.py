"""The offline driver: the same run however it is cut, in a row or side by side; values behind time limits; NaN."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.contract.test_contract import bits, close

from bellmax import Dataset, Normalised, QLearning
from bellmax.core import Algorithm, Spec, Transition
from bellmax.drivers import offline
from bellmax.drivers.fleet import stack, unstack
from bellmax.experience import log
from bellmax.maths.schedules import Linear, Scheduled, at
from bellmax.maths.statistics import weighted_mean
from bellmax.spaces import Box, Discrete

SPEC = Spec(Box((2,)), Discrete(3))


class State(NamedTuple):
    weight: jax.Array
    steps: jax.Array


class Regression(Algorithm):
    """Rewards, as a linear function of observations: what compiles in no time."""

    experience: Dataset = Dataset(batch=8)
    learning_rate: Scheduled = 0.01

    def init(self, key, spec):
        return State(jax.random.normal(key, spec.obs.shape), jnp.zeros(()))

    def update(self, state, batch, key):
        def loss(weight):
            return weighted_mean((batch.obs @ weight - batch.reward) ** 2, batch.weight)

        value, slope = jax.value_and_grad(loss)(state.weight)
        rate, steps = at(self.learning_rate, state.steps), batch.extras["steps"].max()
        return State(state.weight - rate * slope, steps), {"loss": value}


SMALL = Regression()


def made_up(count=60, seed=0):
    draw = np.random.default_rng(seed)
    obs, last = np.float32(draw.normal(3, 2, (count, 2))), draw.random(count) < 0.1
    discount = np.float32(~(last & (draw.random(count) < 0.5)))
    action, reward = draw.integers(3, size=count, dtype=np.int32), np.float32(draw.normal(size=count))
    return jax.tree.map(
        jnp.asarray, log(Transition(obs, action, reward, discount, last, obs + 1, {}, np.ones(count, np.float32)))
    )


LOG = made_up()


def begun(algorithm=SMALL, seed=1):
    return jax.jit(lambda key: offline.start(algorithm, LOG, SPEC, key))(jax.random.key(seed))


def advanced(run, most, algorithm=SMALL, data=LOG):
    return offline.advance(algorithm, data, jax.tree.map(jnp.copy, run), jnp.int32(most))


def test_pieces_are_the_whole_and_the_pure_run_too():
    run, total = advanced(begun(), 30)
    assert {name: int(total[name]) for name in ("steps", "rounds", "episodes")} == {
        "steps": 30, "rounds": 30, "episodes": 0,
    }  # fmt: skip
    piece, first = advanced(begun(), 11)
    piece, second = advanced(piece, 19)
    assert bits(piece) == bits(run)
    assert float(first["loss"] + second["loss"]) == pytest.approx(float(total["loss"]), rel=1e-5)
    pure, metrics = jax.jit(lambda key: offline.train(SMALL, LOG, SPEC, key, updates=30))(jax.random.key(1))
    close(pure.state, run.state)
    assert float(metrics["loss"].sum()) == pytest.approx(float(total["loss"]), rel=1e-4)
    assert bits(advanced(begun(seed=2), 30)[0].state) != bits(run.state), "the key decides"


def test_many_runs_side_by_side_are_the_runs_one_by_one():
    runs = [begun(seed=seed) for seed in (1, 2)]
    both, totals = offline.advance(SMALL, LOG, stack(runs), jnp.int32([12, 12]))
    for run, one in zip(unstack(both, 2), runs):
        close(run.state, advanced(one, 12)[0].state, 1e-4)
    assert totals["steps"].tolist() == [12, 12]


def test_rounds_of_several_updates_are_counted_as_updates():
    algorithm = SMALL.replace(experience=Dataset(batch=8, updates=5))
    run, total = advanced(begun(algorithm), 12, algorithm)
    assert (int(total["steps"]), int(total["rounds"])) == (15, 3)
    assert float(run.state.steps) == 10, "the last round began with the clock at 10"


def test_the_clock_of_schedules_is_the_updates():
    stopped = SMALL.replace(learning_rate=Linear(0.01, 0.0, 10))
    halfway, _ = advanced(begun(stopped), 12, stopped)
    end, _ = advanced(halfway, 20, stopped)
    assert bits(end.state.weight) == bits(halfway.state.weight), "at the end of its schedule it learns no more"
    assert bits(advanced(begun(), 32)[0].state.weight) != bits(advanced(begun(), 12)[0].state.weight)


def test_all_steps_are_observed_once_at_the_start_and_never_again():
    algorithm = Normalised(SMALL)
    run = begun(algorithm)
    moments = run.state.moments[0]
    np.testing.assert_allclose(moments.mean, LOG.steps.obs.mean(0), rtol=1e-5)
    np.testing.assert_allclose(moments.variance, LOG.steps.obs.var(0), rtol=1e-4)
    assert bits(advanced(run, 20, algorithm)[0].state.moments) == bits(run.state.moments)


def test_what_is_not_finite_stops_the_run_and_keeps_its_state():
    spoiled = LOG._replace(steps=LOG.steps._replace(reward=LOG.steps.reward.at[5].set(jnp.nan)))
    run, total = advanced(begun(), 200, data=spoiled)
    assert not run.sound
    assert int(total["steps"]) < 200
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(run.state))
    assert bits(run.state) == bits(advanced(begun(), int(total["steps"]), data=LOG)[0].state), "as it was before"


def chain(cut_is_end):
    """Steps of the chain that pays 1 forever and is cut every 10 steps."""
    count = 100
    last = np.arange(count) % 10 == 9
    discount = np.float32(~last) if cut_is_end else np.ones(count, np.float32)
    zero, one = np.zeros(count, np.int32), np.ones(count, np.float32)
    return jax.tree.map(jnp.asarray, log(Transition(zero, zero, one, discount, last, zero, {}, one)))


def test_a_time_limit_is_no_termination():
    """1 + 0.9 + 0.81 + ... = 10; where every tenth step were the end, V = 1 + 0.9 * 0.9 V = 5.26."""
    algorithm, spec = QLearning(gamma=0.9, learning_rate=0.02, experience=Dataset(batch=10)), Spec(*[Discrete(1)] * 2)
    train = jax.jit(lambda data: offline.train(algorithm, data, spec, jax.random.key(0), updates=2000)[0].state)
    for cut_is_end, worth in ((False, 10.0), (True, 1 / (1 - 0.9 * 0.9))):
        state = train(chain(cut_is_end))
        assert float(jax.tree.leaves(state)[0].max()) == pytest.approx(worth, abs=0.3)
