"""Gymnasium: its environments, and every environment of yours that follows its interface."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import cloudpickle
import gymnasium as gym
from gymnasium.vector import AsyncVectorEnv, VectorEnv

from bellmax.envs.adaptors import gymnasium_trial as trial
from bellmax.envs.adaptors.gymnasium_around import Around, Shape, to_plain
from bellmax.envs.adaptors.gymnasium_copies import (
    Copy,
    alone,
    copies,
    in_processes,
    make,
    recipe_of,
    shut,
    side_by_side,
    surrounded,
)
from bellmax.envs.adaptors.gymnasium_errors import EnvironmentFailed, InvalidEnvironment, Uncopyable, UnsupportedSpace
from bellmax.envs.adaptors.gymnasium_hosted import Arrival, Hosted

__all__ = ["Arrival", "EnvironmentFailed", "Hosted", "HostedSource", "InvalidEnvironment", "UnsupportedSpace"]

SLOW = 1e-3  # seconds a step: from here on, talking to another process is cheaper than waiting one's turn


@dataclass(frozen=True, eq=False)
class HostedSource:
    """Where hosted environments come from: as many, and as often, as somebody asks for.

    `made` is a Gymnasium id ("CartPole-v1", "module:Id"), an environment class, a function that makes
    one, an environment object, or a ready `VectorEnv`. `kwargs` go to the constructor.
    `vectorization`: "sync" steps the copies in turn, "async" gives each a process of its own, "auto"
    (the default) times a few steps and uses processes where a step costs more than a millisecond.
    """

    made: str | Callable[..., gym.Env] | gym.Env | VectorEnv
    kwargs: dict[str, Any] = field(default_factory=dict)
    vectorization: str = "auto"
    around: tuple[Around, ...] = ()  # what stands around each copy, the innermost first

    def __post_init__(self) -> None:
        if self.vectorization not in ("auto", "sync", "async"):
            raise ValueError(f"vectorization = {self.vectorization!r}: choose 'auto', 'sync' or 'async'.")
        wrong = isinstance(self.made, type) and not issubclass(self.made, gym.Env)
        if wrong or not (isinstance(self.made, str | gym.Env | VectorEnv) or callable(self.made)):
            raise TypeError(
                f"{self.made!r} is no environment: pass a Gymnasium id, a gymnasium.Env class or object, "
                "a function that makes one, or a gymnasium VectorEnv."
            )
        if self.kwargs and isinstance(self.made, gym.Env | VectorEnv):
            raise TypeError(f"{self.name} is already made and takes no {', '.join(self.kwargs)}: pass its class.")

    def __getstate__(self) -> dict[str, Any]:
        if isinstance(self.made, VectorEnv) and isinstance(self.made.unwrapped, AsyncVectorEnv):
            raise TypeError(
                f"{self.name} is a vector environment with processes of its own and cannot be sent to another "
                "process: pass the id, class or factory of one environment."
            )
        return {name: getattr(self, name) for name in ("made", "kwargs", "vectorization", "around")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @property
    def name(self) -> str:
        """What to call it in messages and on screen."""
        if isinstance(self.made, str):
            return self.made
        if isinstance(self.made, gym.Env | VectorEnv):
            spec = self.made.spec
            return spec.id if spec is not None else type(self.made.unwrapped).__name__
        function = self.made.func if isinstance(self.made, functools.partial) else self.made
        return str(getattr(function, "__name__", type(function).__name__))

    @property
    def ready(self) -> bool:
        """Is it a vector environment that was made already, of so many and no others?"""
        return isinstance(self.made, VectorEnv)

    @property
    def reference(self) -> str | None:
        """The string from which `find(reference, **kwargs)` makes it again; None if there is none."""
        if to_plain(self.around) is None:
            return None
        if isinstance(self.made, str):
            return self.made
        if isinstance(self.made, gym.Env):
            spec = self.made.spec
            return spec.id if spec is not None and gym.registry.get(spec.id) == spec else None
        module, path = getattr(self.made, "__module__", None), getattr(self.made, "__qualname__", "")
        if module is None or module == "__main__" or not path.isidentifier():
            return None
        return f"{module}:{path}" if getattr(sys.modules.get(module), path, None) is self.made else None

    @property
    def for_evaluation(self) -> HostedSource:
        """Where a policy is judged: the same without what only helps to learn."""
        kept = tuple(part for part in self.around if not isinstance(part, Shape))
        return self if kept == self.around else self.within(kept)

    def within(self, around: tuple[Around, ...]) -> HostedSource:
        """The same environments with this around each copy."""
        if around and isinstance(self.made, VectorEnv):
            raise TypeError(f"{self.name} is a ready vector environment: pass the id, class or factory of one instead.")
        return HostedSource(self.made, self.kwargs, self.vectorization, around)

    def vector(self, num_envs: int, seed: int, render_mode: str | None = None) -> Hosted:
        """`num_envs` environments; `seed` decides every one of their episodes.

        Raises `MissingDependency`, `UnsupportedSpace`, or `EnvironmentFailed` if a reset raises.
        """
        if num_envs < 1 or seed < 0:
            raise ValueError(f"num_envs = {num_envs} and seed = {seed}: at least 1, and at least 0.")
        self._check_render_mode(render_mode)
        if isinstance(self.made, VectorEnv):
            if self.made.num_envs != num_envs:
                raise ValueError(f"{self.name} holds {self.made.num_envs} environments: num_envs = {num_envs} is not.")
            return Hosted(self.made, name=self.name, seed=seed, owned=False, lent=self.made)
        try:
            recipe = recipe_of(self.made, self.name)
        except Uncopyable:
            if num_envs > 1:
                raise
            one = alone(surrounded(cast(gym.Env, self.made), self.around))
            return Hosted(one, name=self.name, seed=seed, lent=self.made)
        kwargs = self.kwargs if render_mode is None else {**self.kwargs, "render_mode": render_mode}
        makers = copies(recipe, kwargs, self.name, num_envs, self.around)
        vector = in_processes(makers) if self._apart(makers, render_mode) else side_by_side(makers)
        try:
            return Hosted(vector, name=self.name, seed=seed)
        except BaseException:
            shut(vector)
            raise

    def check(self) -> None:
        """Try one environment out for a few steps: `InvalidEnvironment` names what breaks Gymnasium's contract.

        A ready `VectorEnv` is left alone.
        """
        if isinstance(self.made, VectorEnv):
            return
        with self.one() as env:
            try:
                trial.check(env, self.name)
            except (InvalidEnvironment, UnsupportedSpace):
                raise
            except Exception as error:
                raise EnvironmentFailed(
                    f"{self.name} failed while it was checked (seed 0): {type(error).__name__}: {error}"
                ) from error

    def try_out(self) -> None:
        """Make one, to see that what stands around it fits."""
        with self.one():
            pass

    def _check_render_mode(self, mode: str | None) -> None:
        """Refuse to change the render mode of an object that cannot be made again."""
        made = self.made
        if not isinstance(made, gym.Env | VectorEnv) or mode in (None, made.render_mode):
            return
        if isinstance(made, VectorEnv) or made.spec is None:
            raise ValueError(
                f"{self.name} was made with render_mode={made.render_mode!r}, not {mode!r}: "
                "make it with that one, or pass its class."
            )

    def _apart(self, makers: list[Copy], render_mode: str | None) -> bool:
        """Does each copy get a process of its own?"""
        if self.vectorization != "auto":
            return self.vectorization == "async"
        daemon = multiprocessing.current_process().daemon  # which may not have children
        if len(makers) == 1 or cores() == 1 or daemon or render_mode is not None or self._step_seconds < SLOW:
            return False
        try:
            cloudpickle.dumps(makers[0])
        except Exception:
            return False
        return True

    @functools.cached_property
    def _step_seconds(self) -> float:
        try:
            with self.one() as env:
                return trial.step_seconds(env, self.name)
        except Exception:
            return 0.0  # it fails: let it do so in the run, which can say when and with which seed

    @contextlib.contextmanager
    def one(self) -> Iterator[gym.Env]:
        """One environment, for as long as it is looked at."""
        env = surrounded(make(recipe_of(self.made, self.name), self.kwargs, self.name), self.around)
        try:
            yield env
        finally:
            env.close()


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
