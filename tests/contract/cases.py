"""Every algorithm, small, on each kind of action it takes. A new one is added here and gets every contract test."""

from __future__ import annotations

from typing import Any, NamedTuple

from bellmax import A2C, PPO, REINFORCE, Episodes, Normalised, RecurrentPPO, ScaledRewards, Steps
from bellmax.core import Algorithm, Env
from bellmax.envs.probes import Combination, Forbidden, MatchingReward, Target


class Case(NamedTuple):
    name: str
    algorithm: Algorithm
    env: Env
    num_envs: int = 4


SMALL: dict[str, Any] = {"hidden": (8,)}
PPO_SMALL: dict[str, Any] = SMALL | {"experience": Steps(6), "epochs": 2, "minibatches": 2}
ALGORITHMS = {
    "ppo": PPO(**PPO_SMALL),
    "ppo-clip-value-shared": PPO(**PPO_SMALL, clip_value=True, shared=True),
    "a2c": A2C(**SMALL, experience=Steps(6)),
    "reinforce": REINFORCE(**SMALL, experience=Episodes(6)),
    "recurrent-ppo": RecurrentPPO(**PPO_SMALL, memory_size=8),
    "normalised-scaled-ppo": Normalised(ScaledRewards(PPO(**PPO_SMALL))),
}
CASES = [Case(name, algorithm, MatchingReward()) for name, algorithm in ALGORITHMS.items()]

# Each kind of action and observation, on the algorithms that treat them differently.
KINDS: dict[str, Env] = {"box": Target(), "multi-discrete": Combination(), "masked": Forbidden()}
LSTM = Normalised(RecurrentPPO(**PPO_SMALL, memory_size=8, cell="lstm"))
KIND_CASES = [
    Case(f"{name}-{kind}", algorithm, env)
    for kind, env in KINDS.items()
    for name, algorithm in {"ppo": ALGORITHMS["normalised-scaled-ppo"], "recurrent-ppo-lstm": LSTM}.items()
]
