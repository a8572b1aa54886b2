"""How good is a policy where the physics are others? Whole episodes at every point of a grid of parameters."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Algorithm, Env
from bellmax.drivers.evaluate import play
from bellmax.engine import evaluate_policy
from bellmax.envs.names import find
from bellmax.envs.parameters import parameters, with_parameters
from bellmax.envs.perturbed import nominal, perturbed
from bellmax.report.sensitivity_plots import Grid, plot_grids
from bellmax.report.wording import aligned, figure

MOST_STEPS = 100_000  # of an episode


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """What a policy is worth at every point of a grid."""

    name: str  # of the run, for tables and pictures
    parameters: dict[str, tuple[float, ...]]  # the grid: values by name
    usual: dict[str, float]  # the environment's own values
    scores: np.ndarray  # [seed, one axis a parameter]: mean scores of whole episodes
    episodes: int  # at each point, for each seed

    @property
    def means(self) -> np.ndarray:
        """Over the seeds, [one axis a parameter]."""
        return self.scores.mean(0)

    @property
    def lowest(self) -> tuple[dict[str, float], float]:
        """The point where the policy is worst, and its mean score there."""
        place = np.unravel_index(int(self.means.argmin()), self.means.shape)
        point = {name: values[i] for (name, values), i in zip(self.parameters.items(), place)}
        return point, float(self.means[place])

    def rows(self) -> list[dict[str, float]]:
        """A row a point: the parameters, "mean", "worst" and "best" of the seeds."""
        points = itertools.product(*self.parameters.values())
        flat = self.scores.reshape(len(self.scores), -1)
        return [
            dict(zip(self.parameters, point))
            | {"mean": float(x.mean()), "worst": float(x.min()), "best": float(x.max())}
            for point, x in zip(points, flat.T)
        ]

    def table(self) -> str:
        """The rows as text."""
        several = len(self.scores) > 1
        columns = [*self.parameters, "mean", *(["worst", "best"] if several else [])]
        lines = [
            [f"{row[name]:g}" if name in self.parameters else figure(row[name]) for name in columns]
            for row in self.rows()
        ]
        return aligned([{"worst": "worst seed", "best": "best seed"}.get(name, name) for name in columns], lines)

    def plot(self, path: str | Path | None = None, others: Sequence[Sensitivity] = (), **options: Any) -> Any:
        """Draw it, beside others on the same grid, to a PNG if `path` is given -> the path, or the figure.

        One parameter is a curve, two are a map of colours, more are a curve each, averaged over the rest.
        """
        grids = {each.name: Grid(each.parameters, each.usual, each.scores) for each in (self, *others)}
        if len(grids) <= len(others):
            raise ValueError(f"names are {[each.name for each in (self, *others)]}: give each another, with name=.")
        return plot_grids(grids, path, **options)


def sensitivity(
    run: Any,
    over: Mapping[str, Sequence[float]],
    *,
    episodes: int = 20,
    greedy: bool = True,
    env: Any = None,
    name: str | None = None,
) -> Sensitivity:
    """Play `episodes` whole episodes at every point of the grid `over`, with the policy of every seed.

    over    {name: values}: fields in the graph, attributes on the host, or factors of a MuJoCo model's fields
    env     where, if not where the run was trained; physics that are drawn at random, and shaped rewards, are left out

    In the graph the grid is one compiled program, and every point sees the same random numbers. Raises
    UnknownParameter, ValueError.
    """
    grid = {field: _values(field, given) for field, given in over.items()}
    if not grid:
        raise ValueError("over is empty: give at least one parameter, as in {'gravity': [9, 10, 11]}.")
    source = nominal(run.plan.env if env is None else find(env))
    points = [dict(zip(grid, point)) for point in itertools.product(*grid.values())]
    ingraph = isinstance(source, Env)
    usual = _usual(source, points) if ingraph else _usual_on_host(source, tuple(grid))
    score = _ingraph if ingraph else _hosted
    states = [(seed, run.state_of(index)) for index, seed in enumerate(run.seeds)]
    scores = [score(run.algorithm, source, points, state, seed, episodes, greedy) for seed, state in states]
    shape = [len(values) for values in grid.values()]
    found = np.array(scores, float).reshape(len(states), *shape)
    return Sensitivity(name or run.plan.algorithm_name, grid, usual, found, episodes)


def _values(field: str, given: Sequence[float]) -> tuple[float, ...]:
    values = tuple(map(float, given)) if isinstance(given, Sequence | np.ndarray) else ()
    if not values or not np.isfinite(values).all():
        raise ValueError(f"over[{field!r}] = {given!r}: give the values to try, as in [0.5, 1.0, 1.5].")
    return values


def _usual(env: Env, points: list[dict[str, float]]) -> dict[str, float]:
    """The environment's own values; every point is checked by its fields' ranges."""
    for point in points:
        with_parameters(env, point)
    known = parameters(env)
    return {name: float(known[name]) for name in points[0]}


def _usual_on_host(source: Any, names: tuple[str, ...]) -> dict[str, float]:
    from bellmax.envs.adaptors.gymnasium_physics import Physics

    with source.one() as env:
        physics = Physics(env, names)
        return {name: physics.usual(name) for name in names}


def _ingraph(
    algorithm: Algorithm, env: Env, points: list[dict[str, float]], state: Any, seed: int, episodes: int, greedy: bool
) -> np.ndarray:
    key = jax.random.fold_in(jax.random.key(seed), 1)  # as in `evaluate_policy`
    values = {name: jnp.asarray([point[name] for point in points], jnp.float32) for name in points[0]}
    return np.asarray(_everywhere(algorithm, env, values, state, key, episodes, greedy))


@functools.partial(jax.jit, static_argnames=("episodes", "greedy"))
def _everywhere(
    algorithm: Algorithm, env: Env, values: dict[str, Array], state: Any, key: Array, episodes: int, greedy: bool
) -> Array:
    """-> mean scores [point]."""

    def one(point: dict[str, Array]) -> Array:
        changed = with_parameters(env, point)
        return play(algorithm, changed, state, key, jnp.int32(MOST_STEPS), episodes, greedy)[0].mean()

    return jax.vmap(one)(values)


def _hosted(
    algorithm: Algorithm,
    source: Any,
    points: list[dict[str, float]],
    state: Any,
    seed: int,
    episodes: int,
    greedy: bool,
) -> np.ndarray:
    scores = []
    for point in points:
        changed = perturbed(source, {name: (value, value) for name, value in point.items()})
        scores.append(evaluate_policy(algorithm, changed, state, seed=seed, episodes=episodes, greedy=greedy).mean)
    return np.array(scores)
