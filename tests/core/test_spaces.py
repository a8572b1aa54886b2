"""Spaces: their elements' shapes, types and bounds, alone and in nested trees."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete, confine, is_image, sample, zeros

INFINITY = math.inf
NESTED = {
    "camera": Box((2, 2, 3), 0, 255, "uint8"),
    "joints": (Box((2,), (-1.0, 0.0), (1.0, 5.0)), Discrete(3)),
    "more": {"buttons": MultiBinary(4), "gears": MultiDiscrete((2, 5))},
}
SHAPES = {
    "camera": ((2, 2, 3), "uint8"),
    "joints": (((2,), "float32"), ((), "int32")),
    "more": {"buttons": ((4,), "int32"), "gears": ((2,), "int32")},
}


def draw(space, times=2000, seed=0):
    return jax.jit(jax.vmap(lambda key: sample(space, key)))(jax.random.split(jax.random.key(seed), times))


def described(tree):
    return jax.tree.map(lambda x: (x.shape, str(x.dtype)), tree)


def test_zeros_and_samples_of_a_nested_tree_agree_in_shape_and_type():
    assert described(zeros(NESTED)) == SHAPES
    assert described(jax.jit(lambda key: sample(NESTED, key))(jax.random.key(0))) == SHAPES
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(zeros(NESTED)))


@pytest.mark.parametrize("nested", [False, True])
def test_a_mask_starts_with_everything_legal(nested):
    masked = Masked({"x": Box((2,)), "n": Discrete(4)}, MultiBinary(3))
    for make in (zeros, lambda space: sample(space, jax.random.key(0))):
        got = make({"inner": masked})["inner"] if nested else make(masked)
        assert isinstance(got, Masked)
        assert got.legal.dtype == bool
        np.testing.assert_array_equal(got.legal, [True, True, True])
        assert described(got.obs) == {"x": ((2,), "float32"), "n": ((), "int32")}


def test_discrete_samples_are_uniform_over_all_choices():
    got = draw((Discrete(3), MultiDiscrete((2, 5)), MultiBinary(2)))
    # 2,000 draws: a share s has the standard error sqrt(s (1 - s) / 2000); four of them, at s = 1/3: 0.042
    for values, n in ((got[0], 3), (got[1][:, 0], 2), (got[1][:, 1], 5), (got[2][:, 0], 2), (got[2][:, 1], 2)):
        shares = np.bincount(values, minlength=n) / 2000
        assert len(shares) == n
        assert (np.abs(shares - 1 / n) < 0.045).all()
    assert abs((got[2][:, 0] == got[2][:, 1]).mean() - 0.5) < 0.045  # two switches, not one twice


def test_bounded_numbers_are_uniform_and_unbounded_ones_normal():
    got = np.asarray(draw(Box((3,), (-1.0, 2.0, -INFINITY), (1.0, 10.0, INFINITY))))
    assert (got[:, :2] >= [-1, 2]).all()
    assert (got[:, :2] <= [1, 10]).all()
    # standard deviation of a uniform: length / sqrt 12; four standard errors of the mean: 4 / sqrt 2000 = 0.09 of it
    np.testing.assert_allclose(got.mean(0), [0, 6, 0], atol=0.21)
    np.testing.assert_allclose(got.std(0), [2 / 12**0.5, 8 / 12**0.5, 1], rtol=0.07)


def test_a_side_without_a_bound_makes_it_normal():
    got = np.asarray(draw(Box((1,), 0.0, INFINITY)))
    assert np.isfinite(got).all()
    assert abs(got.mean()) < 0.1


@pytest.mark.parametrize(("low", "high", "dtype"), [(-1, 1, "int32"), (0, 3, "uint8"), (-7, -5, "int8")])
def test_whole_numbers_reach_both_ends_equally_often(low, high, dtype):
    got = np.asarray(draw(Box((), low, high, dtype))).astype(int)
    values, times = np.unique(got, return_counts=True)
    np.testing.assert_array_equal(values, np.arange(low, high + 1))
    assert (np.abs(times / 2000 - 1 / len(values)) < 0.045).all()


def test_bounds_as_wide_as_the_numbers_themselves_give_finite_samples():
    widest = float(np.finfo(np.float32).max)  # what older environments write for "no bound"
    got = np.asarray(draw(Box((4,), -widest, widest)))
    assert np.isfinite(got).all()
    assert got.min() < -0.9 * widest
    assert got.max() > 0.9 * widest


def test_leaves_of_a_tree_do_not_share_their_luck():
    got = draw({"a": Box((1,), 0, 1), "b": Box((1,), 0, 1)})
    assert abs(np.corrcoef(got["a"][:, 0], got["b"][:, 0])[0, 1]) < 0.1


def test_bounds_have_the_shape_of_the_space():
    low, high = Box((2, 2), (0.0, 1.0, 2.0, 3.0), 9).bounds()
    np.testing.assert_array_equal(low, [[0, 1], [2, 3]])
    np.testing.assert_array_equal(high, [[9, 9], [9, 9]])
    with pytest.raises(ValueError, match="reshape"):
        Box((3,), (0.0, 1.0)).bounds()


def test_confine_cuts_boxes_and_nothing_else():
    space = {
        "arm": Box((2,), (-1.0, -2.0), (1.0, 2.0)),
        "gear": Discrete(3),
        "pair": (Box((1,), -INFINITY, 0), Box((1,))),
    }
    action = {"arm": jnp.array([-5.0, 1.5]), "gear": jnp.array(7), "pair": (jnp.array([-9.0]), jnp.array([1e9]))}
    got = confine(space, action)
    np.testing.assert_array_equal(got["arm"], [-1, 1.5])
    assert got["gear"] == 7
    np.testing.assert_array_equal(got["pair"][0], [-9])
    np.testing.assert_array_equal(got["pair"][1], [1e9])
    np.testing.assert_array_equal(confine(Box((1,), -INFINITY, 0), jnp.array([3.0])), [0])
    np.testing.assert_array_equal(confine(Box((2,), -1, 1), np.array([[3.0, 0.5], [-3.0, 0.1]])), [[1, 0.5], [-1, 0.1]])


def test_spaces_are_structure():
    """They can be compared and hashed, so they may be static fields and jit's static arguments."""
    assert hash(Box((2,), (0.0, 1.0), 3)) == hash(Box((2,), (0.0, 1.0), 3))
    assert Discrete(3) != Discrete(4)
    assert jax.jit(lambda space: zeros(space), static_argnums=0)(MultiDiscrete((2, 3))).shape == (2,)


def test_an_image_has_three_axes():
    assert is_image(NESTED["camera"])
    assert not is_image(Box((4,)))
    assert not is_image(Discrete(3))
