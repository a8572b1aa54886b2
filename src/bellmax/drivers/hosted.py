"""Drive an algorithm in environments that live on the host: Gymnasium, Atari, anything in Python.

The same rounds as `ingraph`, with one device call per step of the environments (see `drivers.fused`). Both drivers draw
the same random numbers: on a deterministic world they produce the same run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Algorithm, Outcome, Spec, Transition
from bellmax.drivers import apart, fused
from bellmax.drivers.fused import Choice, Run
from bellmax.drivers.learn import eats, example_transition, round_keys
from bellmax.spaces import confine


class HostedEnvs(Protocol):
    """A vector of environments on the host; `bellmax.envs.adaptors.gymnasium.Hosted` is one."""

    @property
    def spec(self) -> Spec: ...
    @property
    def num_envs(self) -> int: ...
    def reset(self, group: int = 1) -> Any: ...
    def step(self, action: Any) -> Any: ...


def never() -> bool:
    """Go on."""
    return False


class Drive:
    """A run and its environments. `advance` goes on; `run` is what a checkpoint keeps."""

    def __init__(
        self,
        algorithm: Algorithm,
        envs: HostedEnvs,
        key: Array | None = None,
        run: Run | None = None,
        overlap: bool = False,
        host: Any = None,
    ):
        """Begin with `key`, or go on with the `run` of an earlier drive, in freshly reset environments.

        With `overlap` the device learns while the environments step: the first action of a round is chosen by what was
        known one round earlier, and what a round's learning says comes one round later. What is stored stays in the
        memory of the jax.Device `host` if one is given (see `drivers.apart`), else with everything on the device.
        """
        algorithm = jax.tree.map(jnp.asarray, algorithm)  # on the device once, not at every step
        self.envs, self.experience = envs, eats(algorithm)
        self.spec = Spec(envs.spec.obs, envs.spec.action, envs.num_envs)
        self.total, self._overlap, self._pending = dict[str, Any](), overlap, _NOTHING
        self._waits = self.experience.waits(envs.num_envs) - (0 if run is None else int(run.round))
        self._floats, floats = jax.tree.flatten(algorithm)
        spec, spec_tree = jax.tree.flatten(self.spec)
        device = jax.devices()[0]
        if run is not None:
            run = jax.tree.map(jnp.asarray, run) if host is None else apart.parted(run, host, device)
            run = run._replace(buffer=self.experience.interrupt(run.buffer))
        elif host is not None:
            run = apart.parted(apart.start(algorithm, self.spec, key, host), host, device)
        else:
            run = fused.compiled_start(floats, tuple(spec), spec_tree)(self._floats, key)
        self._example = example_transition(algorithm, run.state, self.spec)
        leaves, self._tree = jax.tree.flatten(jax.tree.map(jnp.asarray, run))
        shapes = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (*self._floats, *leaves))
        structure = floats, self._tree, shapes, tuple(spec), spec_tree
        self._calls = fused.compiled(*structure) if host is None else apart.compiled(*structure, host, device)
        self._hold(leaves)
        self._vacate()
        self._restart()

    @property
    def run(self) -> Run:
        """The run as it was at the end of the last round, on the host."""
        return jax.device_get(jax.tree.unflatten(self._tree, self._leaves))

    @property
    def state(self) -> Any:
        """What the algorithm has learned by then, on the host."""
        return jax.device_get(jax.tree.unflatten(self._tree, self._leaves).state)

    @property
    def sound(self) -> bool:
        """Have all metrics been finite?"""
        return bool(jax.tree.unflatten(self._tree, self._leaves).sound)

    @property
    def learn_key(self) -> Array:
        """The key that the last round learned, or tried to learn, with."""
        run = self.run
        return round_keys(run.key, run.round, self.experience.length).learn

    def begin_as(self, change: Callable[[Run], Run]) -> None:
        """Put `change(run)` in the place of the fresh run, before the first step."""
        run = change(jax.tree.unflatten(self._tree, self._leaves))
        self._waits = self.experience.waits(self.envs.num_envs) - int(run.round)
        self._hold(jax.tree.leaves(jax.tree.map(jnp.asarray, run)))
        self._restart()

    def compile(self) -> None:
        """Compile the device calls, on copies that are thrown away."""
        memory, last = jax.tree.map(jnp.copy, self._memory), np.zeros(self.spec.num_envs, bool)
        now = self._draws, memory, self._heard, self._obs, last, np.int32(0)
        jax.block_until_ready(self._calls.act(self._read, *now))
        for learns in (False, True)[0 if self._waits > 0 else 1 :]:
            memory, leaves = jax.tree.map(jnp.copy, self._memory), [jnp.copy(x) for x in self._leaves]
            if self._overlap:
                jax.block_until_ready(self._calls.ahead([*self._floats, *leaves], memory, self._heard, self._obs, last))
                jax.block_until_ready(self._calls.study[learns](self._floats, leaves, self.window))
            else:
                call = self._calls.learn if learns else self._calls.store
                jax.block_until_ready(call(self._floats, leaves, self.window, memory, self._heard, self._obs, last))

    def advance(self, rounds: int, most_steps: int, stop: Callable[[], bool] = never) -> dict[str, Any]:
        """Up to `rounds` more rounds, fewer once `most_steps` steps are taken or `stop()` -> metrics summed over them.

        Stops at a round that is not sound: then `run.sound` is False and `window` holds the batch that broke it.
        If an environment raises, `total` still holds the sums of the rounds that were completed.
        """
        self.total = total = {"steps": 0, "episodes": 0, "score": 0.0, "length": 0, "rounds": 0}
        while total["rounds"] < rounds and total["steps"] < most_steps and not stop():
            tally, metrics, sound = self._round()
            if not sound:
                break
            _add(total, tally | jax.device_get(metrics) | {"rounds": 1})
        pending, self._pending = self._pending, _NOTHING
        _add(total, jax.device_get(pending[0]) if bool(pending[1]) else {})
        return total

    def _hold(self, leaves: list[Array]) -> None:
        """The run is made of these leaves now."""
        self._leaves, both = leaves, [*self._floats, *leaves]
        self._read = [both[index] for index in self._calls.reads]

    def _vacate(self) -> None:
        """A window that holds nothing: all of weight 0."""
        rows = self.experience.length, self.spec.num_envs
        self.window: Transition = jax.tree.map(lambda x: np.zeros((*rows, *x.shape), x.dtype), self._example)
        self._rows = jax.tree.leaves(self.window)

    def _restart(self) -> None:
        """New episodes everywhere, and the first actions."""
        count = self.spec.num_envs
        self._score, self._length, nothing = np.zeros(count), np.zeros(count, np.int64), jnp.zeros(count)
        self._obs = self.envs.reset(self.experience.group)
        self._heard = Outcome(self._obs, nothing, nothing, nothing > 0)  # nothing came of anything yet
        self._draws, self._memory, choice = self._calls.begin([*self._floats, *self._leaves], self._obs)
        self._choice: Choice = self._calls.unpack(choice)

    def _round(self) -> tuple[dict[str, Any], dict[str, Array], bool]:
        """Collect a round and learn from it -> tally, metrics, sound."""
        length, whole = self.experience.length, self.experience.whole
        self._vacate()
        if whole:
            self._restart()
        alive = np.ones(self.spec.num_envs, np.float32)
        for t in range(length):
            full = t == length - 1
            arrival = self.envs.step(confine(self.spec.action, self._choice.action))
            self._heard = arrival.outcome
            weight, last = arrival.weight * alive, arrival.last
            if whole:
                last = last | full
                alive = alive * (1 - last)
                full = full or not alive.any()
            if not full:  # the device chooses while the host keeps its books
                now = self._draws, self._memory, self._heard, arrival.obs, last, np.int32(t + 1)
                self._memory, choice = self._calls.act(self._read, *now)
            self._store(t, arrival, weight, last)
            self._obs = arrival.obs
            if full:
                break
            self._choice = self._calls.unpack(choice)
        learns, self._waits = self._waits <= 0, self._waits - 1
        return self._learn_behind(t + 1, last, learns) if self._overlap else self._learn(t + 1, last, learns)

    def _learn(self, rows: int, last: Any, learns: bool) -> tuple[dict[str, Any], dict[str, Array], bool]:
        """Learn from the window's first `rows`, or store them, and choose the next actions -> tally, metrics, sound."""
        call = self._calls.learn if learns else self._calls.store
        answer = call(self._floats, self._leaves, self.window, self._memory, self._heard, self._obs, last)
        tally = self._count(rows)  # while the device learns
        leaves, self._draws, self._memory, choice, metrics, sound = answer
        self._hold(leaves)
        self._choice = self._calls.unpack(choice)
        return tally, metrics, bool(sound)

    def _learn_behind(self, rows: int, last: Any, learns: bool) -> tuple[dict[str, Any], dict[str, Array], bool]:
        """Choose the next actions first, leave the learning running -> tally, the round before's metrics, sound."""
        metrics, sound = self._pending
        if not bool(sound):
            return {}, {}, False
        everything = [*self._floats, *self._leaves]
        self._draws, self._memory, choice = self._calls.ahead(everything, self._memory, self._heard, self._obs, last)
        leaves, *self._pending = self._calls.study[learns](self._floats, self._leaves, self.window)
        tally = self._count(rows)
        self._hold(leaves)
        self._choice = self._calls.unpack(choice)
        return tally, metrics, True

    def _store(self, t: int, arrival: Any, weight: Any, last: Any) -> None:
        """Write step `t` into the window."""
        now = self._choice
        row = Transition(
            self._obs, now.action, arrival.reward * weight, arrival.discount, last, arrival.next_obs, now.extras, weight
        )
        for rows, x in zip(self._rows, jax.tree.leaves(row)):
            rows[t] = x

    def _count(self, rows: int) -> dict[str, Any]:
        """Sums over the window's first `rows`: steps, and the episodes that ended with their scores and lengths."""
        real = self.window.weight[:rows] > 0
        score = self._score + np.cumsum(self.window.reward[:rows], axis=0, dtype=np.float64)
        length = self._length + np.cumsum(real, axis=0)
        ended = self.window.last[:rows] & real
        tally = {"steps": int(np.count_nonzero(real)), "episodes": int(ended.sum()), "score": 0.0, "length": 0}
        for t in np.flatnonzero(ended.any(axis=1)):
            who = ended[t]
            tally["score"] += float(score[t, who].sum())
            tally["length"] += int(length[t, who].sum())
            score[:, who] -= score[t, who]
            length[:, who] -= length[t, who]
        self._score, self._length = score[-1], length[-1]
        return tally


_NOTHING: Any = ({}, True)  # metrics, sound


def _add(total: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def train(algorithm: Algorithm, envs: HostedEnvs, key: Array, *, steps: int) -> tuple[Run, list[dict[str, Any]]]:
    """Train for `steps` environment steps -> run, metrics of every round."""
    drive, left, history = Drive(algorithm, envs, key), steps, list[dict[str, Any]]()
    while left > 0 and (not history or history[-1]["rounds"]):
        history.append(drive.advance(1, left))
        left -= history[-1]["steps"]
    return drive.run, history
