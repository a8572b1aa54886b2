"""One Atari game as a Gymnasium environment that can be watched in its own colours."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np


class AtariGame(gym.Env):
    """`game` ("ms_pacman") with the options of ALE's vector environment, observed as there.

    To draw, a second copy with the same seeds and actions is played in colour and in full size.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(self, game: str, options: dict[str, Any], render_mode: str | None = None) -> None:
        from ale_py.vector_env import AtariVectorEnv

        colour = {**options, "grayscale": False, "img_height": 210, "img_width": 160, "stack_num": 1}
        self._played = [AtariVectorEnv(game, 1, **options)]
        if render_mode is not None:
            self._played.append(AtariVectorEnv(game, 1, **colour))
        self.render_mode = render_mode
        self.observation_space = self._played[0].single_observation_space
        self.action_space = self._played[0].single_action_space
        self._picture: np.ndarray | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin a game; its seed is drawn from Gymnasium's generator, for both copies."""
        gym.Env.reset(self, seed=seed)
        drawn = int(self.np_random.integers(2**31))
        views = [played.reset(seed=drawn)[0] for played in self._played]
        return self._seen(views), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One action in both copies; neither resets before it is stepped again."""
        answers = [played.step(np.array([action], np.int32)) for played in self._played]
        _, reward, terminated, truncated, info = answers[0]
        obs = self._seen([answer[0] for answer in answers])
        return obs, float(reward[0]), bool(terminated[0]), bool(truncated[0]), {"lives": int(info["lives"][0])}

    def render(self) -> np.ndarray | None:
        """The screen, uint8 [210, 160, 3]."""
        return self._picture

    def close(self) -> None:
        """Stop both."""
        for played in self._played:
            played.close()

    def _seen(self, views: list[np.ndarray]) -> np.ndarray:
        self._picture = views[1][0, 0] if len(views) > 1 else None
        return views[0][0]
