"""Trying one environment out before training in it: does it keep Gymnasium's contract, and what does a step cost?"""

from __future__ import annotations

import time
import warnings
from typing import Any

import gymnasium as gym
import numpy as np

from bellmax.envs.adaptors.gymnasium_errors import InvalidEnvironment
from bellmax.envs.adaptors.gymnasium_masks import KEY, legal_of
from bellmax.envs.adaptors.gymnasium_spaces import action, observation


def check(env: gym.Env, name: str, steps: int = 3) -> None:
    """Reset `env` and take a few random steps; raise `InvalidEnvironment` at the first breach of contract.

    What the environment itself raises passes through. Observations out of their bounds are a warning.
    """
    for kind in ("observation_space", "action_space"):
        if not isinstance(getattr(env, kind, None), gym.Space):
            raise InvalidEnvironment(f"{name} has no {kind}: set self.{kind} to a gymnasium.spaces object in __init__.")
    observation(env.observation_space, copy=False, where=f"{name}: observation_space")
    action(env.action_space, where=f"{name}: action_space")
    rng = np.random.default_rng(0)
    obs, info = _reset(env, name)
    for _ in range(steps):
        answer = env.step(random_action(env.action_space, obs, info, rng, name))
        obs, over, info = _stepped(env, answer, name)
        if over:
            obs, info = _reset(env, name)


def step_seconds(env: gym.Env, name: str, steps: int = 20, patience: float = 0.2) -> float:
    """What a step of `env` costs: the median of a few random ones, in seconds."""
    rng, taken, start = np.random.default_rng(0), [], time.perf_counter()
    obs, info = env.reset(seed=0)
    while len(taken) < steps and (len(taken) < 2 or time.perf_counter() - start < patience):
        act = random_action(env.action_space, obs, info, rng, name)
        before = time.perf_counter()
        obs, _, terminated, truncated, info = env.step(act)
        taken.append(time.perf_counter() - before)
        if terminated or truncated:
            obs, info = env.reset()
    return float(np.median(taken))


def random_action(space: gym.Space, obs: Any, info: dict[str, Any], rng: np.random.Generator, name: str) -> Any:
    """A random action, a legal one if there is a mask."""
    mask = obs[KEY] if isinstance(obs, dict) and KEY in obs else info.get(KEY)
    legal = legal_of(space, name)
    if mask is None or legal is None:
        space.seed(int(rng.integers(2**31)))
        return space.sample()
    one = np.empty(1, object)
    one[0] = mask
    masks = legal.read(one)
    legal.check(masks)
    parts = np.split(masks[0], np.cumsum(legal.counts)[:-1])
    chosen = np.array([rng.choice(np.flatnonzero(part)) for part in parts])
    _, write = action(space, where=name)
    return write(chosen[None, 0] if isinstance(space, gym.spaces.Discrete) else chosen[None])[0]


def _reset(env: gym.Env, name: str) -> tuple[Any, dict[str, Any]]:
    answer = env.reset(seed=0)
    if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[1], dict):
        raise InvalidEnvironment(f"{name}: reset returned {_shape(answer)}: return (observation, info), info a dict.")
    _contained(env.observation_space, answer[0], f"{name}: reset's observation")
    return answer


def _stepped(env: gym.Env, answer: Any, name: str) -> tuple[Any, bool, dict[str, Any]]:
    if not isinstance(answer, tuple) or len(answer) != 5:
        raise InvalidEnvironment(
            f"{name}: step returned {_shape(answer)}: return (observation, reward, terminated, truncated, info)."
        )
    obs, reward, terminated, truncated, info = answer
    _contained(env.observation_space, obs, f"{name}: step's observation")
    if np.shape(reward) != () or np.asarray(reward).dtype.kind not in "biuf":
        raise InvalidEnvironment(f"{name}: step's reward is {_shape(reward)}: return one number.")
    if not np.isfinite(float(reward)):
        raise InvalidEnvironment(f"{name}: step's reward is {reward}: return a finite number.")
    for word, flag in (("terminated", terminated), ("truncated", truncated)):
        if not isinstance(flag, bool | np.bool_):
            raise InvalidEnvironment(f"{name}: step's {word} is {_shape(flag)}: return True or False.")
    if not isinstance(info, dict):
        raise InvalidEnvironment(f"{name}: step's info is {_shape(info)}: return a dict.")
    return obs, bool(terminated or truncated), info


def _contained(space: gym.Space, obs: Any, what: str) -> None:
    """Does an observation have the structure, shape and kind of numbers that its space declares?"""
    if isinstance(space, gym.spaces.Dict):
        if not isinstance(obs, dict) or set(obs) != set(space.spaces):
            found = f"the keys {sorted(map(str, obs))}" if isinstance(obs, dict) else _shape(obs)
            raise InvalidEnvironment(f"{what} has {found}: observation_space declares {sorted(space.spaces)}.")
        for key, part in space.spaces.items():
            _contained(part, obs[key], f"{what}[{key!r}]")
    elif isinstance(space, gym.spaces.Tuple):
        if not isinstance(obs, tuple) or len(obs) != len(space.spaces):
            raise InvalidEnvironment(f"{what} is {_shape(obs)}: observation_space declares {len(space.spaces)} parts.")
        for i, part in enumerate(space.spaces):
            _contained(part, obs[i], f"{what}[{i}]")
    else:
        _array_contained(space, obs, what)


def _array_contained(space: gym.Space, obs: Any, what: str) -> None:
    try:
        array = np.asarray(obs)
    except ValueError:
        array = np.asarray(None)
    if array.shape != space.shape:
        raise InvalidEnvironment(f"{what} is {_shape(obs)}: observation_space declares shape {space.shape}.")
    if array.dtype == object or not np.can_cast(array.dtype, space.dtype, "same_kind"):
        raise InvalidEnvironment(f"{what} has dtype {array.dtype}: observation_space declares {space.dtype}.")
    if np.issubdtype(array.dtype, np.floating) and np.isnan(array).any():
        raise InvalidEnvironment(f"{what} holds NaN: return numbers.")
    low, high = _limits(space)
    if (array < low).any() or (array > high).any():
        message = f"{what} is out of its bounds, {array.min()} to {array.max()}: observation_space declares {space}."
        if not isinstance(space, gym.spaces.Box):
            raise InvalidEnvironment(message)
        warnings.warn(message, stacklevel=2)


def _limits(space: Any) -> tuple[Any, Any]:
    if isinstance(space, gym.spaces.Box):
        return space.low, space.high
    if isinstance(space, gym.spaces.Discrete):
        return space.start, space.start + space.n - 1
    if isinstance(space, gym.spaces.MultiDiscrete):
        return space.start, space.start + space.nvec - 1
    return 0, 1


def _shape(thing: Any) -> str:
    """A few words on what something is."""
    if isinstance(thing, tuple):
        return f"a tuple of {len(thing)}"
    if isinstance(thing, np.ndarray):
        return f"an array of shape {thing.shape}"
    return f"{type(thing).__name__} {str(thing)[:60]}"
