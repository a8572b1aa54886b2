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

PENDULUM_SAC: dict[str, Any] = {  # SAC on Pendulum-v1, one update a step
    "algorithm": "sac",
    "capacity": 100_000,
    "batch": 256,
    "hidden": [256, 256],
    "learning_rate": 3e-4,
    "length": 1,
    "updates": 1,
    "start": 100,
    "warm_up": 400,
    "steps": 2_000,
}
SAC_PRODUCTS = 16  # of 256 x 256 x 256 in one update: 3 for the target, 6 for the critics, 7 for the actor

CARTPOLE_DQN_ZOO: dict[str, Any] = {  # the Stable-Baselines3 zoo's settings of DQN on CartPole-v1
    "algorithm": "dqn",
    "capacity": 100_000,
    "batch": 64,
    "hidden": [256, 256],
    "learning_rate": 2.3e-3,
    "length": 256,
    "updates": 128,
    "start": 1_000,
    "target_every": 128,
    "epsilon": 0.04,
    "warm_up": 5_120,
    "steps": 25_600,
}

CARTPOLE_DQN: dict[str, Any] = CARTPOLE_DQN_ZOO | {  # small, an update a step
    "hidden": [64, 64],
    "learning_rate": 1e-3,
    "length": 1,
    "updates": 1,
    "target_every": 100,
    "warm_up": 5_000,
    "steps": 50_000,
}

PONG_DQN: dict[str, Any] = {  # pixels: 8 games of ALE, Nature's network, an update every 4 steps of all of them
    "algorithm": "dqn",
    "num_envs": 8,
    "frames": 4,
    "capacity": 10_000,
    "batch": 32,
    "hidden": [512],
    "learning_rate": 1e-4,
    "length": 4,
    "updates": 1,
    "start": 1_000,
    "target_every": 250,
    "epsilon": 0.05,
    "warm_up": 3_200,
    "steps": 9_600,
}

LANGUAGE: dict[str, dict[str, Any]] = {  # a Llama of 4 layers, 128 wide; 64 answers of 32 tokens each
    "grpo": {"prompts": 8, "group": 8, "new": 32, "beta": 0.04, "learning_rate": 1e-5, "warm_up": 3, "steps": 10},
    "generate": {"prompts": 8, "group": 8, "new": 32, "warm_up": 3, "steps": 10},
    "sft": {"batch": 16, "length": 128, "learning_rate": 1e-5, "warm_up": 3, "steps": 20},
}
LANGUAGE_MEMORY: dict[str, Any] = {  # the same Llama with many symbols and long texts
    "what": "sft", "batch": 8, "length": 1_024, "learning_rate": 1e-5, "warm_up": 1, "steps": 2, "vocabulary": 49_152,
}  # fmt: skip
