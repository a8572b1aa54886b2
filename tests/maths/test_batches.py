"""Minibatches: without replacement, nothing lost that need not be, all arrays cut alike."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.batches import flatten_time, shuffled_minibatches


def test_flatten_time_keeps_an_element_together():
    time, env = jnp.meshgrid(jnp.arange(3), jnp.arange(2), indexing="ij")
    flat = flatten_time({"time": time, "obs": jnp.stack([time, env], -1)})
    np.testing.assert_array_equal(flat["time"], [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(flat["obs"], [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1]])


def test_every_element_exactly_once_where_the_count_divides_the_size():
    x = jnp.arange(24)
    batch = {"x": x, "square": jnp.stack([x**2, -x], -1)}
    pieces = shuffled_minibatches(jax.random.key(0), batch, 4)
    assert pieces["x"].shape == (4, 6)
    assert pieces["square"].shape == (4, 6, 2)
    np.testing.assert_array_equal(np.sort(pieces["x"].ravel()), np.arange(24))
    np.testing.assert_array_equal(pieces["square"][..., 0], pieces["x"] ** 2)  # rows stay together across the tree
    np.testing.assert_array_equal(pieces["square"][..., 1], -pieces["x"])
    assert (pieces["x"].ravel() != np.arange(24)).any()


def test_another_key_is_another_shuffle_and_the_same_key_the_same():
    cut = lambda seed: np.asarray(shuffled_minibatches(jax.random.key(seed), jnp.arange(24), 4))
    np.testing.assert_array_equal(cut(0), cut(0))
    assert (cut(0) != cut(1)).any()


def test_an_element_is_as_likely_in_any_piece():
    # 4,000 shuffles of 8 elements in 4 pieces: element 0 is in each piece 1,000 times, give or take 4 sqrt(750) = 110.
    keys = jax.random.split(jax.random.key(0), 4000)
    pieces = jax.jit(jax.vmap(lambda key: shuffled_minibatches(key, jnp.arange(8), 4)))(keys)
    times = np.asarray((pieces == 0).any(-1)).sum(0)
    assert times.sum() == 4000
    assert (np.abs(times - 1000) < 110).all()


def test_what_does_not_fill_a_piece_is_left_out_and_is_another_each_time():
    keys = jax.random.split(jax.random.key(0), 50)
    pieces = np.asarray(jax.jit(jax.vmap(lambda key: shuffled_minibatches(key, jnp.arange(7), 3)))(keys)).reshape(50, 6)
    left_out = 21 - pieces.sum(1)  # 0 + ... + 6 = 21
    assert all(len(set(row)) == 6 for row in pieces.tolist())
    assert set(left_out.tolist()) == set(range(7))


def test_one_piece_is_the_whole_batch_as_it_is():
    np.testing.assert_array_equal(shuffled_minibatches(jax.random.key(0), jnp.arange(7), 1), np.arange(7)[None])


def test_more_pieces_than_elements_are_refused():
    with pytest.raises(ValueError, match="minibatches = 8, but there are only 7 elements to share out: use 7 or fewer"):
        shuffled_minibatches(jax.random.key(0), jnp.arange(7), 8)
    assert shuffled_minibatches(jax.random.key(0), jnp.arange(7), 7).shape == (7, 1)
