"""Environments in the graph around others: physics drawn at random, noise, delays, shaped rewards."""

from bellmax.envs.wrappers.automatically_randomised import AutomaticallyRandomised
from bellmax.envs.wrappers.delayed import Delayed
from bellmax.envs.wrappers.noisy import NoisyObservations
from bellmax.envs.wrappers.randomised import Randomised
from bellmax.envs.wrappers.shaped import Shaped
from bellmax.envs.wrappers.wrapper import Wrapper

__all__ = ["AutomaticallyRandomised", "Delayed", "NoisyObservations", "Randomised", "Shaped", "Wrapper"]
