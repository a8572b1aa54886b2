"""Gymnasium vector environments as bellmax sees them: the one place where `terminated` and `truncated` are read."""

from __future__ import annotations

import contextlib
import weakref
from typing import Any, NamedTuple, NoReturn

import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from bellmax.core import Outcome, Spec
from bellmax.envs.adaptors.gymnasium_copies import Crash, shut
from bellmax.envs.adaptors.gymnasium_errors import EnvironmentFailed
from bellmax.envs.adaptors.gymnasium_reading import Reading
from bellmax.envs.adaptors.gymnasium_spaces import action, rows_of, with_rows

_LENT: set[int] = set()  # the users' own objects that are in use, by id


class Arrival(NamedTuple):
    """What one step of all environments brought: NumPy arrays, or trees of them, all [num_envs, ...].

    Nothing in it is changed by a later step; a field that is the same everywhere may be read-only.
    A row with `weight` 0 is no transition at all: the step that some vector environments spend on a
    reset. Its `last` is True and its `discount` 0, so nothing flows over it; it is no episode of its own.
    """

    next_obs: Any  # the true successor, never the first observation of the next episode
    reward: np.ndarray  # float32
    discount: np.ndarray  # float32; 0 where it terminated
    last: np.ndarray  # bool; terminated or cut short
    weight: np.ndarray  # float32; 0 where the row is no real transition
    obs: Any  # what to act on now: the next episode's first observation where one ended

    @property
    def outcome(self) -> Outcome:
        """What `Algorithm.hear` hears of it."""
        told: Any = (self.next_obs, self.reward, self.discount, self.last)
        return Outcome(*told)


