"""A program for the tests to kill: align into a folder, or go on with what is there. Arguments: folder, algorithm."""

import sys
from pathlib import Path

import jax

import bellmax as bm
from tests.alignment.small import SETTINGS, TASK, small_model

jax.config.update("jax_disable_most_optimizations", True)
folder, algorithm = Path(sys.argv[1]), sys.argv[2]
if (folder / "run" / "config.json").exists():
    bm.resume(folder / "run", display="quiet")
else:
    bm.align(
        SETTINGS[algorithm], small_model(), TASK, seed=3, steps=60, checkpoint_every=2, log_every=1,
        run_folder=folder, name="run", display="quiet", track=(),
    )  # fmt: skip
