"""Steps of hosted environments against a world small enough to work everything out by hand."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from bellmax.envs.adaptors.gymnasium import HostedSource
from bellmax.spaces import Box, Discrete

SAME, NEXT, DISABLED = AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED
GO, TERMINATE, TRUNCATE, BOTH = range(4)


class Clock(gym.Env):
    """Shows [episode, steps in it]; the reward is 10 episode + steps; the action says how the episode goes on.

    It is nasty on purpose: it hands out its own buffer, which the next step or reset overwrites.
    """

    def __init__(self):
        self.observation_space, self.action_space = gym.spaces.Box(-1, 99, (2,)), gym.spaces.Discrete(4)
        self.shown, self.episode = np.zeros(2, np.float32), -1

    def reset(self, *, seed=None, options=None):
        self.episode = 0 if seed is not None else self.episode + 1
        self.shown[:] = self.episode, 0
        return self.shown, {}

    def step(self, action):
        self.shown[1] += 1
        terminated, truncated = action in (TERMINATE, BOTH), action in (TRUNCATE, BOTH)
        return self.shown, 10.0 * self.episode + float(self.shown[1]), terminated, truncated, {}


# One row a step, two environments. Environment 0 terminates in its second step, and its next episode in its second
# step by both flags at once, which counts as terminated; environment 1 is cut short in its third step.
ACTIONS = [[GO, GO], [TERMINATE, GO], [GO, TRUNCATE], [BOTH, GO], [GO, GO]]
IN_PLACE = {  # the reset is in the step that ends the episode: five transitions each
    "next_obs": [[(0, 1), (0, 1)], [(0, 2), (0, 2)], [(1, 1), (0, 3)], [(1, 2), (1, 1)], [(2, 1), (1, 2)]],
    "reward": [[1, 1], [2, 2], [11, 3], [12, 11], [21, 12]],
    "discount": [[1, 1], [0, 1], [1, 1], [0, 1], [1, 1]],
    "last": [[0, 0], [1, 0], [0, 1], [1, 0], [0, 0]],
    "weight": [[1, 1]] * 5,
    "obs": [[(0, 1), (0, 1)], [(1, 0), (0, 2)], [(1, 1), (1, 0)], [(2, 0), (1, 1)], [(2, 1), (1, 2)]],
}
# The reset takes the step after: its row has weight 0 and leads nowhere, and its action is not heard. So
# environment 0 ends its second episode, by both flags, after a single step (reward 11), and then resets again.
ONE_LATER = {
    "next_obs": [[(0, 1), (0, 1)], [(0, 2), (0, 2)], [(0, 2), (0, 3)], [(1, 1), (0, 3)], [(1, 1), (1, 1)]],
    "reward": [[1, 1], [2, 2], [0, 3], [11, 0], [0, 11]],
    "discount": [[1, 1], [0, 1], [0, 1], [0, 0], [0, 1]],
    "last": [[0, 0], [1, 0], [1, 1], [1, 1], [1, 0]],
    "weight": [[1, 1], [1, 1], [0, 1], [1, 0], [0, 1]],
    "obs": [[(0, 1), (0, 1)], [(0, 2), (0, 2)], [(1, 0), (0, 3)], [(1, 1), (1, 0)], [(2, 0), (1, 1)]],
}


def ready(kind, mode, **options):
    """A vector environment as a user would pass it."""
    if kind is AsyncVectorEnv:
        options["context"] = "forkserver"
    return kind([Clock] * 2, autoreset_mode=mode, **options)


def check_steps(hosted, expected):
    """Every field of every step, read only at the end: nothing returned earlier may have changed by then."""
    start = hosted.reset()
    arrivals = [hosted.step(np.array(row, np.int32)) for row in ACTIONS]
    np.testing.assert_array_equal(start, [(0, 0), (0, 0)])
    for name, rows in expected.items():
        for t, (arrival, row) in enumerate(zip(arrivals, rows)):
            value = getattr(arrival, name)
            np.testing.assert_array_equal(value, row, err_msg=f"{name} of step {t}")
            assert value.dtype == (bool if name == "last" else np.float32), name


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_steps_of_own_vector(vectorization):
    hosted = HostedSource(Clock, vectorization=vectorization).vector(2, seed=3)
    check_steps(hosted, IN_PLACE)
    hosted.close()


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
@pytest.mark.parametrize(("mode", "expected"), [(DISABLED, IN_PLACE), (NEXT, ONE_LATER)])
@pytest.mark.parametrize("copy", [True, False])
def test_steps_of_ready_vectors(kind, mode, expected, copy):
    vector = ready(kind, mode, copy=copy)
    check_steps(HostedSource(vector).vector(2, seed=0), expected)
    vector.close()


def test_ready_same_step_vector_of_well_behaved_environments():
    # Gymnasium keeps the very buffer that Clock overwrites, so a vector that is not ours needs a copying Clock.
    vector = SyncVectorEnv([lambda: gym.wrappers.TransformObservation(Clock(), np.copy, None)] * 2, autoreset_mode=SAME)
    check_steps(HostedSource(vector).vector(2, seed=0), IN_PLACE)


def test_a_wrapped_vector_and_a_reset_in_the_middle_of_an_autoreset():
    hosted = HostedSource(gym.wrappers.vector.RescaleObservation(ready(SyncVectorEnv, NEXT), -1, 99)).vector(2, 0)
    check_steps(hosted, ONE_LATER)
    assert hosted.step(np.array([GO, TERMINATE])).last[1]
    check_steps(hosted, ONE_LATER)  # the reset that was due has been done


def test_next_step_padding_returns_nothing_to_the_score():
    """The sum of weight x reward is the true return, episode by episode: 1 + 2, then 11 (environment 0)."""
    hosted = HostedSource(ready(SyncVectorEnv, NEXT)).vector(2, seed=0)
    hosted.reset()
    steps = [hosted.step(np.array(row)) for row in ACTIONS]
    assert sum(float(step.weight[0] * step.reward[0]) for step in steps) == 1 + 2 + 11
    assert sum(bool(step.last[0]) and step.weight[0] == 1 for step in steps) == 2


def test_mode_may_be_a_word_but_not_missing():
    vector = ready(SyncVectorEnv, NEXT)
    vector.metadata["autoreset_mode"] = "NextStep"
    check_steps(HostedSource(vector).vector(2, seed=0), ONE_LATER)
    del vector.metadata["autoreset_mode"]
    with pytest.raises(ValueError, match=r"autoreset_mode.*is None.*SAME_STEP, NEXT_STEP and DISABLED"):
        HostedSource(vector).vector(2, seed=0)


def test_gymnasium_time_limit_is_no_termination():
    hosted = HostedSource("CartPole-v1", {"max_episode_steps": 3}).vector(2, seed=0)
    first = hosted.reset()
    steps = [hosted.step(np.array([t % 2, t % 2])) for t in range(3)]
    assert [step.last.tolist() for step in steps] == [[False] * 2, [False] * 2, [True] * 2]
    assert all((step.discount == 1).all() for step in steps)
    # CartPole starts within 0.05 of 0 and three pushes move the cart on: the last observation is not a start.
    assert (np.abs(steps[2].obs) <= 0.05).all()
    assert (np.abs(steps[2].next_obs[:, 1]) > 0.1).all()
    env = gym.make("CartPole-v1")
    env.reset()
    env.unwrapped.state = first[0].astype(np.float64)
    by_hand = [env.step(t % 2)[0] for t in range(3)]
    np.testing.assert_allclose(steps[2].next_obs[0], by_hand[2], atol=1e-6)


def test_spec():
    spec = HostedSource(Clock).vector(3, seed=0).spec
    assert spec == (Box((2,), -1.0, 99.0, "float32"), Discrete(4), 3)


class OneSeed(gym.vector.VectorEnv):
    """A vector environment in the way of simulators that step all their worlds at once. It reuses its buffers."""

    metadata = {"autoreset_mode": SAME}

    def __init__(self):
        self.num_envs, self.seed, self.given = 2, None, {}
        self.single_observation_space, self.single_action_space = gym.spaces.Box(-1, 99, (1,)), gym.spaces.Discrete(2)
        self.shown, self.reward = np.zeros((2, 1), np.float32), np.zeros(2, np.float32)
        self.flags = np.zeros((2, 2), bool)

    def reset(self, *, seed=None, options=None):
        self.seed, self.shown[:] = seed, 0
        return self.shown, {}

    def step(self, actions):
        self.shown += 1
        self.reward += 1
        self.flags[0] = np.asarray(actions) == 1
        return self.shown, self.reward, *self.flags, self.given


def test_a_foreign_vector_gets_one_seed_and_is_copied():
    vector = OneSeed()
    hosted = HostedSource(vector).vector(2, seed=0)
    first = hosted.reset()
    assert isinstance(vector.seed, int)
    one, two = hosted.step(np.zeros(2)), hosted.step(np.zeros(2))
    assert [first[0, 0], one.obs[0, 0], two.obs[0, 0]] == [0, 1, 2]
    assert [one.reward[0], two.reward[0]] == [1, 2]
    with pytest.raises(ValueError, match="one seed for all"):
        hosted.reset(group=2)


def test_a_foreign_vector_that_resets_in_the_next_step():
    vector = OneSeed()
    vector.metadata = {"autoreset_mode": NEXT}
    hosted = HostedSource(vector).vector(2, seed=0)
    hosted.reset()
    rows = [hosted.step(np.array([0, action])) for action in (1, 0, 0)]
    assert [row.reward.tolist() for row in rows] == [[1, 1], [2, 0], [3, 3]]  # whatever it pays for a reset
    assert [row.weight.tolist() for row in rows] == [[1, 1], [1, 0], [1, 1]]
    assert rows[1].next_obs.ravel().tolist() == [2, 1]


def test_final_observations_in_one_array_or_missing():
    vector = OneSeed()
    hosted = HostedSource(vector).vector(2, seed=0)
    hosted.reset()
    vector.given = {"final_obs": np.array([[70.0], [80.0]])}
    arrival = hosted.step(np.array([0, 1]))
    assert arrival.next_obs.ravel().tolist() == [1, 80]
    assert arrival.obs.ravel().tolist() == [1, 1]
    vector.given = {}
    with pytest.raises(ValueError, match="OneSeed resets in the same step but its info has no 'final_obs'"):
        hosted.step(np.array([0, 1]))
