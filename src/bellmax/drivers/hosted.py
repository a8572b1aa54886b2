"""Drive an algorithm in environments that live on the host: Gymnasium, Atari, anything in Python.

The same rounds as `ingraph`, with one device call per step of the environments: what came back is stored, the
algorithm learns if the round is full, and the next actions are chosen, fused (see `drivers.fused`). Both drivers draw
the same random numbers: on a deterministic world they produce the same run.
"""

from __future__ import annotations

import functools
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Algorithm, Spec, Transition
from bellmax.drivers import fused
from bellmax.drivers.fused import Answer, Carry, Run
from bellmax.drivers.learn import eats
from bellmax.spaces import confine


class HostedEnvs(Protocol):
    """A vector of environments on the host; `bellmax.envs.adaptors.gymnasium.Hosted` is one."""

    @property
    def spec(self) -> Spec: ...
    @property
    def num_envs(self) -> int: ...
    def reset(self, group: int = 1) -> Any: ...
    def step(self, action: Any) -> Any: ...


class Drive:
    """A run and its environments. `advance` goes on; `run` is what a checkpoint keeps."""

    def __init__(self, algorithm: Algorithm, envs: HostedEnvs, key: Array | None = None, run: Run | None = None):
        """Begin with `key`, or go on with the `run` of an earlier drive, in freshly reset environments."""
        self.algorithm = jax.tree.map(jnp.asarray, algorithm)  # on the device once, not at every step
        self.envs, self.experience = envs, eats(algorithm)
        self.spec = Spec(envs.spec.obs, envs.spec.action, envs.num_envs)
        if run is None:
            run = jax.jit(lambda algorithm, key: fused.start(algorithm, self.spec, key))(self.algorithm, key)
        self._floats, algorithm_tree = jax.tree.flatten(self.algorithm)
        self._begin = jax.jit(lambda algorithm, run, obs: fused.begin(algorithm, self.spec, run, obs))
        self._restart(jax.tree.map(jnp.asarray, run))
        self._step, self._learn = fused.compiled(algorithm_tree, self._tree, envs.spec.action)

    def compile(self) -> None:
        """Compile both device calls, on a copy of the run that is thrown away."""
        zeros = np.zeros((4, self.spec.num_envs), np.float32)
        answer = Answer(self._obs, self._obs, zeros)
        for call in (self._step, self._learn):
            jax.block_until_ready(call(self._floats, [x.copy() for x in self._leaves], answer, np.int32(0)))

    @property
    def run(self) -> Run:
        """The run as it is at the end of a round, on the host."""
        return jax.device_get(self._carry.run)

    @property
    def window(self) -> Transition:
        """The steps of the last round, [time, env], on the host."""
        return jax.device_get(self._carry.window)

    @property
    def _carry(self) -> Carry:
        return self._tree.unflatten(self._leaves)

    def advance(self, rounds: int, most_steps: int) -> dict[str, Any]:
        """Up to `rounds` more rounds, fewer once `most_steps` steps are taken -> metrics summed over the rounds.

        Stops at a round that is not sound: then `run.sound` is False and `window` holds the batch that broke it.
        """
        total: dict[str, Any] = {"steps": 0, "episodes": 0, "score": 0.0, "length": 0, "rounds": 0}
        while total["rounds"] < rounds and total["steps"] < most_steps:
            tally, metrics, sound = self._round()
            if not sound:
                break
            for name, value in (tally | jax.device_get(metrics) | {"rounds": 1}).items():
                total[name] = total.get(name, 0) + value
        return total

    def _restart(self, run: Run) -> None:
        """New episodes everywhere, an empty window, and the first actions."""
        self._score = np.zeros(self.spec.num_envs)
        self._length = np.zeros(self.spec.num_envs, np.int64)
        self._obs = self.envs.reset(self.experience.group)
        carry = self._begin(self.algorithm, run, self._obs)
        self._leaves, self._tree = jax.tree.flatten(carry)
        self._action = confine(self.spec.action, carry.pending.action)

    def _round(self) -> tuple[dict[str, Any], dict[str, Array], bool]:
        """Collect a round and learn from it -> tally, metrics, sound."""
        length, whole = self.experience.length, self.experience.whole
        if whole:
            self._restart(self._carry.run)
        tally = {"steps": 0, "episodes": 0, "score": 0.0, "length": 0}
        alive = np.ones(self.spec.num_envs, np.float32)
        for t in range(length):
            full = t == length - 1
            arrival = self.envs.step(jax.tree.map(np.asarray, self._action))
            weight, last = arrival.weight * alive, arrival.last
            if whole:
                last = last | full
                alive = alive * (1 - last)
                full = full or not alive.any()
            self._count(tally, arrival.reward, weight > 0, last)
            flags = np.array([arrival.reward * weight, arrival.discount, last, weight], np.float32)
            call = self._learn if full else self._step
            answer = Answer(arrival.next_obs, arrival.obs, flags)
            self._leaves, self._action, metrics, sound = call(self._floats, self._leaves, answer, np.int32(t))
            if full:
                break
        return tally, metrics, bool(sound)

    def _count(self, tally: dict[str, Any], reward: np.ndarray, real: np.ndarray, last: np.ndarray) -> None:
        """Keep count of scores and lengths, and of the episodes that end here."""
        self._score += reward * real
        self._length += real
        tally["steps"] += int(real.sum())
        if last.any():
            ended = last & real
            tally["episodes"] += int(ended.sum())
            tally["score"] += float(self._score[ended].sum())
            tally["length"] += int(self._length[ended].sum())
            self._score[ended], self._length[ended] = 0, 0


def train(algorithm: Algorithm, envs: HostedEnvs, key: Array, *, steps: int) -> tuple[Run, list[dict[str, Any]]]:
    """Train for `steps` environment steps -> run, metrics of every round."""
    drive, history, left = Drive(algorithm, envs, key), [], steps
    while left > 0 and (not history or history[-1]["rounds"]):
        history.append(drive.advance(1, left))
        left -= history[-1]["steps"]
    return drive.run, history
