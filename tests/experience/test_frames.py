"""Frames kept once give back the stacks that were stored whole, bit for bit: both buffers draw with the same key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import spaces
from bellmax.core import Transition
from bellmax.experience import Prioritised, Replay, Sequences
from bellmax.experience import ring as rings
from bellmax.experience.frames import SPARE
from bellmax.spaces import Masked
from tests.experience.made_up import example, quick

ENVS, STACK = 3, 4


def first_stack(draw, fill, size):
    """How environments fill the stack that an episode begins with."""
    frame = draw.integers(256, size=size, dtype=np.uint8)
    older = {"zeros": np.zeros_like, "repeat": np.copy, "anything": lambda x: draw.integers(256, size=size)}[fill]
    return [*(np.uint8(older(frame)) for _ in range(STACK - 1)), frame]


def film(seed, rounds, length, fill, ends, size=(3, 5), padding=0.0):
    """Rounds of steps that look at stacks [length, env, stack, height, width]; both kinds of ending."""
    draw = np.random.default_rng(seed)
    stacks, number = [first_stack(draw, fill, size) for _ in range(ENVS)], 0
    for _ in range(rounds):
        obs, next_obs, last, discount = [], [], [], []
        for _ in range(length):
            obs.append([np.stack(x) for x in stacks])
            stacks = [[*x[1:], draw.integers(256, size=size, dtype=np.uint8)] for x in stacks]
            next_obs.append([np.stack(x) for x in stacks])
            last.append(draw.random(ENVS) < ends)
            discount.append(1.0 - (last[-1] & (draw.random(ENVS) < 0.5)))
            stacks = [first_stack(draw, fill, size) if over else x for x, over in zip(stacks, last[-1])]
        obs, next_obs, last, discount = (np.array(x) for x in (obs, next_obs, last, discount))
        numbers = np.float32(number + np.arange(length)[:, None] + np.zeros(ENVS))
        number += length
        weight = np.float32(draw.random(last.shape) >= padding)
        yield Transition(obs, np.int32(numbers), numbers, np.float32(discount), last, next_obs, {}, weight)


PARTS = {  # what environments show, made of a stack and a number
    "channels first": lambda stack, number: stack,
    "channels last": lambda stack, number: np.moveaxis(stack, 2, -1),
    "in a dict, with others": lambda stack, number: {"a": number, "b": stack, "c": np.moveaxis(stack[..., 1:], 2, -1)},
    "masked": lambda stack, number: Masked((stack, number), stack[:, :, 0, 0] > 99),
}


def shown(rounds, part):
    for x in rounds:
        yield x._replace(obs=PARTS[part](x.obs, x.reward), next_obs=PARTS[part](x.next_obs, x.reward + 1))


def whole(rounds, slots):
    """Of every step [time, env]: are its frames among the last `slots` of its environment?"""
    last, weight = (np.concatenate([getattr(x, name) for x in rounds]) for name in ("last", "weight"))
    held = np.zeros(last.shape, bool)
    for env in range(ENVS):
        written, oldest, follows = 0, [], False
        for over, there in zip(last[:, env], weight[:, env]):
            written += 1 if follows else STACK + 1
            oldest.append(written - STACK - 1)
            follows = there > 0 and not over
        held[:, env] = written - np.array(oldest) <= slots
    return held


REPLAY = Replay(capacity=ENVS * 40, batch=400, frames=STACK)
RANKED = Prioritised(capacity=ENVS * 40, batch=400, frames=STACK, beta=0.5)
STRETCHES = Sequences(capacity=ENVS * 40, batch=60, window=6, burn_in=3, length=2, frames=STACK)
CASES = {  # experience, rounds, fill, part, ends, padding
    "zeros": (REPLAY, 30, "zeros", "channels first", 0.1, 0.0),
    "repeat, written over": (REPLAY, 90, "repeat", "channels last", 0.04, 0.0),
    "anything, many ends, n steps": (REPLAY.replace(n=3), 130, "anything", "in a dict, with others", 0.2, 0.0),
    "rounds, padding, a mask": (REPLAY.replace(n=2, length=5), 33, "zeros", "masked", 0.05, 0.05),
    "prioritised": (RANKED.replace(n=3), 90, "zeros", "channels first", 0.03, 0.0),
    "sequences": (STRETCHES, 70, "zeros", "channels last", 0.1, 0.0),
}


@pytest.mark.parametrize("name", CASES)
def test_frames_are_the_same_as_naive_storage(name):
    experience, rounds, fill, part, ends, padding = CASES[name]
    plain = list(film(len(name), rounds, experience.length, fill, ends, padding=padding))
    steps, batches = list(shown(plain, part)), []
    for storage in (experience, experience.replace(frames=0)):
        buffer, add = storage.empty(example(steps[0]), ENVS), quick(storage.add, donate_argnums=0)
        for fresh in steps:
            buffer = add(buffer, fresh)
        batches.append(jax.tree.map(np.asarray, quick(storage.sample)(buffer, fresh, jax.random.key(0))))
    thin, naive = batches
    held = whole(plain, 40 + 40 // SPARE + (STACK + 1) * experience.length)
    there = held[naive.action, env_of(naive, plain)]
    np.testing.assert_array_equal(thin.weight, np.where(there, naive.weight, 0))
    assert jax.tree.structure(thin.obs) == jax.tree.structure(naive.obs)
    for one, other in zip(jax.tree.leaves((thin.obs, thin.next_obs)), jax.tree.leaves((naive.obs, naive.next_obs))):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(one[there], other[there])
    assert (naive.last & (naive.discount == 0)).any()
    assert (naive.last & (naive.discount == 1)).any()
    assert there.mean() > 0.5
    if ends > 0.1 and rounds > 100:
        assert not there.all(), "the oldest steps of short episodes are gone"
        gone = ~there
        pairs = zip(jax.tree.leaves(thin.obs), jax.tree.leaves(naive.obs))
        assert any((x[gone] != y[gone]).any() for x, y in pairs), "and would be wrong"


def env_of(batch, rounds):
    """The environment of every sampled step, known by its stack."""
    seen = np.concatenate([x.obs for x in rounds])
    images = next(x for x in jax.tree.leaves(batch.obs) if x.dtype == np.uint8 and STACK in x.shape[2:])
    images = np.moveaxis(images, -1, 2) if images.shape[-1] == STACK else images
    same = (seen[batch.action] == images[:, :, None]).all((-1, -2, -3))
    assert (same.sum(-1) == 1).all()
    return same.argmax(-1)


def test_frames_are_gone_when_they_are_written_over_and_not_before():
    add, seen = quick(REPLAY.add), quick(lambda *now: rings.windows(*now, 1).weight[0])
    steps = list(film(5, 75, 1, "zeros", 0.15))
    buffer, env = REPLAY.empty(example(steps[0]), ENVS), np.arange(ENVS)
    for time, fresh in enumerate(steps):
        buffer = add(buffer, fresh)
        if time >= 45:
            held = np.stack([seen(buffer, jnp.full(ENVS, t), env) for t in range(time - 39, time + 1)])
            np.testing.assert_array_equal(held, whole(steps[: time + 1], 40 + 40 // SPARE + STACK + 1)[-40:])


def test_an_interrupted_run_goes_on_with_other_stacks():
    experience = REPLAY.replace(batch=2000)
    one, other = (list(film(seed, 8, 1, "anything", 0.0)) for seed in (0, 1))
    other = [x._replace(action=x.action + 8) for x in other]
    buffer, add = experience.empty(example(one[0]), ENVS), quick(experience.add)
    for fresh in one:
        buffer = add(buffer, fresh)
    buffer = experience.interrupt(buffer)
    for fresh in other:
        buffer = add(buffer, fresh)
    batch = jax.tree.map(np.asarray, quick(experience.sample)(buffer, fresh, jax.random.key(0)))
    env = env_of(batch, one + other)
    for name in ("obs", "next_obs"):
        np.testing.assert_array_equal(
            getattr(batch, name), np.concatenate([getattr(x, name) for x in one + other])[batch.action, env]
        )


def test_what_lost_its_frames_is_drawn_once_at_most():
    experience = RANKED.replace(batch=2000)
    buffer, add = experience.empty(example(next(film(0, 1, 1, "zeros", 0.3))), ENVS), quick(experience.add)
    for fresh in film(0, 120, 1, "zeros", 0.3):
        buffer = add(buffer, fresh)
    sample, reweigh = quick(experience.sample), quick(experience.reweigh)
    batch = sample(buffer, fresh, jax.random.key(0))
    assert 0.1 < (batch.weight == 0).mean() < 0.8
    buffer = reweigh(buffer, batch, jnp.where(batch.weight[0] > 0, 1.0, 1e9))
    assert float(buffer.highest) < 2, "what is gone has no say in what is most surprising"
    assert (sample(buffer, fresh, jax.random.key(1)).weight > 0).all()


def test_what_is_no_stack_is_refused():
    step = example(next(film(0, 1, 1, "zeros", 0.0)))
    with pytest.raises(
        ValueError, match=r"Replay.frames = 3: the observation has uint8\[4, 3, 5\], but no .* frames=0"
    ):
        REPLAY.replace(frames=3).empty(step, ENVS)
    numbers = step._replace(obs=jax.ShapeDtypeStruct((4, 8, 8), jnp.float32))
    with pytest.raises(ValueError, match=r"float32\[4, 8, 8\]"):
        REPLAY.empty(numbers, ENVS)


def atari(num_envs, **settings):
    obs = jax.eval_shape(lambda: spaces.zeros(spaces.Box((4, 84, 84), 0, 255, "uint8")))
    number, flag = jax.ShapeDtypeStruct((), jnp.float32), jax.ShapeDtypeStruct((), bool)
    step = Transition(obs, jax.ShapeDtypeStruct((), jnp.int32), number, number, flag, obs, {}, number)
    return Replay(capacity=1_000_000, **settings).bytes(step, num_envs)


@pytest.mark.parametrize("num_envs", [1, 8])
def test_a_million_steps_of_atari_take_7_gigabytes(num_envs):
    # 84 * 84 = 7,056 bytes a frame, one in 64 more; action, reward, discount, weight and the frame's number take 4
    # bytes each, `last` takes 1. A few frames more make room for the newest steps.
    by_hand = 1_000_000 * (7_056 * (1 + 1 / 64) + 21)
    assert atari(num_envs, frames=4) == pytest.approx(by_hand, rel=1e-4)
    assert by_hand < 7.2e9
    assert atari(num_envs) == pytest.approx(1_000_000 * (2 * 4 * 7_056 + 17), rel=1e-6)  # 56 GB


def test_frames_are_written_in_place():
    experience = Replay(capacity=6_000, batch=2, frames=STACK)
    fresh = next(film(0, 1, 1, "zeros", 0.0, size=(12, 12)))
    buffer = quick(lambda: experience.empty(example(fresh), ENVS))()

    def turn(buffer, key):
        buffer = experience.add(buffer, fresh)
        return buffer, experience.sample(buffer, fresh, key)

    memory = jax.jit(turn, donate_argnums=0).lower(buffer, jax.random.key(0)).compile().memory_analysis()
    assert memory.alias_size_in_bytes >= experience.bytes(example(fresh), ENVS)
    assert memory.temp_size_in_bytes < experience.bytes(example(fresh), ENVS) / 10
