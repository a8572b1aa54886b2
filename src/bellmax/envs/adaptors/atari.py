"""Atari through ALE's own vector environment: C++ threads that play, scale, stack and reset (`bellmax[atari]`).

Bellemare et al., The Arcade Learning Environment, 2013 (https://arxiv.org/abs/1207.4708), preprocessed as Mnih et al.,
2015 (https://doi.org/10.1038/nature14236) did. Machado et al., 2018 (https://arxiv.org/abs/1709.06009): sticky actions,
and why a lost life should be no end. Its interface: https://ale.farama.org/vector-environment/
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np

from bellmax.core import Spec
from bellmax.envs.adaptors.atari_game import AtariGame
from bellmax.envs.adaptors.gymnasium import HostedSource, cores
from bellmax.envs.adaptors.gymnasium_hosted import Arrival
from bellmax.spaces import Box, Discrete

ACTED_ON = r"ALE/\w+-v5|\w+NoFrameskip-v\d"  # ids that are games to be preprocessed; the others are as Gymnasium's

DEFAULTS: dict[str, Any] = {
    "repeat_action_probability": None,  # sticky actions; None: as the id says, 0.25 in v5 and 0 in NoFrameskip-v4
    "frameskip": 4,  # frames an action lasts, of which the last two are merged
    "stack_num": 4,  # frames in an observation
    "img_height": 84,
    "img_width": 84,
    "noop_max": 30,  # an episode begins with up to so many frames of doing nothing
    "use_fire_reset": True,  # and with pressing FIRE, in games that wait for it
    "full_action_space": False,  # all 18 actions rather than those with a meaning
    "max_num_frames_per_episode": 108_000,  # then it is cut short: half an hour of play
    "reward_clipping": True,  # to -1, 0 and 1; in training alone
    "episodic_life": False,  # a lost life ends the future, and the game goes on; in training alone
}


@dataclass(frozen=True, eq=False)
class AtariSource:
    """Where games of one kind come from; used like `HostedSource`.

    `made` is an id such as "ALE/Pong-v5"; `kwargs` are any of `DEFAULTS`, and hold all of them once it is made.
    `vectorization` "sync" plays in one thread, else there is one for each core. Raises TypeError or ValueError for
    an option that is none.
    """

    made: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    vectorization: str = "auto"

    def __post_init__(self) -> None:
        if self.vectorization not in ("auto", "sync", "async"):
            raise ValueError(f"vectorization = {self.vectorization!r}: choose 'auto', 'sync' or 'async'.")
        for name, value in self.kwargs.items():
            _check(self.name, name, value)
        registered = gym.spec(self.name.rpartition(":")[2]).kwargs
        options = {**DEFAULTS, **self.kwargs}
        if options["repeat_action_probability"] is None:
            options["repeat_action_probability"] = registered["repeat_action_probability"]
        object.__setattr__(self, "kwargs", options)

    @property
    def name(self) -> str:
        """What to call it in messages and on screen."""
        return self.made

    @property
    def reference(self) -> str:
        """The string from which `find(reference, **kwargs)` makes it again."""
        return self.made

    @property
    def for_evaluation(self) -> AtariSource:
        """The same games by their own rules: rewards as they are, and as many lives as there are."""
        return AtariSource(
            self.made, {**self.kwargs, "reward_clipping": False, "episodic_life": False}, self.vectorization
        )

    @property
    def to_watch(self) -> HostedSource:
        """The same game as a Gymnasium environment that renders."""
        return HostedSource(AtariGame, {"game": _game(self.name), "options": _engine(self.kwargs)})

    def vector(self, num_envs: int, seed: int) -> AtariHosted:
        """`num_envs` games; `seed` decides every one of their episodes."""
        if num_envs < 1 or seed < 0:
            raise ValueError(f"num_envs = {num_envs} and seed = {seed}: at least 1, and at least 0.")
        return AtariHosted(self.name, self.kwargs, num_envs, seed, 1 if self.vectorization == "sync" else cores())

    def check(self) -> None:
        """There is nothing to try out: a game that has an id exists, and ALE keeps its contract."""


class AtariHosted:
    """`num_envs` games played together, as bellmax sees hosted environments (see `gymnasium_hosted.Hosted`).

    Observations are uint8 [num_envs, stack, height, width], the newest frame last; at an episode's beginning the
    earlier ones are black. With `episodic_life` the step that loses a life has a `discount` of 0, and `last` False:
    the future ends there, the game and its score do not.
    """

    def __init__(self, name: str, options: dict[str, Any], num_envs: int, seed: int, threads: int) -> None:
        self.name, self.seed, self.num_envs, self.steps = name, seed, num_envs, 0
        from ale_py.vector_env import AtariVectorEnv

        self._life, self._clip = options["episodic_life"], options["reward_clipping"]
        # The vector's own `episodic_life` would begin a new game: whoever never got beyond the first life would
        # never see the second.
        self._vector = AtariVectorEnv(
            _game(name), num_envs, **_engine(options), num_threads=min(threads, num_envs), autoreset_mode="SameStep"
        )
        space, actions = self._vector.single_observation_space, self._vector.single_action_space
        self.spec = Spec(Box(space.shape, 0.0, 255.0, "uint8"), Discrete(int(actions.n)), num_envs)
        self._ones, self._never = np.ones(num_envs, np.float32), np.zeros(num_envs, bool)
        for constant in (self._ones, self._never):
            constant.flags.writeable = False
        self._resets = 0
        self._lives = np.zeros(num_envs, np.int32)
        self._first: Any = self._restart(1)

    def reset(self, group: int = 1) -> np.ndarray:
        """Begin an episode everywhere -> observations; groups of `group` neighbours start alike."""
        if self._first is not None and group == 1:
            obs, self._first = self._first, None
            return obs
        return self._restart(group)

    def step(self, action: Any) -> Arrival:
        """Act everywhere (int [num_envs]); where an episode ends the next one begins."""
        obs, reward, terminated, truncated, info = self._vector.step(np.asarray(action, np.int32))
        self.steps += 1
        self._first = None
        reward = (np.sign(reward) if self._clip else reward).astype(np.float32)
        lives, before = info["lives"], self._lives
        self._lives, ended = lives, terminated | truncated
        over = terminated
        if self._life:  # where an episode ended, `lives` are those of the next one
            over = terminated | ((lives < before) & ~ended)
        discount = np.subtract(1, over, dtype=np.float32) if over.any() else self._ones
        if not ended.any():
            return Arrival(obs, reward, discount, self._never, self._ones, obs)
        next_obs = np.where(ended[:, None, None, None], info["final_obs"], obs)
        return Arrival(next_obs, reward, discount, ended, self._ones, obs)

    def render(self) -> None:
        """These show nothing: `AtariSource.to_watch` does."""

    def close(self) -> None:
        """Stop the games."""
        self._vector.close()

    def _restart(self, group: int) -> np.ndarray:
        if self.num_envs % group:
            raise ValueError(f"num_envs = {self.num_envs} cannot be split in groups of {group}: choose a multiple.")
        drawn = np.random.SeedSequence([self.seed, self._resets]).generate_state(self.num_envs // group) >> 1
        self._first, self._resets = None, self._resets + 1
        obs, info = self._vector.reset(seed=np.repeat(drawn, group).astype(np.int64))
        self._lives = info["lives"]
        return obs


def is_atari(name: str) -> bool:
    """Is it the id of a game that `AtariSource` plays?"""
    return re.fullmatch(ACTED_ON, name) is not None and name in gym.registry


def _game(name: str) -> str:
    """ALE's name of the game: "ALE/MsPacman-v5" -> "ms_pacman"."""
    return gym.spec(name.rpartition(":")[2]).kwargs["game"]


def _engine(options: dict[str, Any]) -> dict[str, Any]:
    """What the vector environment is told: everything but what is done here."""
    return {**options, "reward_clipping": False, "episodic_life": False}


def _check(game: str, name: str, value: Any) -> None:
    """Refuse an option that there is not, or a value that cannot be."""
    if name not in DEFAULTS:
        near = difflib.get_close_matches(name, DEFAULTS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(DEFAULTS)}."
        raise TypeError(f"{game} has no option {name!r}: {hint}")
    default = DEFAULTS[name]
    if default is None:
        if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
            raise ValueError(f"{game}: {name} = {value!r}: give a probability, 0 to 1.")
    elif isinstance(default, bool):
        if not isinstance(value, bool):
            raise TypeError(f"{game}: {name} = {value!r}: give True or False.")
    elif isinstance(value, bool) or not isinstance(value, int) or value < (name != "noop_max"):
        raise ValueError(f"{game}: {name} = {value!r}: give a whole number, {int(name != 'noop_max')} or more.")
