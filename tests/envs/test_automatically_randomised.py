"""Automatic domain randomisation, by hand: buffers, ends that move and stay, and a world whose answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bellmax as bm
from bellmax.drivers import ingraph
from bellmax.encode import from_plain, to_plain
from bellmax.envs import CartPole
from bellmax.envs.parameters import UnknownParameter
from bellmax.envs.perturbed import nominal
from bellmax.envs.wrappers.automatically_randomised import Curriculum

KEY = jax.random.key(0)


class Hills(bm.Env):
    """Three steps an episode, each paying 1 if the slope is one that can be climbed, from -2.5 to 6.5, else 0."""

    slope: float = 0.0
    least: float = -2.5
    most: float = 6.5

    @property
    def spec(self):
        return bm.Spec(bm.Box((1,)), bm.Discrete(2))

    def reset(self, key):
        return jnp.int32(0), jnp.zeros(1)

    def step(self, env_state, action, key):
        pays = (self.slope >= self.least) & (self.slope <= self.most)
        last = env_state >= 2
        return env_state + 1, bm.Outcome(jnp.ones(1), pays.astype(jnp.float32), 1.0 - last, last)


class Idle(bm.Algorithm):
    """Learns nothing."""

    experience: bm.Steps | bm.Episodes = bm.Steps(8)

    def init(self, key, spec):
        return jnp.zeros(())

    def act(self, state, obs, key, memory=None):
        return bm.Decision(jnp.int32(0))

    def update(self, state, batch, key):
        return state, {"paid": batch.reward.sum()}


IDLE = Idle()


def hills(**changes):
    settings = {"low": 1.0, "high": 2.5, "episodes": 2, "stride": 0.1}
    return bm.AutomaticallyRandomised(Hills(), {"slope": (-10.0, 10.0)}, **settings | changes)


def reached(env, algorithm=IDLE, steps=4000):
    run, _ = jax.jit(lambda key: ingraph.train(algorithm, env, key, steps=steps, num_envs=4))(KEY)
    return env.reached(run.place.env_state)["slope"]


@pytest.mark.parametrize("experience", [bm.Steps(8), bm.Episodes(5)], ids=["steps", "episodes"])
def test_ends_go_as_far_as_the_policy_climbs_and_no_further(experience):
    low, high = reached(hills(), Idle(experience))
    assert -3.001 <= low <= -1.999, "an end that is too far is put back, one that is not goes on: it swings"
    assert 5.999 <= high <= 7.001


def test_controls_where_nothing_and_where_everything_can_be_climbed():
    nothing = bm.AutomaticallyRandomised(Hills(least=1.0), {"slope": (-10.0, 10.0)}, low=1.0, high=2.5, episodes=2)
    assert reached(nothing) == (0.0, 0.0)
    everything = bm.AutomaticallyRandomised(
        Hills(least=-99.0, most=99.0), {"slope": (-10.0, 10.0)}, low=1.0, high=2.5, episodes=2
    )
    assert reached(everything) == (-10.0, 10.0), "to the ends of the ranges and not beyond"
    assert reached(hills(measured=0.0)) == (0.0, 0.0), "who measures nothing moves nothing"


def test_buffers_fill_and_ends_move_by_hand():
    env = bm.AutomaticallyRandomised(
        CartPole(), {"force": (5.0, 15.0), "gravity": (9.0, 11.0)}, low=10, high=20, episodes=3, stride=0.25
    )
    known = Curriculum(
        jnp.int32(7),
        jnp.array([[0.5, 1.0], [0.0, 0.25]]),
        jnp.array([[40.0, 70.0], [5.0, 25.0]]),
        jnp.array([[2, 2], [2, 2]], jnp.int32),
    )
    # force's low end gets 26: (40 + 26) / 3 = 22 >= 20 widens, 0.5 -> 0.75; its high end is at the end and stays there.
    # gravity's low end gets 1: 2 <= 10 narrows, but is at 0 already; its high end gets 14 and 15 in one step:
    # (25 + 14 + 15) / 4 = 13.5, between the two: it stays. The last episode measures nothing, one has not ended.
    end = jnp.array([0, 1, 2, 3, 3, -1, 1])
    score = jnp.array([26.0, 50.0, 1.0, 14.0, 15.0, 99.0, 5.0])
    last = jnp.array([True] * 6 + [False])
    counted = env.counted(known, end, score, last)
    assert int(counted.episodes) == 13
    np.testing.assert_array_equal(counted.total, [[66, 120], [6, 54]])
    np.testing.assert_array_equal(counted.scores, [[3, 3], [3, 4]])
    moved = env.moved(counted)
    np.testing.assert_array_equal(moved.reach, [[0.75, 1.0], [0.0, 0.25]])
    np.testing.assert_array_equal(moved.total, 0)
    np.testing.assert_array_equal(moved.scores, 0)
    low, high = env.ends(moved)
    np.testing.assert_allclose(low, [10 - 0.75 * 5, 9.8])
    np.testing.assert_allclose(high, [15, 9.8 + 0.25 * 1.2], rtol=1e-6)
    waiting = env.moved(known)
    np.testing.assert_array_equal(waiting.reach, known.reach, "two of three are no full buffer")
    np.testing.assert_array_equal(waiting.total, known.total)
    narrowed = env.moved(known._replace(scores=known.scores + 9))  # averages far below 10
    np.testing.assert_array_equal(narrowed.reach, [[0.25, 0.75], [0.0, 0.0]])


def test_half_of_the_episodes_measure_an_end_and_lie_on_it():
    env = bm.AutomaticallyRandomised(CartPole(), {"force": (5.0, 15.0), "gravity": (9.0, 11.0)}, low=10, high=20)
    known = Curriculum(jnp.int32(0), jnp.full((2, 2), 0.5), jnp.zeros((2, 2)), jnp.zeros((2, 2), jnp.int32))
    begun, _ = jax.vmap(env._begin, (None, 0))(known, jax.random.split(KEY, 4000))
    ends = np.asarray(begun.end)
    shares = [(ends == end).mean() for end in range(-1, 4)]
    np.testing.assert_allclose(shares, [0.5, 0.125, 0.125, 0.125, 0.125], atol=0.025)
    force, gravity = (np.asarray(begun.drawn[name]) for name in ("force", "gravity"))
    for end, values, at in ((0, force, 7.5), (1, force, 12.5), (2, gravity, 9.4), (3, gravity, 10.4)):
        np.testing.assert_allclose(values[ends == end], at, rtol=1e-6)
    free = force[ends != 0][:1000]
    free = free[free != 12.5]
    assert free.min() > 7.5
    assert abs(free.mean() - 10) < 0.3


def test_the_newest_curriculum_is_everybodys():
    env = hills(episodes=1)
    before, _ = jax.vmap(env.reset)(jax.random.split(KEY, 3))
    newer = before.curriculum._replace(
        episodes=jnp.array([3, 8, 5]), reach=jnp.array([[[0.1, 0.1]], [[0.4, 0.2]], [[0.3, 0.3]]])
    )
    before = before._replace(curriculum=newer, end=jnp.array([1, -1, 0]), score=jnp.array([3.0, 0.0, 3.0]))
    after, _ = env.restart(before, jnp.array([True, False, False]), jax.random.split(KEY, 3))
    np.testing.assert_allclose(after.curriculum.reach, np.tile([[[0.4, 0.3]]], (3, 1, 1)), rtol=1e-6)
    np.testing.assert_array_equal(after.curriculum.episodes, 9)


def test_it_is_a_world_like_others():
    env = bm.perturbed("bellmax:CartPole", {"force": (5, 15)}, widen=(200, 450))
    assert from_plain(to_plain(env)) == env
    assert nominal(env) == CartPole()
    assert isinstance(env.for_evaluation, bm.Randomised)
    with pytest.raises(UnknownParameter, match="did you mean 'force'"):
        bm.AutomaticallyRandomised(CartPole(), {"farce": (5, 15)}, low=0, high=1)
    with pytest.raises(ValueError, match=r"begins with the environment's own 10.0, which must lie between"):
        bm.AutomaticallyRandomised(CartPole(), {"force": (11, 15)}, low=0, high=1)
    with pytest.raises(ValueError, match=r"low = 3.0: it must be at most high = 1.0"):
        bm.AutomaticallyRandomised(CartPole(), {"force": (5, 15)}, low=3, high=1)
    with pytest.raises(TypeError, match="put AutomaticallyRandomised around everything"):
        jax.eval_shape(lambda: bm.NoisyObservations(env).restart(None, jnp.ones(2), jax.random.split(KEY, 2)))
    with pytest.raises(ValueError, match="on the host ranges stay as they are"):
        bm.perturbed("CartPole-v1", {"length": (0.2, 0.8)}, widen=(200, 450))


def test_a_run_goes_on_with_its_curriculum(tmp_path):
    options = {"num_envs": 4, "display": "quiet", "track": ()}
    part = bm.train(Idle(), hills(), steps=400, run_folder=tmp_path, **options)
    gone_on = bm.resume(part.folder.path, steps=800, algorithm=Idle, env=hills(), display="quiet")
    whole = bm.train(Idle(), hills(), steps=800, run_folder=None, **options)
    early, found, wanted = (hills().reached(run.tree.place.env_state)["slope"] for run in (part, gone_on, whole))
    assert found == wanted != early
    assert wanted[0].shape == (1,), "one a seed"
