"""The settings that a table's contestants share; each is handed them as JSON."""

from typing import Any

CARTPOLE_PPO: dict[str, Any] = {  # the Stable-Baselines3 zoo's settings of PPO on CartPole-v1
    "steps": 102_400,  # environment steps: 400 rounds of 8 x 32
    "num_envs": 8,
    "length": 32,  # steps of every environment in a round
    "epochs": 20,
    "minibatches": 1,
    "gamma": 0.98,
    "gae_lambda": 0.8,
    "learning_rate": 1e-3,  # falls linearly to 0 over the run
    "clip": 0.2,  # so does this
    "entropy_weight": 0.0,
    "value_weight": 0.5,
    "max_grad_norm": 0.5,
    "hidden": [64, 64],  # of the policy and of the value, apart
    "activation": "tanh",
}

SOLVED = 475.0  # greedy mean of 100 episodes from which CartPole-v1 counts as solved
