"""Logged steps in a replay buffer before the run's first step: those that were logged, in order, and no clock."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.contract.test_contract import bits
from tests.experience.made_up import is_from, quick

from bellmax import Prioritised, QLearning, Replay, Sequences
from bellmax.core import Transition
from bellmax.drivers import fleet, hosted, ingraph
from bellmax.drivers.prefill import PIECE, in_rounds, prefilled
from bellmax.envs.adaptors.as_gymnasium import AsGymnasium
from bellmax.envs.names import find
from bellmax.envs.random_walk import RandomWalk
from bellmax.experience import ring

WORLD = RandomWalk(states=50)
TABLE = QLearning(experience=Replay(60, batch=8, start=10))


def logged(count, ends=()):
    """Steps 0, 1, 2, ... whose rewards are their numbers; the next observation is a half on."""
    time, last = np.arange(count, dtype=np.int32), np.isin(np.arange(count), (*ends, count - 1))
    discount, ones = np.ones(count, np.float32), np.ones(count, np.float32)
    return Transition(time % 50, time % 2, np.float32(time), discount, last, (time + 1) % 50, {"time": time}, ones)


def test_steps_become_rounds_of_every_environment():
    """By hand: 7 steps, 2 environments, rounds of 3: the first gets 0 1 2 3 and the second 4 5 6, behind padding."""
    (rounds,) = in_rounds(logged(7, ends=(1, 4)), 3, 2)
    there = rounds.weight.reshape(6, 2)
    assert there.T.tolist() == [[0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1]]
    assert rounds.reward.shape == (2, 3, 2)
    assert rounds.reward.reshape(6, 2).T.tolist() == [[0, 0, 0, 1, 2, 3], [0, 0, 0, 4, 5, 6]]
    last = rounds.last.reshape(6, 2).T
    assert last[0, 2:].tolist() == [False, True, False, True], "the stretch ends where the other one begins"
    assert last[1, 3:].tolist() == [True, False, True]
    assert (rounds.discount.reshape(6, 2)[there > 0] == 1).all(), "which is a cut and no termination"
    assert rounds.extras == {}
    assert next(in_rounds(logged(4), 1, 1)).weight.all(), "rounds of one step leave nothing to fill up"
    pieces = list(in_rounds(logged(2 * PIECE + 10), 1, 2))
    assert len(pieces) == 3, "the device gets them piece by piece"
    first, second = np.concatenate([piece.reward for piece in pieces])[:, 0].T
    assert first.tolist() == list(range(PIECE + 5))
    assert second.tolist() == list(range(PIECE + 5, 2 * PIECE + 10))


@pytest.fixture(scope="module")
def begun():
    return jax.jit(ingraph.start, static_argnums=3)(TABLE, WORLD, jax.random.key(0), 2)


def filled(experience, steps, num_envs=2):
    run = ingraph.start(TABLE.replace(experience=experience), WORLD, jax.random.key(0), num_envs)
    return prefilled(TABLE.replace(experience=experience), run, steps, num_envs)


@pytest.mark.parametrize(
    "experience",
    [
        Replay(60, batch=400, n=3),
        Replay(64, batch=400, n=3, length=4),
        Prioritised(64, batch=400, n=3, length=2, beta=0.5),
        Sequences(60, batch=400, window=2, burn_in=1),
    ],
    ids=lambda experience: type(experience).__name__ + str(experience.length),
)
def test_windows_hold_steps_that_followed_each_other(experience):
    steps = logged(37, ends=(5, 20))
    run = filled(experience, steps)
    batch = quick(experience.sample)(run.buffer, jax.tree.map(lambda x: x[:, None], steps), jax.random.key(1))
    weight, reward = np.asarray(batch.weight), np.asarray(batch.reward)
    both = (weight[1:] > 0) & (weight[:-1] > 0)
    follows = (reward[1:] == reward[:-1] + 1) | np.asarray(batch.last)[:-1]
    assert follows[both].all()
    assert set(np.unique(reward[weight > 0])) >= set(range(1, 37)) - {19}, "all but what may only warm up"
    assert (np.asarray(batch.extras["steps"]) == 0).all(), "the run has not taken a step"
    assert int(run.round) * experience.length * 2 >= 37
    assert int(ring.of(run.buffer).written) == int(ring.of(run.buffer).logged) == int(run.round) * experience.length


def test_half_of_a_batch_is_logged_and_the_other_half_the_runs_own():
    """6 rows logged by others, then k own of 9; numbers by hand, drawn evenly within each half."""
    experience = Replay(9, batch=4000, symmetric=True)
    buffer, add, sample = filled(experience, logged(6), 1).buffer, quick(experience.add), quick(experience.sample)

    def drawn(buffer):
        reward = sample(buffer, None, jax.random.key(2)).reward[0]
        return [np.bincount(np.int64(half), minlength=20)[:20] for half in np.split(np.asarray(reward), 2)]

    even = lambda low, high: [1 / (high - low) if low <= i < high else 0 for i in range(20)]
    own = jax.tree.map(lambda x: jnp.asarray(x)[:, None], logged(20)._replace(extras={}))
    alone = drawn(buffer)
    assert all(is_from(half, even(0, 6)) for half in alone), "there are no others yet"
    for k, theirs, ours in ((2, (0, 6), (6, 8)), (3, (0, 6), (6, 9)), (5, (2, 6), (6, 11)), (9, (6, 15), (6, 15))):
        full = buffer
        for i in range(6, 6 + k):
            full = add(full, jax.tree.map(lambda x: x[i : i + 1], own))  # noqa: B023
        first, second = drawn(full)
        assert is_from(first, even(*theirs)), k
        assert is_from(second, even(*ours)), k
    plain = quick(Replay(9, batch=4000).sample)(full, None, jax.random.key(2)).reward
    assert bits(plain) == bits(sample(full, None, jax.random.key(2)).reward), "all are its own by now"


def test_waiting_ends_with_what_was_logged_and_runs_side_by_side_are_the_same():
    """Learning begins behind 10 steps, in the fifth round: 37 steps are 19 rounds, and 5 are 3, with padding."""
    for count, learning in ((37, 4), (5, 3)):
        run = filled(TABLE.experience, logged(count))
        total = ingraph.advance(TABLE, WORLD, run, jnp.int32(4), jnp.int32(10**9))[1]
        assert int(total["learning_rounds"]) == learning
    fleets = [fleet.Fleet([TABLE] * 2, WORLD, (0, 1), 2, stacked=stacked) for stacked in (True, False)]
    for one in fleets:
        one.begin_as(lambda seed, run: prefilled(TABLE, run, logged(37 + seed), 2))
    assert bits(fleets[0].runs) == bits(fleets[1].runs)
    assert fleets[0].runs.buffer.steps.reward[:, 18].tolist() == [[18, 36], [18, 37]]


@pytest.mark.parametrize("host", [None, jax.devices()[0]], ids=["on the device", "with the host"])
def test_the_hosted_driver_begins_with_the_same_steps_and_the_same_state(host, begun):
    envs = find(lambda: AsGymnasium(WORLD)).vector(2, 0)
    try:
        drive = hosted.Drive(TABLE, envs, jax.random.key(0), host=host)
        drive.begin_as(lambda run: prefilled(TABLE, run, logged(37), 2))
        before = drive.run
        there = prefilled(TABLE, jax.tree.map(jnp.copy, begun), logged(37), 2)
        assert bits((before.state, before.buffer, before.round)) == bits((there.state, there.buffer, there.round))
        assert drive.advance(3, 10**9)["learning_rounds"] == 3
        after = drive.run.buffer
        assert (int(after.written), int(after.logged)) == (19 + 3, 19)
        assert after.steps.reward[:19].tolist() == before.buffer.steps.reward[:19].tolist()
    finally:
        envs.close()


@pytest.mark.parametrize(("num_envs", "length"), [(2, 1), (3, 4)])
def test_pictures_that_are_kept_once_come_back_as_they_were_logged(num_envs, length):
    """Stacks of three frames, also where a stretch begins within an episode, and behind padding."""
    draw, stacks, last = np.random.default_rng(0), [], []
    for count in (7, 12, 5, 20, 9):
        seen = draw.integers(0, 255, (count + 1, 2, 2), dtype=np.uint8)[[0, 0, *range(count + 1)]]
        stacks += [(seen[t : t + 3], seen[t + 1 : t + 4]) for t in range(count)]
        last += [t == count - 1 for t in range(count)]
    obs, next_obs = (np.array(x) for x in zip(*stacks))
    steps = logged(len(last))._replace(obs=obs, next_obs=next_obs, last=np.array(last), extras={})
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), steps)

    def drawn(frames):
        replay = Replay(capacity=96, batch=200, n=3, length=length, frames=frames)
        (rounds,), add = in_rounds(steps, length, num_envs), quick(replay.add)
        buffer = replay.empty(shapes, num_envs)
        for i in range(len(rounds.reward)):
            buffer = add(buffer, jax.tree.map(lambda x: x[i], rounds))  # noqa: B023
        return quick(replay.sample)(buffer, None, jax.random.key(1))

    whole, kept = drawn(0), drawn(3)
    there = np.asarray(whole.weight) > 0
    assert (np.asarray(kept.weight) == whole.weight).all()
    assert there.mean() > 0.7
    for one, other in ((whole.obs, kept.obs), (whole.next_obs, kept.next_obs)):
        assert (np.asarray(one)[there] == np.asarray(other)[there]).all()
