"""What training gives back: the trained policy, how it went, and what can be done with it."""

from __future__ import annotations

import copy
import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.core import Algorithm, Outcome, Spec
from bellmax.drivers.evaluate import Evaluation
from bellmax.engine import evaluate_policy
from bellmax.plan import Plan
from bellmax.runs import RunFolder

if TYPE_CHECKING:
    from bellmax.exactness import Exactness
    from bellmax.watch import Foresight


class Run:
    """A run that was trained or loaded. Trees have a leading axis [seed]; `seed` arguments are indices into it."""

    def __init__(
        self,
        plan: Plan,
        spec: Spec,
        tree: Any,
        meta: dict[str, Any],
        metrics: list[dict[str, Any]],
        evaluations: list[dict[str, Any]],
        timing: dict[str, float],
        folder: RunFolder | None,
    ):
        self.plan, self.spec, self.tree, self.meta, self.folder = plan, spec, tree, meta, folder
        self.metrics, self.evaluations, self.timing = metrics, evaluations, timing

    def __repr__(self) -> str:
        score = np.nanmean(self.scores[:, -1]) if np.isfinite(self.scores).any() else float("nan")
        where = f", folder={str(self.folder.path)!r}" if self.folder else ""
        return (
            f"Run({self.plan.algorithm_name} on {self.plan.env_name}, {max(self.meta['taken']):,} steps, "
            f"{len(self.seeds)} seed{'s' * (len(self.seeds) > 1)}, score={score:.4g}{where})"
        )

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm, with every hyperparameter it was trained with."""
        return self.plan.algorithm

    @property
    def config(self) -> dict[str, Any]:
        """What the run was asked to do, as in config.json."""
        return self.plan.config(self.spec)

    @property
    def seeds(self) -> list[int]:
        """The seeds, in the order of the leading axis."""
        return list(self.plan.seeds)

    @property
    def state(self) -> Any:
        """What the algorithm has learned; a leading axis [seed]."""
        return self.tree.state

    @property
    def steps(self) -> np.ndarray:
        """Environment steps at the rows of `scores`, [row]."""
        return np.array([row["step"] for row in self._rows_of(self.seeds[0])])

    @property
    def scores(self) -> np.ndarray:
        """Mean score of the training episodes that ended since the row before, [seed, row]; NaN where none did."""
        curves = [[row["score"] for row in self._rows_of(seed)] for seed in self.seeds]
        longest = max((len(curve) for curve in curves), default=0)
        padded = [curve + [None] * (longest - len(curve)) for curve in curves]
        return np.array(padded, float).reshape(len(curves), longest)

    def _rows_of(self, seed: int) -> list[dict[str, Any]]:
        return [row for row in self.metrics if row["seed"] == seed]

    def state_of(self, seed: int = 0) -> Any:
        """The state of one seed, without the leading axis."""
        return jax.tree.map(lambda x: jnp.asarray(x[seed]), self.state)

    @functools.cached_property
    def policy(self) -> Policy:
        """The policy of the first seed as a function: run.policy(obs) -> action. See `policy_of` for others."""
        return self.policy_of()

    def policy_of(self, seed: int = 0, greedy: bool = True) -> Policy:
        """The policy of one seed as a function of an observation."""
        return Policy(self.algorithm, self.state_of(seed), self.spec, greedy)

    def evaluate(
        self, episodes: int = 100, *, greedy: bool = True, seed: int | None = None, env: Any = None
    ) -> Evaluation:
        """Play whole episodes in fresh environments, `episodes` for each seed (or for the one given)."""
        chosen = range(len(self.seeds)) if seed is None else [seed]
        outcomes = [
            evaluate_policy(
                self.algorithm,
                self.plan.env if env is None else env,
                self.state_of(index),
                seed=self.seeds[index],
                episodes=episodes,
                greedy=greedy,
            )
            for index in chosen
        ]
        return Evaluation(*(np.concatenate(parts) for parts in zip(*outcomes)))

    def acting(self, **changes: Any) -> Run:
        """The same run, whose algorithm has other hyperparameters from here on: run.acting(target_return=100.0).

        For those that only acting looks at; what was learned, and the folder's config, stay as they are.
        """
        run = copy.copy(self)
        run.__dict__.pop("policy", None)
        run.plan = dataclasses.replace(self.plan, algorithm=acting_with(self.algorithm, changes))
        return run

    def exact(self, seed: int = 0, gamma: float | None = None) -> Exactness:
        """What the learned greedy policy of one seed is worth exactly, beside the best there is.

        For environments with a model, such as FrozenLake-v1; `gamma` is the algorithm's discount if left out. Raises
        ValueError where there is no model, or the policy remembers.
        """
        from bellmax.exactness import exactness

        return exactness(self, seed, gamma)

    def plot(self, path: str | Path | None = None, **options: Any) -> Any:
        """Draw the learning curve, to a PNG if `path` is given -> the path, or the figure."""
        from bellmax.report import plot

        return plot(cast(Any, self), path, **options)

    def watch(self, path: str | Path | None = None, *, episodes: int = 1, seed: int = 0, **options: Any) -> Any:
        """Show episodes on the screen, or write them to an MP4 or GIF at `path`."""
        from bellmax.watch import watch

        return watch(self.algorithm, self.state_of(seed), self.plan.env, path, episodes=episodes, **options)

    def imagined(
        self, path: str | Path | None = None, *, episodes: int = 1, seed: int = 0, **options: Any
    ) -> Foresight:
        """What the model of one seed imagines beside what happens, as a GIF, MP4 or PNG at `path` -> how wrong it is.

        For algorithms that learn a model of the world; `options`, such as `context` and `horizon`, are those of
        `bellmax.watch.imagined`. Raises CannotWatch.
        """
        from bellmax.watch import imagined

        return imagined(self.algorithm, self.state_of(seed), self.plan.env, path, episodes=episodes, **options)

    def export(self, path: str | Path, *, seed: int = 0, **options: Any) -> dict[str, Path]:
        """Write the greedy policy as StableHLO and ONNX files into the folder `path`; each is checked."""
        from bellmax.export import export

        return export(self.algorithm, self.state_of(seed), self.spec, Path(path), **options)

    def save(self, path: str | Path) -> Path:
        """Write a run folder at `path` that `bellmax.load` and `bellmax.resume` read."""
        path = Path(path)
        folder = RunFolder.create(path.parent, path.name, stamp=False)
        folder.write_config(self.config)
        for row in self.metrics:
            folder.append(row)
        for row in self.evaluations:
            folder.append_evaluation(row)
        folder.checkpoints.save(max(self.meta["taken"]), self.tree, self.meta)
        folder.status = "finished" if min(self.meta["taken"]) >= self.plan.steps else "interrupted"
        return folder.path


def acting_with(algorithm: Algorithm, changes: dict[str, Any]) -> Algorithm:
    """The algorithm, or the one within its wrappers, with some fields changed."""
    inner = getattr(algorithm, "inner", None)
    if isinstance(inner, Algorithm) and not changes.keys() <= {field.name for field in dataclasses.fields(algorithm)}:  # type: ignore[arg-type]
        return algorithm.replace(inner=acting_with(inner, changes))
    return algorithm.replace(**changes)


class Policy:
    """A trained policy as a function. One that remembers is told where an episode starts with `reset`, and, if it acts
    on rewards, after every step what came of it with `hear`."""

    def __init__(self, algorithm: Algorithm, state: Any, spec: Spec, greedy: bool = True):
        from bellmax.spaces import confine

        self._key, self._count, self._memory = jax.random.key(0), 0, None
        self._begun, self._spec = False, spec
        choose = algorithm.greedy if greedy else algorithm.act

        def decide(state: Any, obs: Any, key: Any, memory: Any) -> Any:
            decision = choose(state, obs, key, memory)
            return confine(spec.action, decision.action), decision.memory

        self._begin = functools.partial(jax.jit(algorithm.begin), state)
        self._decide = functools.partial(jax.jit(decide), state)
        self._hear = functools.partial(jax.jit(algorithm.hear), state)

    def reset(self) -> None:
        """An episode starts: forget."""
        self._begun = False

    def hear(self, obs: Any, reward: float, discount: float = 1.0, last: bool = False) -> None:
        """What came of the last action: for a policy that acts on rewards, such as the decision transformer's."""
        told: Any = (obs, np.float32(reward), np.float32(discount), np.bool_(last))
        self._memory = self._hear(self._memory, Outcome(*told))

    def __call__(self, obs: Any) -> Any:
        """The action for one observation, as NumPy."""
        if not isinstance(self._spec.obs, dict | tuple):
            obs = np.asarray(obs)  # a list of numbers is one observation, not a tree of them
        self._count += 1
        key = jax.random.fold_in(self._key, self._count)
        if not self._begun:
            self._memory, self._begun = self._begin(obs, key), True
        action, self._memory = self._decide(obs, key, self._memory)
        return jax.device_get(action)
