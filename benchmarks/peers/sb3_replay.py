"""SAC and DQN of Stable-Baselines3, or of SBX, on Gymnasium: one JSON argument in, one JSON line out.

Runs in an environment of its own and imports nothing of bellmax. The argument holds the settings of
benchmarks/settings.py, with "env", "seed" and "library" ("sb3" or "sbx"). Threads come from OMP_NUM_THREADS.
"""

import json
import os
import sys
import time
from importlib import import_module
from importlib.metadata import version
from typing import Any

import gymnasium as gym

PACKAGES = {"sb3": ("stable-baselines3", "torch"), "sbx": ("sbx-rl", "jax", "jaxlib")}


def main(job: dict[str, Any]) -> dict[str, Any]:
    if job["library"] == "sb3":
        import_module("torch").set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    agent = model(job)
    agent.learn(job["warm_up"])
    before = agent.num_timesteps
    start = time.perf_counter()
    agent.learn(job["steps"], reset_num_timesteps=False)
    seconds = time.perf_counter() - start
    steps = agent.num_timesteps - before
    names = (*PACKAGES[job["library"]], "gymnasium", "numpy")
    return {
        "steps": steps,
        "seconds": seconds,
        "steps_per_second": steps / seconds,
        "seed": job["seed"],
        "versions": {name: version(name) for name in names},
    }


def model(job: dict[str, Any]) -> Any:
    library = import_module("stable_baselines3" if job["library"] == "sb3" else "sbx")
    same = {
        "learning_rate": job["learning_rate"],
        "buffer_size": job["capacity"],
        "batch_size": job["batch"],
        "learning_starts": job["start"],
        "train_freq": job["length"],
        "gradient_steps": job["updates"],
        "policy_kwargs": {"net_arch": job["hidden"]},
        "seed": job["seed"],
        "device": "cpu",
    }
    if job.get("frames"):
        return pixels(library, job, same)
    env = gym.make(job["env"])
    if job["algorithm"] == "sac":
        return library.SAC("MlpPolicy", env, **same)
    # Its period counts environment steps, bellmax's counts updates.
    period = max(job["target_every"] * job["length"] // job["updates"], 1)
    epsilon = {"exploration_initial_eps": job["epsilon"], "exploration_final_eps": job["epsilon"]}
    return library.DQN("MlpPolicy", env, target_update_interval=period, **epsilon, **same)


def pixels(library: Any, job: dict[str, Any], same: dict[str, Any]) -> Any:
    """DQN as its zoo runs it on Atari: games side by side in one process, four frames, Nature's network."""
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import VecFrameStack

    gym.register_envs(import_module("ale_py"))
    games = make_atari_env(job["env"], n_envs=job["num_envs"], seed=job["seed"])
    same["policy_kwargs"] = {"net_arch": []}  # one layer of 512 is in its NatureCNN
    epsilon = {"exploration_initial_eps": job["epsilon"], "exploration_final_eps": job["epsilon"]}
    period = job["target_every"] * job["length"] * job["num_envs"]
    games = VecFrameStack(games, n_stack=job["frames"])
    return library.DQN("CnnPolicy", games, target_update_interval=period, **epsilon, **same)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
