"""On the first minibatch after collecting, the policy is still the one that collected: its ratio is 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.drivers import ingraph
from tests.contract.cases import CASES

PROXIMAL = [case for case in CASES if "ppo" in case.name]


@pytest.mark.parametrize("case", PROXIMAL, ids=lambda case: case.name)
def test_the_ratio_is_one_on_the_first_minibatch(case):
    run = jax.jit(ingraph.start, static_argnums=3)(case.algorithm, case.env, jax.random.key(1), case.num_envs)
    run, _ = ingraph.advance(case.algorithm, case.env, run, jnp.int32(3), jnp.int32(10**9))
    batch = jax.jit(ingraph.last_batch)(case.algorithm, case.env, run)[0]
    _, metrics = jax.jit(case.algorithm.update)(run.state, batch, jax.random.key(0))
    kl = np.asarray(metrics["kl"]).reshape(-1)
    assert abs(kl[0]) < 1e-6
    assert np.asarray(metrics["clip_fraction"]).reshape(-1)[0] == 0
    assert kl[-1] > 1e-6, "and by the last minibatch it has moved"
