"""Stretches for learners with a memory: whole, in order, the burn-in without weight, over the end of episodes."""

import numpy as np
import pytest

from bellmax.experience import Sequences
from tests.experience.made_up import drawn, example, filled, is_from, kept, numbered, times

ENVS = 2


def with_memory(rounds):
    """The memory before a step says which step it is."""
    for x in rounds:
        yield x._replace(extras={"memory": np.stack([x.obs, -x.obs], -1)})


CASES = {
    "before it is full": (Sequences(capacity=120, batch=400, window=5, burn_in=3), 25, 0.0),
    "written over, no burn-in": (Sequences(capacity=60, batch=400, window=6, burn_in=0), 77, 0.0),
    "rounds, padding": (Sequences(capacity=60, batch=400, window=4, burn_in=2, length=5), 11, 0.2),
}


@pytest.fixture(params=CASES, scope="module")
def case(request):
    experience, rounds, padding = CASES[request.param]
    steps = list(with_memory(numbered(6, rounds, experience.length, ENVS, padding=padding)))
    return experience, drawn(experience, *filled(experience, steps), 20), kept(steps)


def test_they_are_drawn_evenly_and_never_across_the_write_position(case):
    experience, batch, everything = case
    time = len(everything.steps.reward)
    first, last = max(time - experience.capacity // ENVS, 0), time - experience.window - experience.burn_in
    counts, even = np.zeros((2, last + 1, ENVS))
    t, env = times(batch)
    assert t.min() == first
    assert t.max() == last
    np.add.at(counts, (t, env), 1)
    even[first:] = 1 / even[first:].size
    assert is_from(counts, even)


def test_they_are_what_was_collected_and_only_the_window_weighs(case):
    experience, batch, everything = case
    whole = experience.burn_in + experience.window
    assert batch.reward.shape == (whole, 20 * 400)
    crossing = 0
    for i, (t, env) in enumerate(zip(*times(batch))):
        if i == 200:
            break
        wanted = everything.window(t, env, whole)
        learned = np.arange(whole) >= experience.burn_in
        np.testing.assert_array_equal(batch.weight[:, i], wanted.weight * learned)
        for name in ("obs", "action", "reward", "discount", "last", "next_obs"):
            np.testing.assert_array_equal(getattr(batch, name)[:, i], getattr(wanted, name))
        np.testing.assert_array_equal(batch.extras["memory"][:, i], wanted.extras["memory"])
        crossing += wanted.last[:-1].any() and batch.weight[-1, i] > 0
    assert crossing > 20
    assert (batch.extras["steps"] == everything.steps.reward.size).all()


def test_it_waits_for_a_whole_stretch_and_refuses_a_ring_that_holds_none():
    experience = Sequences(capacity=100, window=20, burn_in=10, length=4, start=0)
    assert experience.waits(3) == 7, "8 rounds of 4 are 32, the 8th learns"
    step = example(next(with_memory(numbered(0, 1, 4, 3))))
    with pytest.raises(ValueError, match=r"Sequences.capacity = 80: .* windows of 30, need at least 96"):
        experience.replace(capacity=80).empty(step, 3)
    # of 4 bytes: obs, action, reward, discount, next_obs, weight and two numbers of memory; last has 1; and two counts
    assert experience.bytes(step, 3) == 96 * 33 + 8


def test_the_train_ratio_is_what_is_learned_from_over_what_is_collected():
    """2 batches of 16 x 64 steps a round = 2,048, over 4 steps of each of 2 environments = 8; a burn-in counts not."""
    assert Sequences(batch=16, window=64, burn_in=9, length=4, updates=2).train_ratio(2) == 256
