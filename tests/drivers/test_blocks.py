"""Rounds of one step run in blocks: the same rounds, one by one or many at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.tabular.q_learning import QLearning
from bellmax.core import Env, Outcome, Spec
from bellmax.drivers import ingraph
from bellmax.drivers.learn import BLOCK
from bellmax.envs import FrozenLake
from bellmax.spaces import Discrete

LEARNER, LAKE, MANY = QLearning(initial=0.5), FrozenLake(), jnp.int32(10**9)


def begun(env=LAKE, num_envs=2):
    return jax.jit(lambda key: ingraph.start(LEARNER, env, key, num_envs))(jax.random.key(3))


def advance(run, rounds, most_steps=MANY, env=LAKE):
    return ingraph.advance(LEARNER, env, jax.tree.map(jnp.copy, run), jnp.int32(rounds), jnp.int32(most_steps))


def same(one, other):
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        keys = jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
        np.testing.assert_array_equal(*(np.asarray(jax.random.key_data(z) if keys else z) for z in (x, y)))


def test_pieces_of_any_length_are_the_whole():
    whole, metrics = advance(begun(), 600)
    run, steps = begun(), 0
    for rounds in (100, 157, 1, 299, 43):  # 256 and 512 fall inside and on the edge of pieces
        run, part = advance(run, rounds)
        steps += int(part["steps"])
    same(whole, run)
    assert int(metrics["rounds"]) == 600
    assert int(metrics["steps"]) == steps == 1200
    assert int(metrics["episodes"]) > 50


def test_a_block_is_its_rounds_one_by_one():
    whole, metrics = advance(begun(), 300)
    run, score, tick = begun(), 0.0, jax.jit(ingraph.tick)
    for _ in range(300):
        run, part = tick(LEARNER, LAKE, run)
        score += float(part["score"])
    np.testing.assert_array_equal(whole.place.obs, run.place.obs)
    np.testing.assert_allclose(whole.state.q, run.state.q, atol=1e-6)
    assert float(metrics["score"]) == score
    other = whole._replace(key=jax.random.key(4))  # the control: another key is another life
    assert not np.allclose(advance(other, 50)[0].state.q, advance(whole, 50)[0].state.q)


def test_stops_at_the_round_that_takes_the_last_step():
    run, metrics = advance(begun(num_envs=3), 10_000, most_steps=1000)
    assert int(metrics["steps"]) == 1002  # 334 rounds of 3
    assert int(run.round) == 334


class Breaks(Env):
    """Pays 1, and NaN once the clock has reached `when`."""

    when: int = 300

    @property
    def spec(self):
        return Spec(Discrete(2), Discrete(2))

    def reset(self, key):
        return jnp.int32(0), jnp.int32(0)

    def step(self, env_state, action, key):
        time = env_state + 1
        reward = jnp.where(time >= self.when, jnp.nan, 1.0)
        return time, Outcome(time % 2, reward, jnp.float32(1), jnp.bool_(False))


@pytest.mark.parametrize("when", [1, 200, 300])
def test_a_run_that_breaks_stands_at_its_block_and_is_played_to_the_round_that_broke_it(when):
    world = Breaks(when)
    run, metrics = advance(begun(world, 1), 1000, env=world)
    assert not run.sound
    assert int(run.round) == int(metrics["rounds"]) == (when - 1) // BLOCK * BLOCK
    assert np.isfinite(run.state.q).all()
    broken = jax.jit(ingraph.replay)(LEARNER, world, run)
    assert not broken.sound
    assert int(broken.round) == when - 1
    assert np.isnan(ingraph.last_batch(LEARNER, world, broken)[0].reward).all()
