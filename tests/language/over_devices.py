"""Updates over four devices against the same on one; `test_sharding.py` runs this where there are four."""

import sys

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.language import sharding
from bellmax.language.adapters import adapted
from tests.language import tiny
from tests.language.learners import CASES, begun
from tests.paper.by_hand import by_name, quickly

# the case, data, model, is the model adapted?
RUNS = [("DAPO", 2, 2, False), ("PPO", 1, 4, True)]


def check(name, data, model, with_adapters):
    case = CASES[name]
    policy = adapted(jax.random.key(0), tiny.model(), rank=2) if with_adapters else tiny.model()
    state, batch, key = begun(case, policy), case.batch(), jax.random.key(1)
    over = sharding.mesh(data, model)
    update = quickly(case.algorithm.update)
    alone = update(state, batch, key)
    spread, rows = sharding.spread(state, jax.tree.map(jnp.asarray, batch), over)
    assert jax.tree.leaves(rows)[0].addressable_shards[0].data.shape[0] == 4 // data
    together = update(spread, rows, key)
    name_of_query = ".layers[0].attention.query" + (".base.weight" if with_adapters else ".weight")
    for where in (spread, together[0]):  # it is cut by its outputs, and stays so
        assert arrays_by_name(where)[name_of_query].addressable_shards[0].data.shape == (16, 16 // model)
    for path, x in by_name(alone).items():
        np.testing.assert_allclose(by_name(together)[path], x, rtol=1e-4, atol=2e-5, err_msg=f"{name} {path}")
    moved = [np.abs(x - y).max() for x, y in zip(jax.tree.leaves(alone[0]), jax.tree.leaves(state))]
    assert max(moved) > 1e-4


def arrays_by_name(tree):
    """The arrays of the policy by their path in it."""
    paths = jax.tree_util.tree_flatten_with_path(tree.model)[0]
    return {jax.tree_util.keystr(path): x for path, x in paths}


if __name__ == "__main__":
    assert len(jax.devices()) == 4
    jax.config.update("jax_disable_most_optimizations", True)
    for run in RUNS:
        check(*run)
        print(*run)
    sys.exit(0)
