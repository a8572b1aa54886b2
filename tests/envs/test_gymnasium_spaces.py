"""Gymnasium's spaces and the arrays that go with them, there and back."""

import math

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces as gs

from bellmax.envs.adaptors.gymnasium import HostedSource, UnsupportedSpace
from bellmax.envs.adaptors.gymnasium_spaces import action, observation, rows_of, stacked, with_rows
from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete

HUGE = float(np.finfo(np.float32).max)
BOXES = [
    (gs.Box(-2, 3, (2,), np.float32), Box((2,), -2.0, 3.0, "float32")),
    (gs.Box(-2, 3, (), np.float64), Box((), -2.0, 3.0, "float32")),
    (gs.Box(0, 255, (4, 4, 3), np.uint8), Box((4, 4, 3), 0.0, 255.0, "uint8")),
    (gs.Box(np.array([[0, 1]]), np.array([[2, 2]]), dtype=np.int16), Box((1, 2), (0.0, 1.0), 2.0, "int16")),
    (gs.Box(-5, 5, (1,), np.int64), Box((1,), -5.0, 5.0, "int32")),
    (gs.Box(0, 2**40, (1,), np.int64), Box((1,), 0.0, 2.0**40, "float32")),  # would wrap around in 32 bits
    (gs.Box(-HUGE, HUGE, (1,), np.float32), Box((1,), -math.inf, math.inf, "float32")),  # no bound at all
    (gs.Box(-np.inf, 1, (1,), np.float32), Box((1,), -math.inf, 1.0, "float32")),
]


@pytest.mark.parametrize(("theirs", "ours"), BOXES)
def test_boxes(theirs, ours):
    space, read = observation(theirs, copy=True, where="x")
    assert space == ours
    batch = np.stack([theirs.sample(), theirs.sample()])
    got = read(batch)
    assert got.dtype == ours.dtype
    np.testing.assert_array_equal(got, batch.astype(ours.dtype))
    assert not np.shares_memory(got, batch)


def test_reading_copies_only_when_asked():
    batch = np.zeros((2, 3), np.float32)
    _, read = observation(gs.Box(-1, 1, (3,)), copy=False, where="x")
    assert read(batch) is batch


@pytest.mark.parametrize(
    ("theirs", "ours", "raw", "expected"),
    [
        (gs.Discrete(3), Discrete(3), [2, 0], [2, 0]),
        (gs.Discrete(3, start=-1), Discrete(3), [-1, 1], [0, 2]),
        (gs.Discrete(3, start=250, dtype=np.uint8), Discrete(3), np.uint8([250, 252]), [0, 2]),
        (gs.MultiDiscrete([2, 3]), MultiDiscrete((2, 3)), [[1, 2], [0, 1]], [[1, 2], [0, 1]]),
        (gs.MultiDiscrete([2, 3], start=[5, -1]), MultiDiscrete((2, 3)), [[6, 1], [5, 0]], [[1, 2], [0, 1]]),
        (gs.MultiDiscrete([[2], [3]]), MultiDiscrete((2, 3)), [[[1], [2]], [[0], [1]]], [[1, 2], [0, 1]]),
        (gs.MultiBinary(2), MultiBinary(2), np.int8([[1, 0], [0, 0]]), [[1, 0], [0, 0]]),
        (gs.MultiBinary((2, 1)), MultiBinary(2), np.int8([[[1], [0]], [[0], [1]]]), [[1, 0], [0, 1]]),
    ],
)
def test_choices_are_counted_from_zero_both_ways(theirs, ours, raw, expected):
    raw = np.asarray(raw)
    space, read = observation(theirs, copy=True, where="x")
    assert space == ours
    assert read(raw).dtype == np.int32
    np.testing.assert_array_equal(read(raw), expected)
    same, write = action(theirs, where="x")
    written = write(np.array(expected, np.int32))
    assert same == ours
    assert written.dtype == theirs.dtype
    np.testing.assert_array_equal(written, raw)
    assert all(theirs.contains(one) for one in written)


def test_box_actions_may_be_changed_by_the_environment():
    given = np.zeros((2, 1), np.float32)
    given.flags.writeable = False  # as JAX's arrays are
    space, write = action(gs.Box(-1, 1, (1,), np.float64), where="x")
    written = write(given)
    written += 1
    assert space == Box((1,), -1.0, 1.0, "float32")
    assert written.dtype == np.float64
    assert given.sum() == 0


def test_integer_boxes_are_rounded():
    _, write = action(gs.Box(0, 9, (1,), np.int32), where="x")
    assert write(np.float32([[2.6], [3.4]])).tolist() == [[3], [3]]


