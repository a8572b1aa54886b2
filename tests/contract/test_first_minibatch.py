"""On the first minibatch after collecting, the policy is still the one that collected: its ratio is 1.

For every kind of action, with and without masks, memory and normalisation.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.drivers import ingraph
from tests.contract.cases import CASES, KIND_CASES
from tests.contract.test_contract import updated

PROXIMAL = [case for case in CASES + KIND_CASES if "ppo" in case.name]


@pytest.mark.parametrize("case", PROXIMAL, ids=lambda case: case.name)
def test_the_ratio_is_one_on_the_first_minibatch(case):
    run = jax.jit(ingraph.start, static_argnums=3)(case.algorithm, case.env, jax.random.key(1), case.num_envs)
    run, _ = ingraph.advance(case.algorithm, case.env, run, jnp.int32(3), jnp.int32(10**9))
    batch = jax.jit(ingraph.last_batch)(case.algorithm, case.env, run)[0]
    update = functools.partial(updated, case.algorithm)
    after, metrics = update(run.state, batch, jax.random.key(0))
    kl = np.asarray(metrics["kl"]).reshape(-1)
    assert abs(kl[0]) < 1e-6
    assert np.asarray(metrics["clip_fraction"]).reshape(-1)[0] == 0
    assert np.asarray(metrics["grad_norm"]).reshape(-1)[0] > 0, "the ratio is 1 while the gradient is not 0"
    for _ in range(20):  # the control: on a batch of another policy it is not 1
        after, metrics = update(after, batch, jax.random.key(0))
    assert np.asarray(metrics["kl"]).reshape(-1)[0] > 1e-5
