"""Environments in the graph around others: `Randomised`, `NoisyObservations`, `Delayed`, `Shaped`."""

from bellmax.envs.wrappers.delayed import Delayed
from bellmax.envs.wrappers.noisy import NoisyObservations
from bellmax.envs.wrappers.randomised import Randomised
from bellmax.envs.wrappers.shaped import Shaped
from bellmax.envs.wrappers.wrapper import Wrapper

__all__ = ["Delayed", "NoisyObservations", "Randomised", "Shaped", "Wrapper"]
