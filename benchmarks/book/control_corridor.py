"""The short corridor of Example 13.1: REINFORCE as in the book's box, with one observation and two actions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.drivers import ingraph
from bellmax.envs.short_corridor import ShortCorridor
from bellmax.experience import Episodes
from bellmax.maths.chance import uniform
from bellmax.maths.returns import monte_carlo_return
from benchmarks.book import control_figures
from benchmarks.book.claim import Claim

RUNS, EPISODES, LONGEST, SEED = 100, 1000, 300, 0
LEAST = 0.05  # probability of either action, as in the code published for the figure
BEST = 2 - np.sqrt(2)  # where the derivative of value(p) is 0: p^2 - 4 p + 2 = 0


class State(NamedTuple):
    preference: Array  # of right over left: theta_right - theta_left
    value: Array  # w, the baseline


class CorridorREINFORCE(Algorithm):
    """The boxes of sections 13.3 and 13.4 (Williams, 1992) with gamma 1; without a baseline for value_rate 0."""

    experience: Episodes = Episodes(LONGEST)
    policy_rate: float = 2.0**-13
    value_rate: float = 0.0

    def init(self, key: Array, spec: Spec) -> State:
        return State(jnp.log(jnp.float32(LEAST / (1 - LEAST))), jnp.zeros(()))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return Decision((uniform(key) < right(state)).astype(jnp.int32))

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        returns = monte_carlo_return(batch.reward, batch.discount, batch.last)

        def step(state: State, now: tuple[Array, Array, Array]) -> tuple[State, None]:
            action, target, weight = now
            delta = weight * (target - state.value)
            # d log pi(A) / d theta_right = 1[A = right] - p, its opposite for theta_left: the preference moves twice
            slope = 2 * (action - right(state))
            return State(
                state.preference + self.policy_rate * delta * slope, state.value + self.value_rate * delta
            ), None

        rows = (batch.action[:, 0], returns[:, 0], batch.weight[:, 0])
        state = jax.lax.scan(step, state, rows)[0]
        return state, {"right": right(state)}


def right(state: State) -> Array:
    """The probability of going right. Without the bounds a run may become certain, and stand still for ever."""
    return jnp.clip(jax.nn.sigmoid(state.preference), LEAST, 1 - LEAST)


def claims(figures: Path) -> list[Claim]:
    """The optimum, and what 1,000 episodes come to; figures 13.1 and 13.2."""
    env, rates = ShortCorridor(), np.array([[2.0**-13, 0.0], [2.0**-9, 2.0**-6]], np.float32)
    grid = np.linspace(0.01, 0.99, 9801)
    values = [env.value(p) for p in grid]
    best = float(grid[np.argmax(values)])

    def one(rates: Array, key: Array) -> Array:
        algorithm = CorridorREINFORCE(policy_rate=rates[0], value_rate=rates[1])
        return ingraph.train(algorithm, env, key, steps=EPISODES * LONGEST)[1]["score"]

    every = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))
    found = np.asarray(every(jnp.asarray(rates), jax.random.split(jax.random.key(SEED), RUNS)))
    control_figures.corridor(found, env.value(BEST), figures)
    plain, baseline = (float(x) for x in found[:, :, -200:].mean((1, 2)))
    settings = f"{RUNS} runs, right .05 at first, both actions at least .05, episodes cut at {LONGEST}"
    what = "Short corridor, episodes 801 to 1,000, mean return, REINFORCE"
    return [
        Claim("Control", "Short corridor, best probability of right, and its value", f"{best:.4f}, {max(values):.3f}",
              ".5858, -11.657", "+-.0001, +-.001", abs(best - BEST) <= 1e-4 and abs(max(values) + 11.657) < 1e-3,
              "linear equations"),
        Claim("Control", what, f"{plain:.2f}", "-11.66 at best", "> -13.0", plain > -13.0,
              f"alpha 2^-13, {settings}"),
        Claim("Control", f"{what} with baseline", f"{baseline:.2f}", "-11.66 at best", "> -12.2", baseline > -12.2,
              f"alpha 2^-9 and 2^-6, {settings}"),
    ]  # fmt: skip
