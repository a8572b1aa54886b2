"""The ring and uniform replay: what is held is drawn evenly, in windows that follow each other, and nothing else is."""

import jax
import numpy as np
import pytest

from bellmax.experience import Replay
from bellmax.experience import ring as rings
from tests.experience.made_up import drawn, example, filled, is_from, kept, numbered, quick, times

CASES = {  # capacity, n, length, rounds, envs
    "before it is full": (Replay(capacity=60, batch=500), 1, 1, 7, 3),
    "written over": (Replay(capacity=60, batch=500), 1, 1, 33, 3),
    "n steps, before it is full": (Replay(capacity=60, batch=500), 3, 1, 7, 3),
    "n steps, written over": (Replay(capacity=60, batch=500), 3, 1, 47, 3),
    "rounds, written over": (Replay(capacity=62, batch=500), 4, 5, 9, 2),
    "rounds, n longer than them": (Replay(capacity=40, batch=500), 7, 4, 8, 2),
    "one window alone": (Replay(capacity=8, batch=500), 4, 2, 5, 2),
}


@pytest.fixture(params=CASES, scope="module")
def case(request):
    experience, n, length, rounds, envs = CASES[request.param]
    experience = experience.replace(n=n, length=length)
    steps = list(numbered(3, rounds, length, envs))
    buffer, fresh = filled(experience, steps)
    rows = experience.capacity // envs // length * length
    first = max(rounds * length - rows, 0)
    return experience, drawn(experience, buffer, fresh, 30), kept(steps), range(first, rounds * length - n + 1), envs


def test_all_windows_that_are_held_are_drawn_alike_and_nothing_else(case):
    _, batch, _, starts, envs = case
    t, env = times(batch)
    assert t.min() == starts[0]
    assert t.max() == starts[-1]
    counts = np.zeros((starts[-1] + 1, envs))
    np.add.at(counts, (t, env), 1)
    even = np.zeros_like(counts)
    even[starts[0] :] = 1 / (len(starts) * envs)
    assert is_from(counts, even)
    counts[starts[0]] += 0.5 * counts[starts[0]]  # the control: one row that is drawn half as often again
    assert len(starts) == 1 or not is_from(counts, even)


def test_a_window_is_what_was_collected_with_weight_0_behind_an_end(case):
    experience, batch, everything, _, _ = case
    t, env = times(batch)
    for i in range(200):
        wanted = everything.window(t[i], env[i], experience.n)
        over = np.concatenate([[False], np.cumsum(wanted.last)[:-1] > 0])
        np.testing.assert_array_equal(batch.weight[:, i], ~over)
        for name in ("obs", "action", "reward", "discount", "last", "next_obs"):
            np.testing.assert_array_equal(getattr(batch, name)[:, i], getattr(wanted, name))
    assert (batch.extras["steps"] == everything.steps.reward.size).all()


def test_padding_is_drawn_with_weight_0():
    experience = Replay(capacity=60, batch=400, n=2)
    steps = list(numbered(5, 25, 1, 3, padding=0.3))
    batch = drawn(experience, *filled(experience, steps), 1)
    t, env = times(batch)
    weight = kept(steps).steps.weight
    assert (batch.weight[0] == weight[t, env]).all()
    assert 0.5 < weight.mean() < 0.9


def test_too_small_a_ring_is_refused_with_the_size_it_needs():
    fresh = next(numbered(0, 1, 2, 3))
    with pytest.raises(ValueError, match=r"Replay.capacity = 23: 3 environments .* need at least 24"):
        Replay(capacity=23, n=7, length=2).empty(example(fresh), 3)
    assert Replay(capacity=24, n=7, length=2).empty(example(fresh), 3).steps.reward.shape == (8, 3)


@pytest.mark.parametrize(("start", "envs", "length", "n"), [(100, 3, 1, 1), (0, 3, 1, 4), (7, 2, 4, 9), (8, 2, 4, 1)])
def test_it_waits_until_there_is_enough_and_no_longer(start, envs, length, n):
    experience = Replay(capacity=1000, start=start, length=length, n=n)
    rounds = experience.waits(envs) + 1  # the last of which learns
    assert rounds * length * envs >= start
    assert rounds * length >= n
    assert rounds == 1 or (rounds - 1) * length * envs < start or (rounds - 1) * length < n


def test_the_ring_is_written_in_place():
    experience = Replay(capacity=40_000, batch=4, n=3)
    fresh = next(numbered(0, 1, 1, 4))
    buffer = quick(lambda: experience.empty(example(fresh), 4))()

    def turn(buffer, key):
        buffer = experience.add(buffer, fresh)
        return buffer, experience.sample(buffer, fresh, key)

    compiled = jax.jit(turn, donate_argnums=0).lower(buffer, jax.random.key(0)).compile()
    memory = compiled.memory_analysis()
    whole = rings.size_in_bytes(buffer)
    assert memory.alias_size_in_bytes >= whole, "what comes out is what went in"
    assert memory.temp_size_in_bytes < whole / 10, "and nothing of its size is made on the way"


def test_many_rings_under_vmap_are_rings_one_by_one():
    experience = Replay(capacity=30, batch=20, n=2)
    streams = [list(numbered(seed, 14, 1, 2)) for seed in (0, 1)]
    alone = [filled(experience, stream) for stream in streams]
    together = jax.tree.map(lambda *x: np.stack(x), *[experience.empty(example(s[0]), 2) for s in streams])
    add = quick(jax.vmap(experience.add))
    for now in zip(*streams):
        fresh = jax.tree.map(lambda *x: np.stack(x), *now)
        together = add(together, fresh)
    keys = jax.random.split(jax.random.key(1), 2)
    both = quick(jax.vmap(experience.sample))(together, fresh, keys)
    for i, (buffer, last) in enumerate(alone):
        one = quick(experience.sample)(buffer, last, keys[i])
        jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[i], y), both, one)  # noqa: B023


def test_after_an_interruption_no_window_goes_on():
    experience = Replay(capacity=60, batch=300, n=3)
    before, after = (list(numbered(seed, 6, 1, 2, ends=0.0)) for seed in (0, 1))
    buffer, _ = filled(experience, before)
    buffer = quick(experience.interrupt)(buffer)
    assert np.asarray(buffer.steps.last)[:6].sum(0).tolist() == [1, 1]
    add = quick(experience.add)
    for fresh in after:
        buffer = add(buffer, fresh._replace(obs=fresh.obs + 6, next_obs=fresh.next_obs + 6))
    batch = drawn(experience, buffer, fresh, 1)
    t, _ = times(batch)
    assert set(t) == set(range(10))
    within = t[None] + np.arange(3)[:, None]
    assert ((batch.weight > 0) == ((within < 6) | (t >= 6))).all()


def test_the_memory_is_what_the_arrays_take():
    fresh = next(numbered(0, 1, 1, 3))
    experience = Replay(capacity=300)
    buffer = experience.empty(example(fresh), 3)
    assert experience.bytes(example(fresh), 3) == sum(x.nbytes for x in jax.tree.leaves(buffer))
    # obs, action, reward, discount, next_obs, weight of 4 bytes, last of 1, and the numbers of rows and of logged ones
    assert experience.bytes(example(fresh), 3) == 300 * 25 + 8
