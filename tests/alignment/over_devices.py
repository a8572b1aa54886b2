"""Runs over four devices (which must be there) beside runs of one: python -m tests.alignment.over_devices FOLDER"""

import sys

import jax
import numpy as np
import pytest

import bellmax as bm
from tests.alignment.small import KEPT_QUIET, SETTINGS, SHAPE, TASK, TOKENISER, made_model


def trained(algorithm, devices, folder=None, name=None):
    options = KEPT_QUIET | {"reward": None if algorithm == "sft" else "contains:e"}
    options |= {"tokeniser": TOKENISER, "run_folder": folder, "name": name, "log_every": 1}
    return bm.align(SETTINGS[algorithm], made_model(), TASK, steps=3, devices=devices, **options)


def close(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4)


def main(folder):
    assert SHAPE.heads % 2 == 0
    for algorithm in ("sft", "grpo", "ppo-lm"):
        alone, together = trained(algorithm, None), trained(algorithm, (2, 2), folder, algorithm)
        close(alone.state.model, together.state.model)
        with pytest.raises(AssertionError):  # the control: something was learned
            close(alone.state.model, made_model())
        again = bm.resume(f"{folder}/{algorithm}", steps=4, display="quiet")
        assert again.plan.devices == (2, 2)
    print("the same")


if __name__ == "__main__":
    main(sys.argv[1])
