"""What is seen is what happened: last frames, scores, memories, bounds, keys."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.core import Algorithm, Decision, Env, Outcome, Spec
from bellmax.envs import GridWorld
from bellmax.envs.adaptors.gymnasium import HostedSource
from bellmax.experience import Steps
from bellmax.spaces import Box, Discrete
from bellmax.watch import CannotWatch, play
from bellmax.watch.stages import InGraph, OnHost, pixels

LEFT, RIGHT = 0, 2


class Always(Algorithm):
    """A policy made for these tests: greedily always `action`; otherwise one of four at random."""

    experience: Steps = Steps(1)
    action: int = RIGHT

    def act(self, state: Any, obs: Any, key: jax.Array, memory: Any = None) -> Decision:
        return Decision(jax.random.randint(key, (), 0, 4))

    def greedy(self, state: Any, obs: Any, key: jax.Array, memory: Any = None) -> Decision:
        return Decision(jnp.int32(self.action))


class Counting(Algorithm):
    """Its action is 10 times the first observation, plus the number of steps it remembers."""

    experience: Steps = Steps(1)

    def begin(self, state: Any, obs: Any, key: jax.Array) -> Any:
        return 10 * obs[0]

    def act(self, state: Any, obs: Any, key: jax.Array, memory: Any = None) -> Decision:
        return Decision(memory[None] + state, {}, memory + 1)


class Ladder(gym.Env):
    """Climb `top` steps; the observation counts the rungs from `start`, the picture is that bright all over."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 7}
    observation_space = gym.spaces.Box(-1000, 1000, (1,), np.float32)
    action_space = gym.spaces.Box(-5, 100, (1,), np.float32)

    def __init__(self, top: int = 3, render_mode: str | None = None, start: int = 0):
        self.top, self.render_mode, self.start, self.heard = top, render_mode, start, []  # type: ignore[var-annotated]
        HEARD.append(self.heard)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        gym.Env.reset(self, seed=seed)
        self.rung = self.start
        return self.observe(), {}

    def step(self, action: Any) -> Any:
        self.heard.append(float(action[0]))
        self.rung += 1
        return self.observe(), 0.5, self.rung - self.start == self.top, False, {}

    def observe(self) -> np.ndarray:
        return np.array([self.rung], np.float32)

    def render(self) -> np.ndarray:
        return np.full((4, 6, 3), 10 * self.rung, np.uint8)


HEARD: list[list[float]] = []


def test_an_ingraph_episode_is_seen_to_its_end() -> None:
    """S.G with goal reward 2: two steps right, pictures of cells 0, 1, 2."""
    world = GridWorld(layout=("S.G",), goal_reward=2.0)
    moments = list(play(Always(), None, InGraph(world, 0), episodes=2))
    assert [(m.episode, m.step, m.score, m.last) for m in moments] == [
        (0, 0, 0.0, False),
        (0, 1, 0.0, False),
        (0, 2, 2.0, True),
        (1, 0, 0.0, False),
        (1, 1, 0.0, False),
        (1, 2, 2.0, True),
    ]
    assert [m.text for m in moments[:3]] == ["@.G", "S@G", "S.@"]
    state, _ = world.reset(jax.random.key(0))
    for cell in range(3):
        want = world.render(state._replace(cell=jnp.int32(cell)))
        np.testing.assert_array_equal(moments[cell].picture, want)
        assert (moments[(cell + 1) % 3].picture != want).any()


def test_a_hosted_episode_is_seen_to_its_end_though_the_environment_resets_itself() -> None:
    stage = OnHost(HostedSource(Ladder), 0, "rgb_array")
    moments = list(play(Counting(), jnp.float32(0), stage, episodes=2))
    assert [int(m.picture[0, 0, 0]) for m in moments] == [0, 10, 20, 30, 0, 10, 20, 30]  # 30, not the 0 behind it
    assert [m.score for m in moments[:4]] == [0, 0.5, 1, 1.5]
    assert [m.last for m in moments] == [False, False, False, True] * 2
    assert stage.fps == 7


def test_memory_begins_with_each_episode_and_goes_on_within_it() -> None:
    HEARD.clear()
    stage = OnHost(HostedSource(Ladder, {"start": 2, "top": 4}), 0, "rgb_array")
    list(play(Counting(), jnp.float32(0), stage, episodes=2))
    assert [x for x in HEARD if x] == [[20.0, 21.0, 22.0, 23.0] * 2]  # 10 times the first observation, 2, and on


