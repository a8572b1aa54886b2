"""An in-graph world as a Gymnasium environment, for code that knows Gymnasium alone."""

from __future__ import annotations

from typing import Any

import gymnasium
import jax
import numpy as np

from bellmax.core import Env, Outcome
from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete, Tree


class AsGymnasium(gymnasium.Env):
    """A `gymnasium.Env` over `env`: `AsGymnasium(CartPole(), render_mode="rgb_array")`.

    Terminated is a discount of 0; truncated is an episode that is cut short where the discount is not 0. The time limit
    is the world's own, so no TimeLimit wrapper is wanted. A mask of legal actions is given as `info["action_mask"]`
    and by `action_masks()`, beside the observation without it. A seed given to `reset` fixes everything that follows.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}

    def __init__(self, env: Env, render_mode: str | None = None):
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"AsGymnasium.render_mode = {render_mode!r}: it must be None or 'rgb_array'.")
        if render_mode is not None and not callable(getattr(env, "render", None)):
            raise ValueError(
                f"AsGymnasium.render_mode = {render_mode!r}: {type(env).__name__} has no picture; use None."
            )
        self.env, self.render_mode = env, render_mode
        self.metadata = self.metadata | {"render_fps": getattr(env, "frames_per_second", 30)}
        obs, action, _ = env.spec
        self._spaces = (obs.obs if isinstance(obs, Masked) else obs), action
        self.observation_space, self.action_space = (space_of(tree) for tree in self._spaces)
        self._reset, self._step = jax.jit(self._begin), jax.jit(self._advance)
        self._now: Any = None
        self._legal: np.ndarray | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode -> obs, info."""
        gymnasium.Env.reset(self, seed=seed)
        key = jax.random.key(int(self.np_random.integers(2**31)))
        self._now, obs = self._reset(jax.device_put(key, _processor()))
        return self._shown(obs)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step -> obs, reward, terminated, truncated, info."""
        if self._now is None:
            raise RuntimeError("AsGymnasium.step was called before reset: call reset() first.")
        self._now, outcome = self._step(self._now, _numbers(self._spaces[1], action))
        obs, reward, discount, last = jax.device_get(outcome)
        terminated = bool(last) and float(discount) == 0
        return *self._shown(obs)[:1], float(reward), terminated, bool(last) and not terminated, self._info()

    def render(self) -> np.ndarray | None:
        """The picture of now, uint8 [height, width, 3], if `render_mode` is "rgb_array"."""
        return self.env.render(self._now[0]) if self.render_mode else None  # type: ignore[attr-defined]

    def action_masks(self) -> np.ndarray | None:
        """Which actions are legal now, bool; None where all always are."""
        return self._legal

    def _begin(self, key: jax.Array) -> Any:
        reset_key, key = jax.random.split(key)
        env_state, obs = self.env.reset(reset_key)
        return (env_state, key), obs

    def _advance(self, now: Any, action: Any) -> tuple[Any, Outcome]:
        env_state, key = now
        step_key, key = jax.random.split(key)
        env_state, outcome = self.env.step(env_state, action, step_key)
        return (env_state, key), outcome

    def _shown(self, obs: Any) -> tuple[Any, dict[str, Any]]:
        if isinstance(obs, Masked):
            obs, self._legal = obs.obs, np.asarray(obs.legal, bool)
        return _numbers(self._spaces[0], jax.device_get(obs), gym=True), self._info()

    def _info(self) -> dict[str, Any]:
        return {} if self._legal is None else {"action_mask": self._legal.astype(np.int8)}


def space_of(space: Tree) -> gymnasium.Space:
    """A tree of spaces in Gymnasium's terms."""
    if isinstance(space, dict):
        return gymnasium.spaces.Dict({name: space_of(inner) for name, inner in space.items()})
    if isinstance(space, tuple):
        return gymnasium.spaces.Tuple([space_of(inner) for inner in space])
    if isinstance(space, Discrete):
        return gymnasium.spaces.Discrete(space.n)
    if isinstance(space, MultiDiscrete):
        return gymnasium.spaces.MultiDiscrete(np.asarray(space.counts), np.int32)
    if isinstance(space, MultiBinary):
        return gymnasium.spaces.MultiBinary(space.n)
    low, high = (bound.astype(space.dtype) for bound in space.bounds())
    return gymnasium.spaces.Box(low, high, space.shape, np.dtype(space.dtype).type)


def _numbers(space: Tree, element: Any, gym: bool = False) -> Any:
    """An element with the dtypes of bellmax's spaces or, if `gym`, of Gymnasium's."""
    choice, switch = (np.int64, np.int8) if gym else (np.int32, np.int32)
    dtypes = {Discrete: choice, MultiDiscrete: np.int32, MultiBinary: switch}

    def convert(leaf: Any, x: Any) -> Any:
        dtype = np.dtype(leaf.dtype if isinstance(leaf, Box) else dtypes[type(leaf)])
        return dtype.type(x) if isinstance(leaf, Discrete) else np.asarray(x, dtype)

    return jax.tree.map(convert, space, element)


def _processor() -> jax.Device:
    """Where single steps run: on the processor, which a step at a time beats any accelerator."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX was told to leave the processor alone
        return jax.local_devices()[0]
