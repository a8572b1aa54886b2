"""PPO of Stable-Baselines3 on Gymnasium's CartPole-v1: one JSON argument in, one JSON line out.

Runs in an environment of its own and imports nothing of bellmax. The argument holds the settings of
benchmarks/settings.py, with "env", "seed", "warm_up" (steps of another model, not timed) and "episodes" (of the
greedy evaluation afterwards, not timed). Threads come from OMP_NUM_THREADS.
"""

import json
import os
import sys
import time
from importlib.metadata import version
from typing import Any

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv


def main(job: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if job["warm_up"]:
        model(job).learn(job["warm_up"])
    agent = model(job)
    start = time.perf_counter()
    agent.learn(job["steps"])
    seconds = time.perf_counter() - start
    return {
        "steps": agent.num_timesteps,
        "seconds": seconds,
        "steps_per_second": agent.num_timesteps / seconds,
        "greedy_return": greedy_return(agent, job),
        "seed": job["seed"],
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("stable-baselines3", "torch", "gymnasium", "numpy")},
    }


def model(job: dict[str, Any]) -> PPO:
    envs = make_vec_env(job["env"], job["num_envs"], seed=job["seed"], vec_env_cls=DummyVecEnv)
    activations = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}
    hidden = {"pi": job["hidden"], "vf": job["hidden"]}
    return PPO(
        "MlpPolicy",
        envs,
        learning_rate=lambda left: left * job["learning_rate"],  # `left` falls from 1 to 0
        clip_range=lambda left: left * job["clip"],
        n_steps=job["length"],
        batch_size=job["num_envs"] * job["length"] // job["minibatches"],
        n_epochs=job["epochs"],
        gamma=job["gamma"],
        gae_lambda=job["gae_lambda"],
        ent_coef=job["entropy_weight"],
        vf_coef=job["value_weight"],
        max_grad_norm=job["max_grad_norm"],
        policy_kwargs={"net_arch": hidden, "activation_fn": activations[job["activation"]]},
        seed=job["seed"],
        device="cpu",
    )


def greedy_return(agent: PPO, job: dict[str, Any]) -> float | None:
    if not job["episodes"]:
        return None
    envs = make_vec_env(job["env"], job["num_envs"], seed=job["seed"] + 1_000_000, vec_env_cls=DummyVecEnv)
    return float(evaluate_policy(agent, envs, n_eval_episodes=job["episodes"], deterministic=True)[0])


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
