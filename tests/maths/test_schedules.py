"""Schedules: a straight line over environment steps, then its end for good."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.core import Algorithm
from bellmax.maths.schedules import Linear, Scheduled, at, resolve


class Learner(Algorithm):
    learning_rate: Scheduled = 0.1
    schedule: Scheduled = Linear(1.0, 0.2, steps=100.0)
    epochs: int = 4


class Wrapper(Algorithm):
    inside: Learner = Learner()
    clip: Scheduled = Linear(0.2)


@pytest.mark.parametrize(
    ("steps", "value"), [(0, 1.0), (25, 0.8), (50, 0.6), (100, 0.2), (101, 0.2), (10**9, 0.2), (-5, 1.0)]
)
def test_a_line_from_start_to_end(steps, value):
    # 25 of 100 steps: 1 - 0.25 * (1 - 0.2) = 0.8
    line = Linear(1.0, 0.2, steps=100.0)
    np.testing.assert_allclose(at(line, steps), value, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(at)(line, jnp.int32(steps)), value, rtol=1e-6)


def test_an_annealed_rate_ends_at_exactly_zero_and_a_line_may_rise():
    assert at(Linear(2.5e-4, 0.0, steps=7.0), 7) == 0
    assert at(Linear(2.5e-4, steps=7.0), 1e6) == 0
    np.testing.assert_allclose(at(Linear(0.0, 1.0, steps=4.0), jnp.arange(6)), [0, 0.25, 0.5, 0.75, 1, 1])


def test_a_number_is_itself():
    assert at(0.3, 10**12) == 0.3


def test_more_steps_than_an_int32_can_count():
    line = Linear(1.0, 0.0, steps=1e10)  # 3e9 > 2^31
    np.testing.assert_allclose(at(line, 3_000_000_000), 0.7, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(lambda line: at(line, 3_000_000_000))(line), 0.7, rtol=1e-6)
    filled = resolve(Learner(schedule=Linear(1.0)), 10_000_000_000)
    np.testing.assert_allclose(jax.jit(at)(filled.schedule, 3e9), 0.7, rtol=1e-6)


def test_without_a_length_there_is_an_error_until_one_is_filled_in():
    endless = Linear(1.0, 0.5)
    with pytest.raises(ValueError, match=r"Linear\(start=1.0, end=0.5, steps=None\) has no length: give Linear"):
        at(endless, 10)
    filled = resolve(Learner(schedule=endless), 200)
    assert filled == Learner(schedule=Linear(1.0, 0.5, steps=200.0))
    np.testing.assert_allclose(at(filled.schedule, 100), 0.75)


def test_resolve_reaches_into_wrapped_algorithms():
    filled = resolve(Wrapper(Learner(schedule=Linear(1.0))), 50)
    assert filled == Wrapper(Learner(schedule=Linear(1.0, 0.0, steps=50.0)), clip=Linear(0.2, 0.0, steps=50.0))


def test_resolve_leaves_everything_else_as_it_is():
    given = Learner(0.3, Linear(1.0, 0.5, steps=30.0), epochs=7)
    assert resolve(given, 200) == given


@pytest.mark.parametrize("steps", [0, -1.0, float("nan")])
def test_a_length_must_be_positive(steps):
    with pytest.raises(ValueError, match=r"Linear.steps = .*: it must be greater than 0"):
        Linear(1.0, 0.0, steps=steps)


def test_schedules_are_traced_through_the_algorithm_that_holds_them():
    count = []

    @jax.jit
    def rates(learner, steps):
        count.append(1)
        return at(learner.learning_rate, steps), at(learner.schedule, steps)

    np.testing.assert_allclose(rates(Learner(), 50.0), (0.1, 0.6), rtol=1e-6)
    np.testing.assert_allclose(rates(Learner(0.2, Linear(3.0, 1.0, steps=200.0)), 50.0), (0.2, 2.5), rtol=1e-6)
    assert len(count) == 1  # other numbers, same program
    rates(Learner(Linear(1.0, steps=2.0)), 1.0)
    assert len(count) == 2  # a schedule instead of a number is another program
    slope = jax.grad(lambda line: at(line, 25.0))(Linear(1.0, 0.2, steps=100.0))
    # value = 0.75 start + 0.25 end; by steps: d/ds (0.2 - 1) 25 / s = 20 / s^2 = 0.002
    np.testing.assert_allclose((slope.start, slope.end, slope.steps), (0.75, 0.25, 0.002), rtol=1e-5)


def test_resolve_reaches_the_parts_of_an_algorithm():
    from bellmax.algorithms.tabular.q_learning import QLearning
    from bellmax.maths.exploration import EpsilonGreedy

    learner = resolve(QLearning(exploration=EpsilonGreedy(Linear(1.0, 0.1)), learning_rate=Linear(0.5, 0.1, 10)), 200)
    assert learner.exploration.epsilon == Linear(1.0, 0.1, 200)
    assert learner.learning_rate == Linear(0.5, 0.1, 10)
