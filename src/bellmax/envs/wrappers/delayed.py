"""Motors and sensors that are late."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import jax
from jax import Array

from bellmax.core import Outcome
from bellmax.envs.wrappers.wrapper import Wrapper, filled, instead, pushed, seen
from bellmax.ranges import Range
from bellmax.spaces import confine, zeros

Delay = Annotated[int | tuple[int, ...], Range(0)]  # steps; a pair: drawn for every episode, the ends included


class DelayedState(NamedTuple):
    """The inner state, and what is on its way; None where nothing ever is."""

    inner: Any
    actions: Any  # [longest, ...], oldest first
    observations: Any
    late: tuple[Array, Array]  # steps that actions and observations are late in this episode, int32


class Delayed(Wrapper):
    """What is chosen acts `actions` steps later, and what is seen is `observations` steps old.

    The first actions of an episode, before any chosen one arrives, are zeros of the action space (choice 0); the first
    observations repeat that of the reset. A pair (1, 3) is drawn anew, evenly, for every episode. Rewards and ends are
    not late, and neither is a mask of legal actions. Delays add up: with both at 1 an agent sees what it did three
    steps after it decided, not one (Walsh et al., 2009, https://doi.org/10.1007/s10458-008-9056-7).
    """

    actions: Delay = 0
    observations: Delay = 0

    def __post_init__(self) -> None:
        Wrapper.__post_init__(self)
        for name in ("actions", "observations"):
            steps_late(getattr(self, name), f"Delayed.{name}")

    def reset(self, key: Array) -> tuple[DelayedState, Any]:
        inner_key, *keys = jax.random.split(key, 3)
        inner, obs = self.inner.reset(inner_key)
        (first, longest), (soonest, oldest) = self._ends()
        late = tuple(
            jax.random.randint(k, (), low, high + 1) for k, low, high in zip(keys, (first, soonest), (longest, oldest))
        )
        space = self.inner.spec.action
        actions = filled(confine(space, zeros(space)), longest) if longest else None
        return DelayedState(inner, actions, filled(seen(obs), oldest) if oldest else None, late), obs  # type: ignore[arg-type]

    def step(self, env_state: DelayedState, action: Any, key: Array) -> tuple[DelayedState, Outcome]:
        inner, actions, observations, (late, old) = env_state
        if actions is not None:
            actions, action = pushed(actions, action, late)
        inner, outcome = self.inner.step(inner, action, key)
        if observations is not None:
            observations, shown = pushed(observations, seen(outcome.obs), old)
            outcome = outcome._replace(obs=instead(outcome.obs, shown))
        return DelayedState(inner, actions, observations, (late, old)), outcome

    def _ends(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return steps_late(self.actions, "Delayed.actions"), steps_late(self.observations, "Delayed.observations")


def steps_late(given: Any, field: str) -> tuple[int, int]:
    """3 -> (3, 3). Raises ValueError."""
    low, high = given if isinstance(given, tuple | list) and len(given) == 2 else (given, given)
    if not all(isinstance(end, int) and not isinstance(end, bool) and end >= 0 for end in (low, high)) or low > high:
        raise ValueError(
            f"{field} = {given!r}: give whole steps of at least 0, or the fewest and the most, as in (1, 3)."
        )
    return low, high
