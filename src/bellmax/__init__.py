"""Reinforcement learning from the bandit to the language model, on JAX.

    import bellmax as bm
    run = bm.train("ppo", "CartPole-v1")
    run.evaluate().mean

Names are imported when they are first used, so that `import bellmax` and `bellmax --help` take no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bellmax.algorithms.policy.a2c import A2C
    from bellmax.algorithms.policy.ppo import PPO
    from bellmax.algorithms.policy.recurrent_ppo import RecurrentPPO
    from bellmax.algorithms.policy.reinforce import REINFORCE
    from bellmax.algorithms.wrappers.normalised import Normalised
    from bellmax.algorithms.wrappers.scaled_rewards import ScaledRewards
    from bellmax.core import Algorithm, Decision, Env, Outcome, Spec, Transition
    from bellmax.experience import Episodes, Steps
    from bellmax.loading import load
    from bellmax.maths.schedules import Linear
    from bellmax.run import Run
    from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete
    from bellmax.training import resume, sweep, train

__version__ = "0.1.0"

_WHERE = {
    "algorithms.policy.a2c": ("A2C",),
    "algorithms.policy.ppo": ("PPO",),
    "algorithms.policy.recurrent_ppo": ("RecurrentPPO",),
    "algorithms.policy.reinforce": ("REINFORCE",),
    "algorithms.wrappers.normalised": ("Normalised",),
    "algorithms.wrappers.scaled_rewards": ("ScaledRewards",),
    "core": ("Algorithm", "Decision", "Env", "Outcome", "Spec", "Transition"),
    "experience": ("Episodes", "Steps"),
    "loading": ("load",),
    "maths.schedules": ("Linear",),
    "run": ("Run",),
    "spaces": ("Box", "Discrete", "Masked", "MultiBinary", "MultiDiscrete"),
    "training": ("resume", "sweep", "train"),
}
_MODULES = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "A2C",
    "PPO",
    "REINFORCE",
    "Algorithm",
    "Box",
    "Decision",
    "Discrete",
    "Env",
    "Episodes",
    "Linear",
    "Masked",
    "MultiBinary",
    "MultiDiscrete",
    "Normalised",
    "Outcome",
    "RecurrentPPO",
    "Run",
    "ScaledRewards",
    "Spec",
    "Steps",
    "Transition",
    "load",
    "resume",
    "sweep",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"bellmax has no {name!r}; it has {', '.join(__all__)}.")
    value = getattr(importlib.import_module(f"bellmax.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
