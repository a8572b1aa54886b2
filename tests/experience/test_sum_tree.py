"""The tree of sums against NumPy."""

import itertools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.experience import sum_tree
from bellmax.experience.sum_tree import WIDTH
from tests.experience.made_up import quick

put, find = quick(sum_tree.put), quick(sum_tree.find)


@pytest.mark.parametrize("size", [1, WIDTH, WIDTH + 1, 5 * WIDTH**2, 40_000])
def test_every_level_is_the_sums_of_the_one_below(size):
    draw = np.random.default_rng(size)
    tree, leaves = sum_tree.empty(size), np.zeros(size, np.float32)
    for _ in range(5):
        index = draw.choice(size, min(size, 20), replace=False)
        value = np.float32(draw.exponential(size=len(index))) * (draw.random(len(index)) < 0.8)
        leaves[index] = value
        tree = put(tree, index, value)
    np.testing.assert_array_equal(tree[0][:size], leaves)
    assert not np.asarray(tree[0][size:]).any()
    for below, above in itertools.pairwise(tree):
        np.testing.assert_allclose(above[: len(below) // WIDTH], below.reshape(-1, WIDTH).sum(1), rtol=1e-6)
    assert len(tree[-1]) == WIDTH
    assert float(sum_tree.total(tree)) == pytest.approx(leaves.sum(), rel=1e-5)


def test_of_an_index_that_comes_twice_one_value_counts():
    tree = put(sum_tree.empty(100), jnp.array([7, 7, 9]), jnp.array([1.0, 2.0, 3.0]))
    assert float(tree[0][7]) in (1.0, 2.0)
    assert float(sum_tree.total(tree)) == float(tree[0].sum()) == float(tree[0][7]) + 3


@pytest.mark.parametrize("size", [40, 3_000])
def test_find_is_the_running_sum(size):
    draw = np.random.default_rng(size)
    leaves = np.float32(draw.integers(0, 5, size))  # sums of small whole numbers are exact
    tree = put(sum_tree.empty(size), np.arange(size), leaves)
    share = (np.arange(4_000) + 0.5) / 4_000
    wanted = np.searchsorted(np.cumsum(leaves), share * leaves.sum(), side="right")
    got = np.asarray(find(tree, np.float32(share)))
    # A share is a float32 and is scaled anew on each level: next to a boundary it may fall to the neighbour.
    off = got != wanted
    assert off.mean() < 0.01
    edges = np.concatenate([[0], np.cumsum(leaves)])
    distance = np.minimum(abs(edges[got] - share * leaves.sum()), abs(edges[got + 1] - share * leaves.sum()))
    assert (distance[off] < 1e-5 * leaves.sum()).all()
    assert (leaves[got] > 0).all()


weights = st.lists(st.sampled_from([0.0, 0.0, 1e-8, 0.3, 1.0, 7.0, 1e6]), min_size=1, max_size=70).filter(any)


@hypothesis.given(weights, st.sampled_from([0.0, 1e-9, 0.2, 0.5, 0.999, np.float32(1) - np.float32(2**-24), 1.0]))
@hypothesis.settings(max_examples=150, deadline=None)
def test_find_never_comes_to_a_leaf_of_0(values, share):
    leaves = np.zeros(WIDTH * 3, np.float32)
    leaves[: len(values)] = values
    tree = put(sum_tree.empty(len(leaves)), np.arange(len(leaves)), leaves)
    assert leaves[find(tree, jnp.float32([share]))[0]] > 0
    assert leaves[find(tree, jnp.float32([0.0]))[0]] > 0


@pytest.mark.parametrize("seed", range(3))
def test_find_never_does_so_beside_the_edges_either(seed):
    draw, size = np.random.default_rng(seed), 3 * WIDTH**2
    leaves = np.float32(10.0 ** draw.uniform(-3, 3, size)) * (draw.random(size) < 0.1)
    tree = put(sum_tree.empty(size), np.arange(size), leaves)
    edges = np.float32(np.cumsum(leaves, dtype=np.float64) / leaves.sum(dtype=np.float64))
    beside = [np.nextafter(edges, np.float32(to)) for to in (0, 1)]
    share = np.clip(np.concatenate([edges, *beside]), 0, 1)
    assert (leaves[find(tree, share)] > 0).all()


def test_nothing_drifts_over_many_changes():
    draw, size = np.random.default_rng(0), 2_000
    tree, leaves = sum_tree.empty(size), np.zeros(size)
    rounds = 400
    index = draw.integers(size, size=(rounds, 30))
    value = np.float32(10.0 ** draw.uniform(-6, 6, size=(rounds, 30)))

    def many(tree, now):
        return sum_tree.put(tree, *now), None

    tree = quick(lambda tree: jax.lax.scan(many, tree, (index, value))[0])(tree)
    leaves = np.asarray(tree[0], np.float64)
    assert float(sum_tree.total(tree)) == pytest.approx(leaves.sum(), rel=1e-6)