class Hosted:
    """`num_envs` environments on the host, stepped together. `HostedSource.vector` makes one."""

    def __init__(self, vector: VectorEnv, *, name: str, seed: int, owned: bool = True, lent: Any = None) -> None:
        """`owned`: bellmax made `vector`, which reuses its buffers; `lent`: the user's object that is in it."""
        self.name, self.seed, self.steps, self.num_envs = name, seed, 0, int(vector.num_envs)
        self._vector, self._mode, self._lent = vector, _mode(vector, name), lent
        self._release = _lend(self, lent, name)
        self._owned, self._interrupted = owned, False
        reused = owned or not (type(vector) in (SyncVectorEnv, AsyncVectorEnv) and vector.copy)
        self._reading = Reading(vector, name, copy=reused)
        space, self._write = action(vector.single_action_space, where=f"{name}: action_space")
        self._ones, self._never = np.ones(self.num_envs, np.float32), np.zeros(self.num_envs, bool)
        for constant in (self._ones, self._never):
            constant.flags.writeable = False
        self._resets, self._seeds = 0, [0] * self.num_envs
        self._resetting: np.ndarray | None = None  # in mode NEXT_STEP, the rows whose next step is a reset
        self._final: Any = None  # and the observations they ended with
        raw, info = self._restart(1)
        self.spec = Spec(self._reading.settle(info), space, self.num_envs)
        self._first: Any = self._reading.read(raw, info)

    def reset(self, group: int = 1) -> Any:
        """Begin an episode everywhere -> observations [num_envs, ...].

        Environments of a group of `group` neighbours get the same seed, and so start alike.
        """
        if self._first is not None and group == 1:
            obs, self._first = self._first, None
            return obs
        return self._reading.read(*self._restart(group))

    def step(self, action: Any) -> Arrival:
        """Act everywhere (a tree [num_envs, ...] of `spec.action`); where an episode ends the next one begins."""
        written = self._write(action)
        raw, reward, terminated, truncated, info = self._call("step", written)
        self.steps += 1
        self._first = None
        reward, terminated = np.array(reward, np.float32), np.asarray(terminated)
        ended = terminated | np.asarray(truncated)
        if self._resetting is None and not np.count_nonzero(ended):
            obs = self._reading.read(raw, info)
            return Arrival(obs, reward, self._ones, self._never, self._ones, obs)
        if self._mode is AutoresetMode.NEXT_STEP:
            return self._next_step(raw, reward, terminated, ended, info)
        discount = np.subtract(1, terminated, dtype=np.float32)
        if self._mode is AutoresetMode.SAME_STEP:
            next_obs, obs = self._same_step(raw, ended, info)
        else:
            next_obs, obs = self._reset_here(raw, ended, info)
        return Arrival(next_obs, reward, discount, ended, self._ones, obs)

    def render(self) -> Any:
        """What the environments show, one picture (uint8 [height, width, 3]) each; None without a render mode."""
        return self._vector.render() if self._vector.render_mode else None

    def close(self) -> None:
        """Close the environments; an object of the user's own is left as it is."""
        self._release()
        if not self._owned or self._lent is not None:
            return
        if self._interrupted:
            shut(self._vector)
        else:
            self._vector.close()

    def _same_step(self, raw: Any, ended: np.ndarray, info: dict[str, Any]) -> tuple[Any, Any]:
        """The vector environment has reset already and put the last observations in `info`."""
        obs, rows = self._reading.read(raw, info), ended.nonzero()[0]
        return with_rows(obs, rows, self._reading.finals(info, rows)), obs

    def _reset_here(self, raw: Any, ended: np.ndarray, info: dict[str, Any]) -> tuple[Any, Any]:
        """The vector environment never resets: do it now."""
        next_obs, rows = self._reading.read(raw, info, ended), ended.nonzero()[0]
        raw, info = self._call("reset", options={"reset_mask": ended.copy()})
        return next_obs, with_rows(next_obs, rows, self._reading.read_rows(raw, info, rows))

    def _next_step(
        self, raw: Any, reward: np.ndarray, terminated: np.ndarray, ended: np.ndarray, info: dict[str, Any]
    ) -> Arrival:
        """The vector environment spends the step after an episode's last on the reset: that row is no transition."""
        resetting = self._never if self._resetting is None else self._resetting
        obs = next_obs = self._reading.read(raw, info, ended)
        if resetting.any():
            rows = resetting.nonzero()[0]
            next_obs = with_rows(obs, rows, rows_of(self._final, rows))
            reward[rows] = 0
        self._resetting, self._final = (ended, obs) if ended.any() else (None, None)
        discount = np.subtract(1, terminated | resetting, dtype=np.float32)
        return Arrival(next_obs, reward, discount, ended | resetting, np.subtract(1, resetting, dtype=np.float32), obs)

    def _restart(self, group: int) -> tuple[Any, dict[str, Any]]:
        if self.num_envs % group:
            raise ValueError(f"num_envs = {self.num_envs} cannot be split in groups of {group}: choose a multiple.")
        # Not seed, seed + 1, ...: runs with neighbouring seeds would share most of their episodes.
        drawn = np.random.SeedSequence([self.seed, self._resets]).generate_state(self.num_envs // group) >> 1
        self._seeds = [int(seed) for seed in np.repeat(drawn, group)]
        seeds: Any = self._seeds
        if not self._owned and not isinstance(self._vector.unwrapped, SyncVectorEnv | AsyncVectorEnv):
            if group > 1:
                raise ValueError(
                    f"{self.name} takes one seed for all of its environments, so they cannot start alike in groups of "
                    f"{group}: pass the id or class of a single environment instead."
                )
            seeds = seeds[0]
        self._first, self._resetting, self._final = None, None, None
        self._resets += 1
        return self._call("reset", seed=seeds)

    def _call(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        """Call the vector environment's `verb`; whatever it raises becomes an `EnvironmentFailed`."""
        self._interrupted = True
        try:
            answer = getattr(self._vector, verb)(*args, **kwargs)
        except Exception as error:
            self._fail(verb, error)
        self._interrupted = False
        return answer

    def _fail(self, verb: str, error: Exception) -> NoReturn:
        """Say what happened inside the user's environment, and where."""
        crash = error if isinstance(error, Crash) else None
        where = f"vector step {self.steps}, seed {self.seed}"
        what, trace = f"{type(error).__name__}: {error}", ""
        if crash is not None:
            where += f"; copy {crash.index} of {self.num_envs}, whose first reset had seed={self._seeds[crash.index]}"
            what, trace = crash.summary, f"\n\nIn the environment's own process:\n{crash.trace}"
        elif isinstance(error, EOFError | ConnectionError):
            what = "one of its processes died: killed for want of memory, or by a crash in compiled code"
        cause = error if crash is None else crash.__cause__
        message = f"{self.name} failed in {verb}() ({where}): {what}"
        raise EnvironmentFailed(message if cause is not None else message + trace) from cause


def _mode(vector: VectorEnv, name: str) -> AutoresetMode:
    mode = vector.metadata.get("autoreset_mode")
    with contextlib.suppress(ValueError):
        return AutoresetMode(mode)
    raise ValueError(
        f"{name}: metadata['autoreset_mode'] is {mode!r}, so nobody can tell when it resets: set it to one of "
        "gymnasium.vector.AutoresetMode's SAME_STEP, NEXT_STEP and DISABLED."
    )


def _lend(hosted: Hosted, thing: Any, name: str) -> Any:
    """Take an object that only one `Hosted` can use at a time -> the function that gives it back."""
    if thing is None:
        return lambda: None
    if id(thing) in _LENT:
        raise RuntimeError(
            f"{name} is one object and already in use: close what uses it, or pass an id, a class or a function "
            "that makes one, so that each use gets its own."
        )
    _LENT.add(id(thing))
    return weakref.finalize(hosted, _LENT.discard, id(thing))