NESTED = gs.Dict({"b": gs.Tuple((gs.Discrete(2, start=4), gs.Box(-9, 9, (2,)))), "a": gs.Box(0, 1, (1,), np.float64)})


def test_nested_observations():
    space, read = observation(NESTED, copy=True, where="x")
    assert list(space) == ["a", "b"]
    assert space == {"a": Box((1,), 0.0, 1.0), "b": (Discrete(2), Box((2,), -9.0, 9.0))}
    items = [{"a": np.array([0.25 * i]), "b": (4 + i, np.float32([i, -i]))} for i in range(2)]
    got = read(stacked(NESTED, items))
    assert got["a"].tolist() == [[0], [0.25]]
    assert got["a"].dtype == np.float32
    assert got["b"][0].tolist() == [0, 1]
    assert got["b"][1].tolist() == [[0, 0], [1, -1]]


def test_replacing_rows_leaves_the_original_alone():
    batch = Masked({"a": np.arange(3)}, np.ones((3, 2), bool))
    new = Masked({"a": np.array([7])}, np.zeros((1, 2), bool))
    changed = with_rows(batch, np.array([1]), new)
    assert isinstance(changed, Masked)
    assert changed.obs["a"].tolist() == [0, 7, 2]
    assert changed.legal.tolist() == [[True] * 2, [False] * 2, [True] * 2]
    assert batch.obs["a"].tolist() == [0, 1, 2]
    assert rows_of(batch, np.array([2]))[0]["a"].tolist() == [2]


class Still(gym.Env):
    """Any spaces; shows the same thing for ever."""

    def __init__(self, shown=None, obs=None, act=None):
        self.shown, self.observation_space = shown, obs or gs.Discrete(1)
        self.action_space = act or gs.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return self.shown, {}

    def step(self, action):
        self.received = action
        return self.shown, 0.0, False, False, {}


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"obs": gs.Dict({"chat": gs.Text(3)})}, "Still: observation_space['chat'] is Text"),
        ({"obs": gs.Tuple((gs.Discrete(2), gs.Sequence(gs.Discrete(2))))}, "Still: observation_space[1] is Sequence"),
        ({"obs": gs.Graph(gs.Discrete(2), None)}, "gymnasium.wrappers.TransformObservation"),
        ({"act": gs.Dict({"a": gs.Discrete(2)})}, "Still: action_space is Dict"),
        ({"act": gs.Tuple((gs.Discrete(2),))}, "flatten a Dict or Tuple of choices into a MultiDiscrete"),
        ({"act": gs.Text(3)}, "gymnasium.wrappers.TransformAction"),
    ],
)
def test_unsupported_spaces(kwargs, words):
    for attempt in (lambda source: source.vector(1, seed=0), lambda source: source.check()):
        with pytest.raises(UnsupportedSpace) as caught:
            attempt(HostedSource(Still, {"shown": 0, **kwargs}))
        assert words in str(caught.value)


def test_the_environment_receives_its_own_kind_of_action():
    hosted = HostedSource(Still, {"shown": 0, "act": gs.MultiDiscrete([[2, 2]], start=[[3, 0]])}).vector(1, seed=0)
    hosted.reset()
    hosted.step(np.array([[1, 0]], np.int32))
    received = hosted._vector.envs[0].unwrapped.received
    assert received.tolist() == [[4, 0]]
    assert received.dtype == np.int64


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_nested_final_observations(vectorization):
    hosted = HostedSource(_nest, vectorization=vectorization).vector(2, seed=0)
    hosted.reset()
    hosted.step(np.array([0, 0]))
    arrival = hosted.step(np.array([0, 1]))
    hosted.close()
    assert arrival.next_obs["b"][0].tolist() == [1, 1]
    assert arrival.next_obs["a"].ravel().tolist() == [0.5, 0.5]
    assert arrival.obs["b"][0].tolist() == [1, 0]
    assert arrival.obs["a"].ravel().tolist() == [0.5, 0]
    assert arrival.obs["b"][1].tolist() == [[2, -2], [0, 0]]
    assert arrival.next_obs["b"][1].tolist() == [[2, -2], [2, -2]]


class Nest(gym.Env):
    """Counts its steps in three places; action 1 ends the episode."""

    observation_space, action_space = NESTED, gs.Discrete(2)

    def _show(self):
        t = self.t
        return {"a": np.array([t / 4]), "b": (4 + min(t, 1), np.float32([t, -t]))}

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return self._show(), {}

    def step(self, action):
        self.t += 1
        return self._show(), 0.0, bool(action), False, {}


def _nest():
    return Nest()
