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
    "reinforce-plain": REINFORCE(**SMALL, experience=Episodes(6), baseline=False),
    "recurrent-ppo-gru": RecurrentPPO(**PPO_SMALL, memory_size=8),
    "recurrent-ppo-lstm": RecurrentPPO(**PPO_SMALL, memory_size=8, cell="lstm"),
    "normalised-scaled-ppo": Normalised(ScaledRewards(PPO(**PPO_SMALL))),
    "normalised-recurrent-ppo": Normalised(RecurrentPPO(**PPO_SMALL, memory_size=8)),
}
CASES = [Case(name, algorithm, MatchingReward()) for name, algorithm in ALGORITHMS.items()]
KINDS: dict[str, Env] = {"box": Target(), "multi-discrete": Combination(), "masked": Forbidden()}
CASES += [
    Case(f"{name}-{kind}", ALGORITHMS[name], env)
    for kind, env in KINDS.items()
    for name in ("ppo", "reinforce", "recurrent-ppo-gru", "normalised-scaled-ppo")
]
