"""What a vector environment shows, translated: observations, and the masks of legal actions that come with them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv

from bellmax.envs.adaptors.gymnasium_errors import InvalidEnvironment
from bellmax.envs.adaptors.gymnasium_masks import KEY, legal_of
from bellmax.envs.adaptors.gymnasium_spaces import observation, rows_of, stacked
from bellmax.spaces import Masked, MultiBinary, Tree


class Reading:
    """Reads (observations, info) of one vector environment as trees of arrays [num_envs, ...].

    If `info`, at the first reset, or the observation space has an "action_mask", then what is read is
    `Masked`; the mask is no longer among the observations.
    """

    def __init__(self, vector: VectorEnv, name: str, *, copy: bool) -> None:
        space = self._space = vector.single_observation_space
        self._name = name
        self._in_obs = isinstance(space, gym.spaces.Dict) and KEY in space.spaces
        if self._in_obs:
            space = gym.spaces.Dict({key: part for key, part in space.spaces.items() if key != KEY})
        self._shown, self._read = observation(space, copy=copy, where=f"{name}: observation_space")
        self._legal = legal_of(vector.single_action_space, name)
        self.masked = False

    def settle(self, info: dict[str, Any]) -> Tree:
        """Find out from the first reset whether there are masks -> the bellmax space of observations."""
        self.masked = self._in_obs or KEY in info
        if not self.masked:
            return self._shown
        if self._legal is None:
            raise InvalidEnvironment(
                f"{self._name} gives an action mask, and actions in a Box cannot be masked: "
                "rename it, or make the actions Discrete, MultiDiscrete or MultiBinary."
            )
        return Masked(self._shown, MultiBinary(self._legal.size))

    def read(self, raw: Any, info: dict[str, Any], over: Any = False) -> Any:
        """All environments; where `over` (bool [num_envs]) the episode has ended and a mask may be missing."""
        obs = self._read(raw)
        if self.masked:
            return Masked(obs, self._masks(raw, info, over))
        if KEY in info:
            raise InvalidEnvironment(
                f"{self._name} gave info[{KEY!r}] in a step but not in its reset: return it from both, "
                "because the first action of an episode needs it too."
            )
        return obs

    def read_rows(self, raw: Any, info: dict[str, Any], rows: np.ndarray, over: Any = False) -> Any:
        """Only `rows` (the numbers of some environments) of what came for all -> [len(rows), ...]."""
        part = {}
        if KEY in info:
            given = info.get(f"_{KEY}", np.ones(rows.max() + 1, bool))
            part = {KEY: rows_of(info[KEY], rows), f"_{KEY}": given[rows]}
        if isinstance(raw, np.ndarray) and raw.dtype == object:  # one observation an environment, as it came
            return self.read(stacked(self._space, [raw[row] for row in rows]), part, over)
        return self.read(rows_of(raw, rows), part, over)

    def finals(self, info: dict[str, Any], rows: np.ndarray) -> Any:
        """The last observations of the episodes that ended in `rows`, out of a same-step reset's `info`."""
        if "final_obs" not in info:
            raise InvalidEnvironment(
                f"{self._name} resets in the same step but its info has no 'final_obs': put the true last "
                "observations there, or use the autoreset mode NEXT_STEP or DISABLED."
            )
        last = info.get("final_info")
        return self.read_rows(info["final_obs"], last if isinstance(last, dict) else {}, rows, np.ones(len(rows), bool))

    def _masks(self, raw: Any, info: dict[str, Any], over: Any) -> np.ndarray:
        legal = self._legal
        assert legal is not None
        masks = legal.read(raw[KEY]) if self._in_obs else self._from_info(info, over)
        if np.any(over):
            masks = legal.open(masks, over)
        legal.check(masks)
        return masks

    def _from_info(self, info: dict[str, Any], over: Any) -> np.ndarray:
        legal = self._legal
        assert legal is not None
        if KEY in info and np.all(info.get(f"_{KEY}", True)):
            return legal.read(info[KEY])
        given = info[f"_{KEY}"] if KEY in info else np.zeros(np.shape(over) or 1, bool)
        if np.any(~given & ~np.asarray(over)):
            missing = np.flatnonzero(~given & ~np.asarray(over))
            raise InvalidEnvironment(
                f"{self._name}: environment {missing[0]} gave no info[{KEY!r}], though it did at its first reset: "
                "return it from every reset and step."
            )
        masks = np.ones((len(given), legal.size), bool)
        if given.any():
            masks[given] = legal.read(rows_of(info[KEY], given))
        return masks
