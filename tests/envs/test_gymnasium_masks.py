"""Legal-action masks: from info, from observations, for every kind of choice, and at the end of episodes."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces as gs
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from bellmax.envs.adaptors.gymnasium import EnvironmentFailed, HostedSource
from bellmax.envs.adaptors.gymnasium_masks import Legal
from bellmax.spaces import Box, Masked, MultiBinary

MODES = list(AutoresetMode)


class Turns(gym.Env):
    """After t steps action t % 3 is illegal; action 2 ends the episode, where nothing is legal if `dead_end`."""

    def __init__(self, place="info", dead_end=False, silent_at=None):
        self.place, self.dead_end, self.silent_at = place, dead_end, silent_at
        self.action_space, self.observation_space = gs.Discrete(3, start=1), gs.Box(0, 99, (1,))
        self.mask = np.zeros(3, np.int8)  # its own buffer, overwritten for ever
        if place == "obs":
            self.observation_space = gs.Dict({"action_mask": gs.MultiBinary(3), "t": gs.Box(0, 99, (1,))})

    def _allowed(self):
        return np.arange(3) != self.t % 3

    def _show(self, over=False):
        self.mask[:] = self._allowed()
        if over and self.dead_end:
            self.mask[:] = 0
        t = np.float32([self.t])
        if self.place == "obs":
            return {"action_mask": self.mask.copy(), "t": t}, {}
        return t, {} if self.silent_at == self.t else {"action_mask": self.mask}

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return self._show()

    def step(self, action):
        self.t += 1
        obs, info = self._show(over=action == 3)
        return obs, 1.0, action == 3, False, info


# By hand: what is legal after 0, 1 and 2 steps.
AT = {0: [False, True, True], 1: [True, False, True], 2: [True, True, False]}


def steps(source, actions, num_envs=2):
    hosted = source.vector(num_envs, seed=0)
    return hosted, hosted.reset(), [hosted.step(np.array(row)) for row in actions]


@pytest.mark.parametrize("place", ["info", "obs"])
@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_masks_at_every_moment(place, vectorization):
    source = HostedSource(Turns, {"place": place}, vectorization)
    hosted, start, (one, two) = steps(source, [[0, 0], [0, 2]])
    hosted.close()
    shown = {"t": Box((1,), 0.0, 99.0)} if place == "obs" else Box((1,), 0.0, 99.0)
    assert hosted.spec.obs == Masked(shown, MultiBinary(3))
    assert isinstance(start, Masked)
    assert start.legal.dtype == bool
    assert start.legal.tolist() == [AT[0], AT[0]]
    assert one.obs.legal.tolist() == [AT[1], AT[1]]
    assert two.next_obs.legal.tolist() == [AT[2], AT[2]]  # environment 1 ended here: the mask of its last observation
    assert two.obs.legal.tolist() == [AT[2], AT[0]]
    times = two.next_obs.obs["t"] if place == "obs" else two.next_obs.obs
    assert times.ravel().tolist() == [2, 2]


@pytest.mark.parametrize("place", ["info", "obs"])
@pytest.mark.parametrize("mode", MODES)
def test_masks_in_every_autoreset_mode(place, mode):
    vector = SyncVectorEnv([lambda: Turns(place)] * 2, autoreset_mode=mode)
    _, _, (one, two) = steps(HostedSource(vector), [[0, 2], [0, 0]])
    later = mode is AutoresetMode.NEXT_STEP
    assert one.obs.legal.tolist() == [AT[1], AT[1] if later else AT[0]]
    assert two.obs.legal.tolist() == [AT[2], AT[0] if later else AT[1]]
    assert two.weight.tolist() == [1, 0 if later else 1]


@pytest.mark.parametrize("place", ["info", "obs"])
@pytest.mark.parametrize("mode", MODES)
def test_the_end_may_allow_nothing(place, mode):
    """A policy asked what it would do there must not divide by zero: everything is allowed instead."""
    vector = SyncVectorEnv([lambda: Turns(place, dead_end=True)] * 2, autoreset_mode=mode)
    _, _, (one,) = steps(HostedSource(vector), [[0, 2]])
    assert one.next_obs.legal.tolist() == [AT[1], [True] * 3]


@pytest.mark.parametrize("mode", MODES)
def test_the_end_may_be_without_a_mask(mode):
    vector = SyncVectorEnv([lambda: Turns(silent_at=1)] * 2, autoreset_mode=mode)
    hosted = HostedSource(vector).vector(2, seed=0)
    hosted.reset()
    arrival = hosted.step(np.array([2, 2]))
    assert arrival.next_obs.legal.all()
    assert arrival.last.all()


def test_a_mask_may_not_go_missing_or_allow_nothing_or_come_late():
    with pytest.raises(ValueError, match=r"Turns: environment 0 gave no info.'action_mask'., .*every reset and step"):
        steps(HostedSource(Turns, {"silent_at": 1}), [[0, 0]])
    with pytest.raises(ValueError, match="in a step but not in its reset"):
        steps(HostedSource(Turns, {"silent_at": 0}), [[0, 0]])

    class Stuck(Turns):
        def _show(self, over=False):
            self.mask[:] = self.t == 0
            return np.float32([0]), {"action_mask": self.mask}

    with pytest.raises(ValueError, match="Stuck: environment 0 allows no action at all"):
        steps(HostedSource(Stuck), [[0, 0]])


class Given(gym.Env):
    """Gives whatever mask it was made with."""

    def __init__(self, space, mask, place="info", mask_space=None):
        self.action_space, self.mask, self.place = space, mask, place
        self.observation_space = (
            gs.Discrete(1) if place == "info" else gs.Dict(action_mask=mask_space, x=gs.Discrete(1))
        )

    def _show(self):
        return (0, {"action_mask": self.mask}) if self.place == "info" else ({"action_mask": self.mask, "x": 0}, {})

    def reset(self, *, seed=None, options=None):
        return self._show()

    def step(self, action):
        return (self._show()[0], 0.0, False, False, self._show()[1])


PARTS = (np.int8([1, 0]), np.int8([0, 1, 1]))
FLAT = [True, False, False, True, True]


@pytest.mark.parametrize(
    ("space", "mask", "expected"),
    [
        (gs.Discrete(2), [0, 1], [False, True]),
        (gs.Discrete(2), np.array([0.0, 1.0]), [False, True]),
        (gs.MultiDiscrete([2, 3]), PARTS, FLAT),
        (gs.MultiDiscrete([2, 3]), np.concatenate(PARTS), FLAT),
        (gs.MultiDiscrete([2, 3]), [[1, 0], [0, 1, 1]], FLAT),
        (gs.MultiDiscrete([[2], [3]]), ((PARTS[0],), (PARTS[1],)), FLAT),
        (gs.MultiBinary(2), np.array([[1, 0], [1, 1]]), [True, False, True, True]),
        (gs.MultiBinary(2), np.array([1, 0, 1, 1]), [True, False, True, True]),
    ],
)
def test_shapes_of_masks_in_info(space, mask, expected):
    source = HostedSource(Given, {"space": space, "mask": mask})
    source.check()
    hosted, start, (step,) = steps(source, [np.zeros((2, *np.shape(space.sample())), int)])
    assert start.legal.tolist() == [expected] * 2
    assert step.obs.legal.tolist() == [expected] * 2
    assert hosted.spec.obs.legal == MultiBinary(len(expected))


@pytest.mark.parametrize(
    ("mask", "mask_space"),
    [
        (PARTS, gs.Tuple((gs.MultiBinary(2), gs.MultiBinary(3)))),
        (np.concatenate(PARTS), gs.Box(0, 1, (5,), np.int8)),
    ],
)
def test_shapes_of_masks_in_observations(mask, mask_space):
    kwargs = {"space": gs.MultiDiscrete([2, 3]), "mask": mask, "place": "obs", "mask_space": mask_space}
    _, start, _ = steps(HostedSource(Given, kwargs), [])
    assert start.legal.tolist() == [FLAT] * 2
    assert set(start.obs) == {"x"}


def test_wrong_masks():
    three = np.ones(3, np.int8)
    with pytest.raises(ValueError, match=r"Given: an action mask has 3 entries and the action space needs 5.*2, 3"):
        steps(HostedSource(Given, {"space": gs.MultiDiscrete([2, 3]), "mask": three}), [])
    with pytest.raises(ValueError, match="needs 4"):  # one bit a switch does not say which way
        steps(HostedSource(Given, {"space": gs.MultiBinary(2), "mask": three[:2]}), [])
    with pytest.raises(ValueError, match="actions in a Box cannot be masked"):
        steps(HostedSource(Given, {"space": gs.Box(-1, 1, (1,)), "mask": three}), [])
    with pytest.raises(ValueError, match="needs 5"):
        HostedSource(Given, {"space": gs.MultiDiscrete([2, 3]), "mask": three}).check()


def test_no_mask_is_no_mask():
    assert Legal((2, 3), "x").size == 5
    hosted = HostedSource("CartPole-v1").vector(1, seed=0)
    assert not isinstance(hosted.spec.obs, Masked)
    assert not isinstance(hosted.reset(), Masked)


@pytest.mark.parametrize("place", ["info", "obs"])
def test_an_illegal_action_is_the_environments_to_refuse(place):
    class Strict(Turns):
        def _allowed(self):
            return np.arange(3) == self.t % 3

        def step(self, action):
            if not self.mask[action - 1]:
                raise RuntimeError("illegal")
            return Turns.step(self, action)

    HostedSource(Strict, {"place": place}).check()  # three steps at random would be legal once in 27 times
    hosted = HostedSource(Strict, {"place": place}).vector(1, seed=0)
    hosted.reset()
    with pytest.raises(EnvironmentFailed, match="illegal"):
        hosted.step(np.array([1]))
