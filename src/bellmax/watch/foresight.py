"""How well a model of the world foresees: unrolled along real episodes with their actions, and held against them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from bellmax.core import Algorithm, Outcome
from bellmax.spaces import Discrete, Tree
from bellmax.watch.film import CannotWatch
from bellmax.watch.playing import Moment

STARTS = 100  # of an episode, at most: as many times the model is asked
TOLD = (1, 2, 3, 5, 10, 15, 20, 30, 50, 100)  # the steps ahead that the table tells, and the last


class Stretch(NamedTuple):
    """A part of an episode: `context` moments, the one at which the model looks for the last time, and what follows."""

    moments: list[Moment]
    context: int  # the place of that last look among them
    foreseen: Outcome  # [ahead, ...]; what is said of the moments behind it


class Errors(NamedTuple):
    """Squared errors [start, ahead] of what is imagined, and of `still`: that nothing changes. NaN behind the end."""

    obs: np.ndarray  # NaN everywhere where the model does not say what will be seen
    obs_still: np.ndarray
    reward: np.ndarray
    reward_still: np.ndarray


class Foresight(NamedTuple):
    """Mean squared errors by steps ahead, [ahead]; the first is that of one step.

    An observation's is the mean over its numbers: those of a box as they are, pixels from 0 to 1, choices one-hot.
    `still` is the error of saying that the observation, and the reward, will be as they were when the model looked.
    """

    errors: Errors  # the means
    starts: np.ndarray  # how many there were
    path: Path | None = None  # of the film or picture

    def table(self) -> str:
        """The errors as a table, a line for some of the steps ahead."""
        lines = ["steps ahead  observations  nothing changes       rewards  nothing changes  starts"]
        longest = int(np.flatnonzero(self.starts)[-1]) + 1
        for ahead in [n for n in TOLD if n < longest] + [longest]:
            means = [error[ahead - 1] for error in self.errors]
            obs, still, reward, same = ("-" if np.isnan(x) else f"{x:.3g}" for x in means)
            starts = self.starts[ahead - 1]
            lines.append(f"{ahead:11d}  {obs:>12}  {still:>15}  {reward:>12}  {same:>15}  {starts:6d}")
        return "\n".join(lines)


def compare(
    algorithm: Algorithm, state: Any, episode: Sequence[Moment], space: Tree, context: int, horizon: int, seed: int
) -> tuple[Stretch, Errors]:
    """Ask the model from many moments of an episode -> what it says from the first of them on, and all errors."""
    last = len(episode) - 1
    starts = np.unique(np.linspace(context, last - 1, STARTS).astype(int))
    places = starts[:, None] + 1 + np.arange(horizon)
    there, places = places <= last, np.minimum(places, last)
    before = [(episode[start].obs, episode[start].memory) for start in starts]
    obs, memory = jax.tree.map(lambda *x: np.stack(x), *before)
    actions = jax.tree.map(lambda *x: np.stack(x)[places - 1], *(moment.action for moment in episode[1:]))
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), episode[0].episode), len(starts))
    foreseen = jax.device_get(_asked(algorithm, state, obs, memory, actions, keys))
    rewards = np.array([0.0 if moment.outcome is None else float(moment.outcome.reward) for moment in episode])
    error, still = (squared(guess, rewards[places]) for guess in (foreseen.reward, rewards[starts][:, None]))
    errors = [*_seen_errors(foreseen.obs, episode, space, starts, places), error, still]
    shown = Outcome(*jax.tree.map(lambda x: x[0][there[0]], tuple(foreseen)))
    stretch = Stretch(list(episode[: context + 1 + int(there[0].sum())]), context, shown)
    return stretch, Errors(*(np.where(there, error, np.nan) for error in errors))


def _seen_errors(foreseen: Any, episode: Sequence[Moment], space: Tree, starts: Any, places: Any) -> list[np.ndarray]:
    """Of observations: what is foreseen of them, and that nothing changes, [start, ahead] each."""
    if foreseen is None:
        return [np.full(places.shape, np.nan)] * 2
    found: list[list[np.ndarray]] = [[], []]
    real = as_numbers(space, jax.tree.map(lambda *x: np.stack(x), *(moment.obs for moment in episode)))
    for index, start in enumerate(starts):  # one after the other: pictures are large
        said = as_numbers(space, jax.tree.map(lambda x, index=index: x[index], foreseen))
        for errors, guess in zip(found, (said, real[start])):
            errors.append(squared(guess, real[places[index]]).mean(-1))
    return [np.stack(errors) for errors in found]


def squared(guess: np.ndarray, real: np.ndarray) -> np.ndarray:
    """The squared error; that of a model which says NaN is infinite."""
    return np.nan_to_num(np.square(guess - real), nan=np.inf, posinf=np.inf)


def as_numbers(space: Tree, obs: Any) -> np.ndarray:
    """Observations [time, ...] as numbers [time, many]: pixels from 0 to 1, choices one-hot."""

    def flat(leaf: Any, x: Any) -> np.ndarray:
        x = np.asarray(x)
        if isinstance(leaf, Discrete):
            return np.eye(leaf.n, dtype=np.float32)[x]
        return x.reshape(len(x), -1).astype(np.float32) / (255 if x.dtype == np.uint8 else 1)

    return np.concatenate([flat(*both) for both in zip(jax.tree.leaves(space), jax.tree.leaves(obs))], -1)


def summed_up(errors: Sequence[Errors]) -> Foresight:
    """The means over all starts of all episodes."""
    columns = [np.concatenate(parts) for parts in zip(*errors)]
    counts = [(~np.isnan(column)).sum(0) for column in columns]
    sums = [np.where(np.isnan(column), 0, column).sum(0) for column in columns]
    means = (np.where(count > 0, total / np.maximum(count, 1), np.nan) for total, count in zip(sums, counts))
    return Foresight(Errors(*means), counts[2])


def check_asked(context: int, horizon: int) -> None:
    """ValueError unless both are possible."""
    if context < 0 or horizon < 1:
        raise ValueError(f"context = {context} and horizon = {horizon}: at least 0, and at least 1.")


def too_short(context: int) -> CannotWatch:
    """What to say where no episode lasted."""
    return CannotWatch(f"No episode lasted longer than context = {context} steps: take a smaller one.")


@jax.jit
def _asked(algorithm: Any, state: Any, obs: Any, memory: Any, actions: Any, keys: Any) -> Outcome:
    """What is foreseen from every start, [start, ahead, ...]."""
    return jax.lax.map(lambda now: algorithm.foresee(state, *now), (obs, memory, actions, keys), batch_size=16)
