"""Tile coding by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths.tiles import cells, offsets, tile_indices


def tiles_of(points, low, high, tilings, tiles):
    low, high = (jnp.asarray(bound, jnp.float32) for bound in (low, high))
    return np.asarray(jax.vmap(lambda x: tile_indices(x, low, high, tilings, tiles))(jnp.asarray(points, jnp.float32)))


def test_offsets_in_two_dimensions():
    # Tiling k is moved by k (1, 3) quarters of a tile, whole tiles left out: (0, 0), (1, 3), (2, 6 - 4), (3, 9 - 8).
    np.testing.assert_allclose(offsets(2, 4), np.array([[0, 0], [1, 3], [2, 2], [3, 1]]) / 4)


def test_offsets_in_one_dimension_are_even():
    np.testing.assert_allclose(offsets(1, 8)[:, 0], np.arange(8) / 8)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_no_two_tilings_lie_on_each_other(dimensions):
    # 1, 3, 5 have no factor in common with a power of two, so k times them is different for each k < 8.
    assert all(len(set(column)) == 8 for column in offsets(dimensions, 8).T)


def test_indices_by_hand():
    # From 0 to 4 with 4 tiles, one is 1 wide. 2 tilings, moved by 0 and by (1, 3) / 2 -> (.5, .5). 5 x 5 tiles each.
    # (1.2, 3.7): tiling 0 at floor (1, 3) -> 1 * 5 + 3 = 8; tiling 1 at floor (1.7, 4.2) = (1, 4) -> 9.
    # (0, 4), a corner: (0, 4) -> 4; floor (.5, 4.5) = (0, 4) -> 4.   (4, 4): (4, 4) -> 24 in both.
    got = tiles_of([[1.2, 3.7], [0, 4], [4, 4]], [0, 0], [4, 4], 2, 4)
    assert got.tolist() == [[8, 9], [4, 4], [24, 24]]
    assert got.dtype == np.int32


def test_each_dimension_has_its_own_width():
    # x from -1 to 1 and y from 0 to 100 in 2 tiles: widths 1 and 50. (0.5, 20): (1.5, .4) -> (1, 0) -> 1 * 3 + 0.
    assert tiles_of([[0.5, 20.0]], [-1, 0], [1, 100], 1, 2).tolist() == [[3]]


def test_what_is_outside_counts_as_on_the_border():
    inside = tiles_of([[0, 1], [1, 0]], [0, 0], [1, 1], 8, 4)
    outside = tiles_of([[-5, 3], [7, -np.inf]], [0, 0], [1, 1], 8, 4)
    np.testing.assert_array_equal(inside, outside)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_indices_are_in_range_and_every_tile_can_be_met(dimensions):
    points = np.random.default_rng(0).uniform(-1.1, 1.1, size=(20_000, dimensions))
    got = tiles_of(points, [-1] * dimensions, [1] * dimensions, 4, 3)
    assert got.shape == (20_000, 4)
    assert got.min() == 0
    assert got.max() == cells(dimensions, 3) - 1 == 4**dimensions - 1
    assert len(set(got[:, 3])) == 4**dimensions  # the first tiling is not moved, and needs the last tiles on the border


def test_neighbours_share_tiles_the_fewer_the_farther_they_are():
    # On a line with 8 tilings of width 1, moved by 1/8 each: points j/8 apart share 8 - j tiles.
    points = 2.05 + np.arange(10)[:, None] / 8
    got = tiles_of(points, [0], [8], 8, 8)
    assert [int((got[0] == other).sum()) for other in got] == [8, 7, 6, 5, 4, 3, 2, 1, 0, 0]


def test_moved_unevenly_the_shared_tiles_do_not_favour_a_diagonal():
    """Figure 9.11: how many tiles two points share, a little apart along one diagonal or the other."""

    def difference(moved):
        points = np.random.default_rng(1).uniform(2, 6, size=(4000, 2))[:, None]
        tile = lambda p: np.floor(p + moved)
        up, down = ((tile(points) == tile(points + step)).all(2).sum(1) for step in ((0.4, 0.4), (0.4, -0.4)))
        return np.abs(up - down)

    points = np.random.default_rng(2).uniform(2, 6, size=(100, 2))
    ours = tiles_of(points, [0, 0], [8, 8], 8, 8)
    places = np.floor(points[:, None] + offsets(2, 8)).astype(int)
    np.testing.assert_array_equal(ours, places @ [9, 1])
    evenly = np.arange(8)[:, None] * [1, 1] / 8
    assert difference(offsets(2, 8)).mean() < 1
    assert difference(evenly).mean() > 1.5
