"""What the hosted driver hands over and brings back at every step."""

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.drivers.fused import pack, unpacker, what_is_read


def test_packed_trees_come_back_as_they_were():
    tree = {
        "action": jnp.array([[1, -2], [3, 4]], jnp.int32),
        "legal": jnp.array([True, False, True]),
        "scale": jnp.float16(-0.5),
        "value": jnp.array([np.nan, -np.inf, 1e-30], jnp.float32),
        "level": jnp.array([255, 0], jnp.uint8),
        "none": None,
        "empty": jnp.zeros((0, 3)),
    }
    back = unpacker(jax.eval_shape(lambda: tree))(jax.jit(pack)(tree))
    assert jax.tree.structure(back) == jax.tree.structure(tree)
    for found, x in zip(jax.tree.leaves(back), jax.tree.leaves(tree), strict=True):
        assert (found.dtype, found.shape) == (x.dtype, x.shape)
        np.testing.assert_array_equal(found, np.asarray(x))


def test_leaves_that_do_not_matter_are_not_read():
    def function(leaves, x):
        a, _, c, _, e = leaves
        looped = jax.lax.fori_loop(0, 3, lambda i, carry: carry * c, x)
        return jnp.where(x > 0, a, looped), e

    one = jax.ShapeDtypeStruct((), jnp.float32)
    assert what_is_read(function, [one] * 5, one) == (0, 2, 4)


def test_leaves_whose_use_comes_to_nothing_may_be_left_out_of_the_call_by_the_compiler_alone():
    one = jax.ShapeDtypeStruct((), jnp.float32)
    assert what_is_read(lambda leaves: (leaves[2] * 2, leaves[0])[1], [one] * 3) == (0, 2)


def test_a_leaf_that_is_read_in_one_branch_alone_is_read():
    one, flag = jax.ShapeDtypeStruct((), jnp.float32), jax.ShapeDtypeStruct((), bool)
    assert what_is_read(lambda leaves, flag: jax.lax.cond(flag, lambda: leaves[1], lambda: 0.0), [one] * 3, flag) == (
        1,
    )
