"""Reinforcement learning from the bandit to the language model, on JAX.

import bellmax as bm
run = bm.train("ppo", "CartPole-v1")
run.evaluate().mean
"""

from bellmax.algorithms.policy.a2c import A2C
from bellmax.algorithms.policy.ppo import PPO
from bellmax.algorithms.policy.recurrent_ppo import RecurrentPPO
from bellmax.algorithms.policy.reinforce import REINFORCE
from bellmax.algorithms.wrappers.normalised import Normalised
from bellmax.algorithms.wrappers.scaled_rewards import ScaledRewards
from bellmax.core import Algorithm, Decision, Env, Outcome, Spec, Transition
from bellmax.experience import Episodes, Steps
from bellmax.load import load
from bellmax.maths.schedules import Linear
from bellmax.run import Run
from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete
from bellmax.train import resume, sweep, train

__version__ = "0.1.0"

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