def test_actions_are_cut_to_their_bounds() -> None:
    HEARD.clear()
    for offset in (-40.0, 400.0):
        list(play(Counting(), jnp.float32(offset), OnHost(HostedSource(Ladder), 0, "rgb_array")))
    assert [x for x in HEARD if x] == [[-5.0] * 3, [100.0] * 3]


def test_long_episodes_are_cut_and_the_next_one_begins_anew() -> None:
    """The wall on the left is never passed: an episode of 100 steps, cut after 2."""
    stage = InGraph(GridWorld(layout=("S.G",)), 0)
    moments = list(play(Always(action=LEFT), None, stage, episodes=2, most_steps=2))
    assert [(m.episode, m.step, m.last) for m in moments] == [
        (0, 0, False),
        (0, 1, False),
        (0, 2, True),
        (1, 0, False),
        (1, 1, False),
        (1, 2, True),
    ]
    hosted = OnHost(HostedSource(Ladder, {"top": 9}), 0, "rgb_array")
    cut = list(play(Counting(), jnp.float32(0), hosted, episodes=2, most_steps=2))
    assert [int(m.picture[0, 0, 0]) for m in cut] == [0, 10, 20, 0, 10, 20]


def test_seeds_decide_everything_and_greedy_does_not_explore() -> None:
    world = GridWorld(size=4, random_start=True)

    def cells(seed: int, greedy: bool) -> list[str]:
        moments = play(Always(), None, InGraph(world, seed), seed=seed, greedy=greedy, most_steps=30)
        return [m.text or "" for m in moments]

    assert cells(0, False) == cells(0, False)
    assert cells(0, False) != cells(1, False)

    def columns(seed: int, greedy: bool) -> list[int]:
        return [text.replace("\n", "").index("@") % 4 for text in cells(seed, greedy)]

    for seed in range(3, 8):
        assert columns(seed, True) == sorted(columns(seed, True))  # always right
    assert any(columns(seed, False) != sorted(columns(seed, False)) for seed in range(3, 8))


class Board(Env):
    """Shows a 6 x 6 picture with two channels, channels first, and has no render."""

    @property
    def spec(self) -> Spec:
        return Spec(Box((2, 6, 6), 0, 1), Discrete(4))

    def reset(self, key: jax.Array) -> tuple[Any, Any]:
        return jnp.int32(0), self.look(0)

    def step(self, env_state: Any, action: Any, key: jax.Array) -> tuple[Any, Outcome]:
        place = env_state + 1
        return place, Outcome(self.look(place), jnp.float32(0), jnp.float32(1), place >= 3)

    def look(self, place: Any) -> Any:
        return jnp.zeros((2, 6, 6)).at[0, 0, place].set(1.0).at[1, 5, 5].set(1.0)


def test_observed_pixels_are_the_picture_of_a_world_without_one() -> None:
    moments = list(play(Always(), None, InGraph(Board(), 0)))
    assert [np.flatnonzero(m.picture[0].any(-1)).tolist() for m in moments] == [[0], [1], [2], [3]]
    first, second = moments[0].picture[0, 0], moments[0].picture[5, 5]
    assert (first != second).any()  # each channel has a colour of its own


def test_pixels_of_every_kind() -> None:
    colours = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    np.testing.assert_array_equal(pixels(colours), colours)
    np.testing.assert_array_equal(pixels(np.full((4, 4, 1), 128, np.uint8)), np.full((4, 4, 3), 128))
    assert pixels(np.zeros((2, 5, 5), np.float32)).shape == (5, 5, 3)


def test_pictures_that_are_none_are_refused() -> None:
    class Grey(Ladder):
        def render(self) -> Any:
            return np.zeros((4, 6), np.uint8)

    with pytest.raises(CannotWatch, match=r"Grey\.render\(\) returned uint8 \(4, 6\)"):
        list(play(Counting(), jnp.float32(0), OnHost(HostedSource(Grey), 0, "rgb_array")))


def test_an_environment_without_render_says_what_it_needs() -> None:
    class Blind(Ladder):
        render = gym.Env.render

    with pytest.raises(CannotWatch, match=r"Blind has no render\(\): give it one"):
        list(play(Counting(), jnp.float32(0), OnHost(HostedSource(Blind), 0, "rgb_array")))
    with pytest.raises(CannotWatch, match="Ladder was made with render_mode=None: make it with 'rgb_array'"):
        OnHost(HostedSource(Ladder()), 0, "rgb_array")
