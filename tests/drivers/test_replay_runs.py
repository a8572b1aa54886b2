"""Runs that learn from replay, in both drivers: stopped and continued, begun before they learn, and broken."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bellmax as bm
from bellmax import DQN, PPO, EpsilonGreedy, Normalised, Prioritised, Replay, ScaledRewards
from bellmax.algorithms.wrappers.curious import Curious
from bellmax.bonuses import HashedCounts
from bellmax.core import Algorithm, Decision, Env, Outcome, Spec
from bellmax.drivers import hosted, ingraph
from bellmax.drivers.learn import BLOCK
from bellmax.envs.adaptors.as_gymnasium import AsGymnasium
from bellmax.envs.grid_world import GridWorld
from bellmax.envs.names import find
from bellmax.runs import load, save
from bellmax.spaces import Box, Discrete

WORLD = GridWorld(layout=("S..", ".#.", "T.G"), max_steps=7)  # walls, a trap, a goal and a time limit
ENVS, MANY = 3, jnp.int32(10**9)
PLAIN = DQN(hidden=(8,), exploration=EpsilonGreedy(0.3), experience=Replay(600, batch=8, start=60))
ALGORITHMS = {
    "rounds": PLAIN.replace(experience=Replay(600, batch=8, n=3, length=4, updates=3, start=60)),
    "prioritised": PLAIN.replace(experience=Prioritised(600, batch=8, n=2, beta=0.5, start=60)),
    "curious": Normalised(Curious(PLAIN, HashedCounts(actions=True, cells=64), untried_first=True)),
}


def begun(algorithm, env=WORLD, num_envs=ENVS):
    return jax.jit(ingraph.start, static_argnums=3)(algorithm, env, jax.random.key(5), num_envs)


def advance(algorithm, run, rounds, env=WORLD):
    return ingraph.advance(algorithm, env, jax.tree.map(jnp.copy, run), jnp.int32(rounds), MANY)


def bits(tree):
    """Every leaf as raw bytes, random keys as their data."""
    leaves = jax.tree.leaves(tree)
    keys = [jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) for x in leaves]
    return [np.asarray(jax.random.key_data(x) if key else x).tobytes() for x, key in zip(leaves, keys)]


@pytest.fixture(params=ALGORITHMS, scope="module")
def algorithm(request):
    return ALGORITHMS[request.param]


# --- stopped and continued --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [7, 60])  # before anything is learned, and with the buffer partly full
def test_a_run_saved_loaded_and_continued_is_the_run_never_stopped(algorithm, stop, tmp_path):
    whole, _ = advance(algorithm, begun(algorithm), 140)
    half, _ = advance(algorithm, begun(algorithm), stop)
    save(tmp_path, 0, half, {})
    again, _ = load(next(tmp_path.iterdir()), jax.eval_shape(lambda: half))
    other, _ = advance(algorithm, again, 140 - stop)
    assert bits(whole) == bits(other)
    assert bits(whole) != bits(advance(algorithm, again._replace(key=jax.random.key(0)), 140 - stop)[0])


def test_pieces_of_any_length_are_the_whole(algorithm):
    """Whatever falls together: the first round that learns (19 or so), the edge of a block (256), one round alone."""
    rounds = 300 if algorithm.experience.length == 1 else 40
    whole, metrics = advance(algorithm, begun(algorithm), rounds)
    run, taken = begun(algorithm), {"steps": 0, "learning_rounds": 0, "episodes": 0}
    for piece in (rounds // 20, 1, rounds // 2, 2, rounds - rounds // 20 - rounds // 2 - 3):
        run, part = advance(algorithm, run, piece)
        taken = {name: x + int(part[name]) for name, x in taken.items()}
    assert bits(whole) == bits(run)
    assert taken == {name: int(metrics[name]) for name in taken}


def test_train_and_resume_go_on_from_a_buffer_that_is_half_full(tmp_path):
    algorithm = Normalised(PLAIN.replace(experience=Replay(3000, batch=8, start=100)))
    quiet = {"num_envs": 2, "seeds": 2, "display": "quiet", "track": ()}
    whole = bm.train(algorithm, "bellmax:CartPole", steps=1500, run_folder=None, **quiet)
    half = bm.train(algorithm, "bellmax:CartPole", steps=700, run_folder=tmp_path, **quiet)
    both = bm.resume(half.folder.path, steps=1500, display="quiet")
    assert bits(whole.tree) == bits(both.tree)
    assert (whole.tree.buffer.written == 750).all(), "rows of two environments, of 1500 that fit"


# --- rounds that only collect -----------------------------------------------------------------------------------------


def test_rounds_before_enough_is_stored_learn_nothing_and_are_counted(algorithm):
    experience = algorithm.experience
    waits = experience.waits(ENVS)
    assert waits == -(-60 // (ENVS * experience.length)) - 1
    first = begun(algorithm)
    run, metrics = advance(algorithm, first, waits)
    assert (int(metrics["rounds"]), int(metrics["learning_rounds"])) == (waits, 0)
    assert int(run.buffer.written if "written" in run.buffer._fields else run.buffer.ring.written) > 0
    learned = [now.state.inner.inner if isinstance(algorithm, Normalised) else now.state for now in (first, run)]
    assert bits(learned[0]) == bits(learned[1])
    after, metrics = advance(algorithm, run, 3)
    assert (int(metrics["rounds"]), int(metrics["learning_rounds"])) == (3, 3)
    assert bits(after.state) != bits(run.state)


def test_the_whole_run_in_one_scan_waits_as_long():
    _, metrics = jax.jit(lambda key: ingraph.train(PLAIN, WORLD, key, steps=90, num_envs=ENVS))(jax.random.key(0))
    assert metrics["learning_rounds"].tolist() == [0] * 19 + [1] * 11
    assert (metrics["loss"][:19] == 0).all()
    assert (metrics["loss"][19:] > 0).all()


# --- two drivers ------------------------------------------------------------------------------------------------------


def test_the_two_drivers_are_the_same_run(algorithm):
    vector = find(lambda: AsGymnasium(WORLD), vectorization="sync").vector(ENVS, seed=0)
    drive = hosted.Drive(algorithm, vector, jax.random.key(5))
    run = begun(algorithm)
    for rounds in (1, 17, 3, BLOCK - 20, 10) if algorithm.experience.length == 1 else (1, 3, 20):
        run, total = advance(algorithm, run, rounds)
        tally = drive.advance(rounds, 10**9)
        for name in ("steps", "episodes", "length", "rounds", "learning_rounds"):
            assert tally[name] == total[name], name
        assert tally["score"] == pytest.approx(float(total["score"]))
    for one, other in zip(jax.tree.leaves(run.buffer), jax.tree.leaves(drive.run.buffer), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
    for one, other in zip(jax.tree.leaves(run.state), jax.tree.leaves(drive.run.state), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


# --- what breaks ------------------------------------------------------------------------------------------------------


class Breaks(Env):
    """Pays 1, and NaN once, when the clock shows `when`."""

    when: float = 300.0

    @property
    def spec(self):
        return Spec(Box((1,), 0.0, 1.0), Discrete(2))

    def reset(self, key):
        return jnp.int32(0), jnp.zeros(1)

    def step(self, env_state, action, key):
        reward = jnp.where(env_state + 1 == self.when, jnp.nan, 1.0)
        return env_state + 1, Outcome(jnp.ones(1), reward, jnp.float32(1), jnp.bool_(False))


NANS = PLAIN.replace(experience=Replay(4000, batch=8, length=2, start=60))


@pytest.mark.parametrize("when", [20.0, 300.0])  # before the first update, and after
def test_a_nan_that_is_drawn_from_the_buffer_stops_the_run_and_not_before(when):
    run, metrics = advance(NANS, begun(NANS, Breaks(when)), 4000, Breaks(when))
    rounds = int(run.round)
    assert not run.sound
    assert int(metrics["rounds"]) == rounds
    assert (rounds + 1) * 2 >= when, "it is drawn in the round in which it is stored, or later"
    fresh, key = ingraph.last_batch(NANS, Breaks(when), run)
    batch = NANS.experience.sample(run.buffer, fresh, jax.random.split(jax.random.split(key, 1)[0])[0])
    assert np.isnan(batch.reward).any(), "what would have been learned from has it"
    before, _ = advance(NANS, begun(NANS, Breaks(when)), rounds, Breaks(when))
    assert before.sound
    assert bits(before.state) == bits(run.state), "what was learned before is kept"
    assert bits(before.place) == bits(run.place)


def test_where_rounds_are_one_step_the_state_is_that_of_the_block_before():
    algorithm, world = PLAIN.replace(experience=Replay(4000, batch=8, start=60)), Breaks(300.0)
    run, _ = advance(algorithm, begun(algorithm, world), 4000, world)
    assert not run.sound
    assert int(run.round) % BLOCK == 0
    before, _ = advance(algorithm, begun(algorithm, world), int(run.round), world)
    assert bits(before.state) == bits(run.state)


class Silent(Algorithm):
    """Does nothing, and says nothing of what it did."""

    experience: Prioritised = Prioritised(64, batch=4, beta=1.0, start=4)

    def init(self, key, spec):
        return jnp.zeros(())

    def act(self, state, obs, key, memory=None):
        return Decision(jnp.int32(0))

    def update(self, state, batch, key):
        return state, {"value": state}


def test_priorities_that_nobody_tells_are_asked_for():
    with pytest.raises(
        ValueError, match=r'Silent.experience = Prioritised\(...\).*no metric "priority".*give it Replay'
    ):
        advance(Silent(), begun(Silent()), 10)


def test_too_small_a_buffer_is_refused():
    tiny = PLAIN.replace(experience=Replay(10, batch=8, n=5, length=4))
    with pytest.raises(ValueError, match=r"Replay.capacity = 10: 3 environments.* need at least 24"):
        begun(tiny)
    exact = PLAIN.replace(experience=Replay(24, batch=8, n=5, length=4, start=0))
    assert begun(exact).buffer.steps.reward.shape == (8, ENVS)
    with pytest.raises(ValueError, match=r"Replay.capacity = 10"):
        bm.train(tiny, "bellmax:CartPole", steps=100, num_envs=3, run_folder=None, display="quiet", track=())


def test_rewards_cannot_be_scaled_by_what_is_in_no_order(tmp_path):
    with pytest.raises(ValueError, match=r"ScaledRewards.inner = DQN\(...\): it replays .* leave ScaledRewards out"):
        ScaledRewards(PLAIN)
    with pytest.raises(ValueError, match="ScaledRewards"):
        bm.train(PLAIN, "bellmax:CartPole", steps=100, scale_rewards=True, run_folder=tmp_path, display="quiet")
    assert not list(tmp_path.iterdir()), "before there is a folder"
    assert ScaledRewards(PPO()).experience == PPO().experience


# --- statistics -------------------------------------------------------------------------------------------------------


def test_statistics_count_each_step_once_as_it_is_taken():
    """Rounds that only collect count too, and no step counts again when it is replayed."""
    algorithm, env, rounds = Normalised(ALGORITHMS["rounds"]), bm.envs.CartPole(), 20
    run, metrics = advance(algorithm, begun(algorithm, env), rounds, env)
    assert int(metrics["learning_rounds"]) == rounds - 4
    seen = np.asarray(run.buffer.steps.obs)[: int(run.buffer.written)].reshape(-1, 4)
    [moments] = run.state.moments
    assert float(moments.count) == len(seen) == rounds * ENVS * 4
    np.testing.assert_allclose(moments.mean, seen.mean(0), atol=1e-4)
    np.testing.assert_allclose(moments.variance, seen.var(0), rtol=1e-3)
