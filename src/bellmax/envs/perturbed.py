"""An environment that is harder than the one it is made from, in the graph or on the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bellmax.core import Env
from bellmax.envs.names import find
from bellmax.envs.wrappers.automatically_randomised import AutomaticallyRandomised
from bellmax.envs.wrappers.delayed import Delayed, steps_late
from bellmax.envs.wrappers.noisy import NoisyObservations
from bellmax.envs.wrappers.randomised import Randomised, ends
from bellmax.envs.wrappers.shaped import Shaped
from bellmax.envs.wrappers.wrapper import Wrapper

Steps = int | tuple[int, int]
Deviation = float | tuple[float, ...]


def perturbed(
    env: Any,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    *,
    observation_noise: Deviation = 0.0,
    action_delay: Steps = 0,
    observation_delay: Steps = 0,
    privileged: bool = False,
    widen: tuple[float, float] | None = None,
) -> Any:
    """What `find` takes -> the same environment with physics drawn for each episode, noise and delays.

    ranges              {name: (low, high)}: in the graph, fields; on the host, attributes, or fields of a MuJoCo model
                        (see `Randomised`, `bellmax.envs.adaptors.gymnasium_physics`)
    observation_noise   standard deviation, or one for each number observed
    action_delay, observation_delay     steps, or the fewest and the most
    privileged          show the numbers drawn to critics; in the graph alone
    widen               scores (low, high): ranges begin with the usual physics, widen where episodes score `high` and
                        narrow where they score `low` (see `AutomaticallyRandomised`); in the graph alone

    Sensors are noisy before they are late. Raises UnknownParameter, TypeError or ValueError.
    """
    source, ranges = find(env), dict(ranges or {})
    noisy = observation_noise if isinstance(observation_noise, int | float) else max(observation_noise)
    late = steps_late(action_delay, "action_delay"), steps_late(observation_delay, "observation_delay")
    if isinstance(source, Env):
        made: Env = NoisyObservations(source, noise=observation_noise) if noisy else source
        made = Delayed(made, actions=action_delay, observations=observation_delay) if any(map(any, late)) else made
        if widen is not None:
            return AutomaticallyRandomised(made, ranges, *_scores(widen, privileged))
        return Randomised(made, ranges, privileged=privileged) if ranges else made
    if privileged:
        raise ValueError("privileged = True: on the host nobody sees what was drawn; use an environment in the graph.")
    if widen is not None:
        raise ValueError(f"widen = {widen!r}: on the host ranges stay as they are; use an environment in the graph.")
    from bellmax.envs.adaptors.gymnasium_around import Around, Drawn, Late, Noise

    around: list[Around] = []
    if noisy:
        around.append(Noise(_deviation(observation_noise)))
    if any(map(any, late)):
        around.append(Late(*late))
    if ranges:
        around.append(Drawn(tuple((name, ends(given, f"ranges[{name!r}]")) for name, given in sorted(ranges.items()))))
    return _within(source, tuple(around))


def shaped(env: Any, potential: Callable[[Any], Any], gamma: float = 0.99) -> Any:
    """What `find` takes -> the same environment with rewards shaped by a potential of what is seen; see `Shaped`."""
    source = find(env)
    if isinstance(source, Env):
        return Shaped(source, potential, gamma)
    from bellmax.envs.adaptors.gymnasium_around import Shape

    return _within(source, (Shape(potential, gamma),))


def nominal(env: Any) -> Any:
    """The environment without what draws its physics or shapes its rewards; noise and delays stay."""
    if isinstance(env, Wrapper):
        inner = nominal(env.inner)
        return inner if isinstance(env, Randomised | AutomaticallyRandomised | Shaped) else env.replace(inner=inner)
    if getattr(env, "around", ()):
        from bellmax.envs.adaptors.gymnasium_around import Late, Noise

        return env.within(tuple(part for part in env.around if isinstance(part, Noise | Late)))
    return env


def _scores(widen: Any, privileged: bool) -> tuple[float, float]:
    if privileged:
        raise ValueError("privileged = True with widen: a critic is shown what is drawn from fixed ranges alone.")
    low, high = ends(widen, "widen")
    return low, high


def _deviation(given: Deviation) -> Deviation:
    numbers = given if isinstance(given, tuple) else (given,)
    if any(number < 0 for number in numbers):
        raise ValueError(f"observation_noise = {given!r}: it must be at least 0.")
    return given


def _within(source: Any, around: tuple[Any, ...]) -> Any:
    if not hasattr(source, "within"):
        raise TypeError(f"{source.name} comes as a whole and cannot be changed: use an environment that can be made.")
    made = source.within((*source.around, *around))
    made.try_out()  # a name that is none is an error now
    return made
