"""Copies of one Gymnasium environment, side by side in this process or each in a process of its own.

This file is all that the other processes import of bellmax, so it does not import JAX.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, WrapperSpec, load_env_creator
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from bellmax.envs.adaptors import MissingDependency
from bellmax.envs.adaptors.gymnasium_errors import EnvironmentFailed, Uncopyable


class Crash(RuntimeError):
    """An exception inside copy `index`, in a form that crosses processes: its type, text and traceback.

    Whatever the environment raised may not be picklable, and then Gymnasium's process would wait forever.
    """

    def __init__(self, *args: Any) -> None:
        RuntimeError.__init__(self, *args)
        # Gymnasium raises `type(error)(error)` in the parent process.
        self.index, self.summary, self.trace = args[0].args if isinstance(args[0], Crash) else args

    def __str__(self) -> str:
        return f"copy {self.index} failed"  # no more: Gymnasium's logger trips over a % in the text


class Watched(gym.Wrapper):
    """One copy. It says which copy raised, and keeps final observations out of the reach of `reset`."""

    def __init__(self, env: gym.Env, index: int, remote: bool) -> None:
        gym.Wrapper.__init__(self, env)
        self._index, self._remote = index, remote

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        try:
            obs, reward, terminated, truncated, info = self.env.step(action)
        except Exception as error:
            self._crash(error)
        if terminated or truncated:
            # An environment may hand out its own buffer, which the reset that follows at once overwrites.
            obs = copy.deepcopy(obs)
            if "action_mask" in info:
                info = {**info, "action_mask": copy.deepcopy(info["action_mask"])}
        return obs, reward, terminated, truncated, info

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        try:
            obs, info = self.env.reset(seed=seed, options=options)
        except Exception as error:
            self._crash(error)
        return obs, info

    def _crash(self, error: Exception) -> None:
        trace = traceback.format_exc()
        crash = Crash(self._index, f"{type(error).__name__}: {error}", trace)
        if self._remote:
            raise crash from None
        raise crash from error


@dataclass(frozen=True)
class Copy:
    """Makes copy number `index` of an environment, in whichever process it is called."""

    recipe: Any
    kwargs: dict[str, Any]
    name: str
    index: int
    home: int  # the process that asked for it
    around: tuple[Any, ...] = ()  # wrappers, the innermost first

    def __call__(self) -> gym.Env:
        remote = os.getpid() != self.home
        if remote:
            # Ctrl-C reaches every process of the terminal; the one that trains decides what it means.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return Watched(surrounded(make(self.recipe, self.kwargs, self.name), self.around), self.index, remote)


def copies(recipe: Any, kwargs: dict[str, Any], name: str, count: int, around: tuple[Any, ...] = ()) -> list[Copy]:
    """`count` functions that make one environment each."""
    return [Copy(recipe, kwargs, name, index, os.getpid(), around) for index in range(count)]


def surrounded(env: gym.Env, around: tuple[Any, ...]) -> gym.Env:
    """The environment with each of these around it."""
    for put in around:
        env = put(env)
    return env


def make(recipe: Any, kwargs: dict[str, Any], name: str) -> gym.Env:
    """One environment from a spec, an object (which is copied), a class or a factory."""
    try:
        if isinstance(recipe, EnvSpec):
            # bellmax checks environments itself, once, before training.
            env = gym.make(recipe, **{"disable_env_checker": True, **kwargs})
        elif isinstance(recipe, gym.Env):
            return copy.deepcopy(recipe)
        else:
            env = recipe(**kwargs)
    except TypeError as error:
        if "render_mode" in kwargs and "'render_mode'" in str(error):
            raise TypeError(f"{name} takes no render_mode: give its constructor one to watch it.") from error
        raise
    except (gym.error.DependencyNotInstalled, ModuleNotFoundError) as error:
        raise MissingDependency(f"{name} needs a package that is not installed: {error}") from error
    if not isinstance(env, gym.Env):
        raise TypeError(
            f"{name} made {_kind(env)}, not a gymnasium.Env: derive your class from gymnasium.Env "
            "(its reset returns obs, info and its step five values)."
        )
    return env


def _kind(thing: Any) -> str:
    if isinstance(thing, VectorEnv):
        return "a gymnasium VectorEnv (pass that object itself)"
    return f"an object of {type(thing).__module__}.{type(thing).__qualname__}"


def spec_of(name: str) -> EnvSpec:
    """The registered recipe of an id, or of "module:Id" once that module is imported.

    The other processes get the recipe, not the id, which may be registered in this process alone.
    """
    module, _, identity = name.rpartition(":")
    if module:
        importlib.import_module(module)
    spec = copy.deepcopy(gym.spec(identity))
    if isinstance(spec.entry_point, str) and spec.entry_point.startswith("__main__:"):
        spec.entry_point = load_env_creator(spec.entry_point)  # another process has another __main__
    if isinstance(spec.entry_point, str) and spec.entry_point.startswith("minigrid.envs:"):
        spec.additional_wrappers += (WrapperSpec("Wordless", "bellmax.envs.adaptors.minigrid:Wordless", {}),)
    return spec


def recipe_of(made: Any, name: str) -> Any:
    """What copies are made from. An environment object is rebuilt from its spec if it can be, else copied."""
    if isinstance(made, str):
        return spec_of(made)
    if not isinstance(made, gym.Env):
        return made
    with contextlib.suppress(Exception):
        if made.spec is not None:
            gym.make(made.spec).close()
            return made.spec
    try:
        copy.deepcopy(made)
    except Exception as error:
        raise Uncopyable(
            f"{name} is an object that cannot be copied ({type(error).__name__}: {error}): "
            "pass its class, or a function that makes one."
        ) from error
    return made


def side_by_side(makers: list[Copy]) -> VectorEnv:
    """One process steps all copies in turn. The observations it returns are overwritten by the next step."""
    return SyncVectorEnv(makers, copy=False, autoreset_mode=AutoresetMode.SAME_STEP)


def alone(env: gym.Env) -> VectorEnv:
    """A vector environment of the one object that is there."""
    return SyncVectorEnv([lambda: Watched(env, 0, remote=False)], copy=False, autoreset_mode=AutoresetMode.SAME_STEP)


def in_processes(makers: list[Copy]) -> VectorEnv:
    """A process for each copy. The observations it returns are overwritten by the next step."""
    # Forking a process that runs JAX can deadlock: the copies come from a server that never ran it.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    if method == "forkserver":
        multiprocessing.get_context(method).set_forkserver_preload(["gymnasium", __name__])
    with _main_hidden():
        try:
            return AsyncVectorEnv(makers, copy=False, context=method, autoreset_mode=AutoresetMode.SAME_STEP)
        except (EOFError, ConnectionError) as error:
            raise EnvironmentFailed(
                f"{makers[0].name} could not be made in a process of its own, where it left its traceback: "
                "make it without what only this process has, or choose vectorization='sync'."
            ) from error


def shut(vector: VectorEnv) -> None:
    """Close a vector environment in the middle of a call.

    Some processes have answered and some have not, or never will: Gymnasium's own close would wait for them.
    """
    if not isinstance(vector, AsyncVectorEnv):
        return vector.close()
    for process in vector.processes:
        process.terminate()
        process.join()
    vector.closed = True


@contextlib.contextmanager
def _main_hidden() -> Iterator[None]:
    """Start processes that do not run the user's script again, which then needs no `if __name__ == "__main__"`.

    Nothing is lost: what the script defines is sent by value.
    """
    main = sys.modules["__main__"]
    kept = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
    vars(main).update(dict.fromkeys(kept))
    try:
        yield
    finally:
        vars(main).update(kept)
