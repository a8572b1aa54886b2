"""What is due is done, what is not is left; also for many at once."""

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.maths.delayed import when


def test_a_step_is_taken_only_where_it_is_due():
    kept = jnp.float32(2), {"x": jnp.arange(3)}
    step = lambda kept: (kept[0] + 5, {"x": kept[1]["x"] * 10})
    done = jax.jit(lambda due: when(due, step, kept))
    assert float(done(True)[0]) == 7
    np.testing.assert_array_equal(done(True)[1]["x"], [0, 10, 20])
    assert float(done(False)[0]) == 2
    np.testing.assert_array_equal(done(False)[1]["x"], [0, 1, 2])
    np.testing.assert_array_equal(jax.vmap(done)(jnp.array([True, False]))[0], [7, 2])
