"""A program for the tests to kill: train into a folder, or go on with what is there. Arguments: folder, env, steps."""

import sys
from pathlib import Path

import jax

import bellmax as bm

jax.config.update("jax_disable_most_optimizations", True)
folder, env, steps = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if (folder / "run" / "config.json").exists():
    bm.resume(folder / "run", display="quiet")
else:
    algorithm = bm.Normalised(bm.PPO(experience=bm.Steps(16), hidden=(8,), epochs=2, minibatches=2))
    options = {"steps": steps, "num_envs": 2, "log_every": steps // 50, "checkpoint_every": steps // 40}
    bm.train(algorithm, env, run_folder=folder, name="run", seeds=[3], display="quiet", track=(), **options)
