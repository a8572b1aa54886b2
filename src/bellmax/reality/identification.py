"""System identification: the physics with which a simulator does what was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.core import Env
from bellmax.envs.names import find
from bellmax.envs.parameters import check_names, innermost, parameters, with_parameters
from bellmax.envs.perturbed import nominal, perturbed
from bellmax.reality.fitting import Fit, Model, cma_es, least_squares
from bellmax.reality.recording import Log, log_of
from bellmax.report.wording import aligned, figure

PLACE_IT = "say how to put it into the state of an observation: place=lambda env, obs: env.set_state(...)"


@dataclass(frozen=True, eq=False)
class Identified:
    """What was found, and how well it fits."""

    env: Any  # the environment with what was found
    before: dict[str, float]  # the values that the search began with
    values: dict[str, float]  # those found
    errors: dict[str, float]  # their standard errors
    residuals: np.ndarray  # measured minus predicted with what was found, [n, numbers observed]
    residuals_before: np.ndarray  # the same with the values before
    changes: np.ndarray  # next_obs - obs, [n, numbers observed]
    method: str
    predictions: int  # of the whole log

    @property
    def rms(self) -> np.ndarray:
        """The root mean square of what is left over, of each number observed."""
        return np.sqrt(np.square(self.residuals).mean(0))

    def report(self) -> str:
        """Both as tables: what was found, and what is left over."""
        found = [
            [name, figure(self.before[name]), figure(value), figure(self.errors[name])]
            for name, value in self.values.items()
        ]
        left = zip(*(np.sqrt(np.square(x).mean(0)) for x in (self.changes, self.residuals_before, self.residuals)))
        rows = [[f"{index}", *map(figure, row)] for index, row in enumerate(left)]
        count = f"{len(self.residuals):,} transitions; {self.method}, {self.predictions} predictions"
        return "\n".join(
            [
                aligned(["parameter", "before", "found", "standard error"], found),
                "",
                aligned(["number observed", "change in a step", "left over before", "left over"], rows),
                "",
                f"root mean squares, {count}",
            ]
        )


def identify(
    env: Any,
    log: Any,
    names: Sequence[str],
    *,
    method: str = "auto",
    state_of: Callable[[Any], Any] | None = None,
    place: Callable[[Any, np.ndarray], Any] | None = None,
    seed: int = 0,
    predictions: int = 1000,
) -> Identified:
    """Fit the parameters `names` of what `find` takes to transitions -> the environment with them, and a report.

    log         rows of obs, action and true next_obs (`Log`, `record`, a `Transition` [n])
    method      "gradient", through the step of an environment in the graph; "cma", CMA-ES (`bellmax[cma]`); "auto"
    state_of    in the graph, the state that shows an observation, if the environment has no `state_of` of its own
    place       on the host, puts `env.unwrapped` into it; left out, `env.unwrapped.state` is set to the observation
    seed, predictions   CMA-ES's, and how often at most it may predict the whole log

    Each transition is predicted by itself, from the state that its `obs` shows; what remains is weighed by its
    covariance. Values stay positive. Fitted are the physics inside all wrappers; noise and delays that the environment
    has are kept. Raises UnknownParameter, ValueError, and Indistinct where the log does not tell parameters apart.
    """
    source, rows, names = nominal(find(env)), log_of(log), tuple(names)
    ingraph = isinstance(source, Env)
    if method not in ("auto", "gradient", "cma") or (method == "gradient" and not ingraph):
        known = "'auto', 'gradient' or 'cma'" if ingraph else "'auto' or 'cma': on the host there are no gradients"
        raise ValueError(f"method = {method!r}: choose {known}.")
    method = ("gradient" if ingraph else "cma") if method == "auto" else method
    if not names or len(set(names)) < len(names):
        raise ValueError(f"names = {list(names)}: give at least one parameter, each once.")
    model_in = _ingraph_model(source, rows, names, state_of) if ingraph else None
    if model_in is not None:
        return _identified(source, rows, model_in, method, seed, predictions)
    with source.one() as simulator:
        return _identified(source, rows, _hosted_model(simulator, rows, names, place), method, seed, predictions)


def _identified(source: Any, rows: Log, model: Model, method: str, seed: int, predictions: int) -> Identified:
    target = np.asarray(rows.next_obs, np.float64)
    _check_positive(model)
    if method == "gradient":
        fit: Fit = least_squares(model, target)
    else:
        fit = cma_es(model, target, seed=seed, predictions=predictions)
    values = {name: float(value) for name, value in zip(model.names, fit.values)}
    if isinstance(source, Env):
        made: Any = with_parameters(source, values)
    else:
        made = perturbed(source, {name: (value, value) for name, value in values.items()})
    return Identified(
        env=made,
        before={name: float(value) for name, value in zip(model.names, model.start)},
        values=values,
        errors={name: float(error * value) for name, error, value in zip(model.names, fit.errors, fit.values)},
        residuals=target - model.predict(fit.values),
        residuals_before=target - model.predict(model.start),
        changes=target - rows.obs,
        method=method,
        predictions=fit.predictions,
    )


def _check_positive(model: Model) -> None:
    for name, value in zip(model.names, model.start):
        if not value > 0:
            raise ValueError(f"{name} = {value:g}: the search is over positive numbers; begin with one.")


def _ingraph_model(env: Env, rows: Log, names: tuple[str, ...], state_of: Callable[[Any], Any] | None) -> Model:
    world = innermost(env)
    check_names(world, names)
    known = parameters(world)
    state_of = state_of or getattr(world, "state_of", None)
    if state_of is None:
        raise ValueError(f"{type(world).__name__} has no state_of: give state_of=, from an observation to the state.")

    def predict(values: jax.Array) -> jax.Array:
        changed = with_parameters(world, dict(zip(names, values)))

        def one(obs: jax.Array, action: jax.Array) -> jax.Array:
            return changed.step(state_of(obs), action, jax.random.key(0))[1].obs

        return jax.vmap(one)(jnp.asarray(rows.obs, jnp.float32), jnp.asarray(rows.action))

    def on_host(function: Callable[..., Any]) -> Callable[[np.ndarray], np.ndarray]:
        compiled = jax.jit(function)
        return lambda values: np.asarray(compiled(jnp.asarray(values, jnp.float32)), np.float64)

    start = np.array([float(known[name]) for name in names])
    return Model(names, start, on_host(predict), on_host(jax.vmap(predict)), on_host(jax.jacfwd(predict)))


def _hosted_model(env: Any, rows: Log, names: tuple[str, ...], place: Callable[[Any, np.ndarray], Any] | None) -> Model:
    from bellmax.envs.adaptors.gymnasium_physics import Physics

    physics, inner = Physics(env, names), env.unwrapped
    env.reset(seed=0)
    if place is None:
        if np.shape(getattr(inner, "state", ())) != rows.obs.shape[1:]:
            raise ValueError(f"{type(inner).__name__} has no state that is like its observations: {PLACE_IT}.")
        place = _as_state

    def predict(values: np.ndarray) -> np.ndarray:
        physics.set(dict(zip(names, map(float, values))))
        after = np.empty(rows.obs.shape)
        for index, (obs, action) in enumerate(zip(rows.obs, rows.action)):
            place(inner, obs)
            after[index] = inner.step(action.item() if action.ndim == 0 else action)[0]
        return after

    start = np.array([physics.usual(name) for name in names])
    return Model(names, start, predict, lambda many: np.array([predict(values) for values in many]), None)


def _as_state(env: Any, obs: np.ndarray) -> None:
    env.state = np.array(obs, np.float64)
    if hasattr(env, "steps_beyond_terminated"):
        env.steps_beyond_terminated = None  # CartPole warns of steps behind the end
