"""Distributions of returns: the projection against the paper's loop, quantile regression against a loop over pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellmax.maths.distributional import (
    best_action,
    check_support,
    divergence,
    expectation,
    midpoints,
    of_action,
    project,
    quantile_huber,
    support,
    two_hot,
    unless_over,
)

V_MIN, V_MAX, ATOMS = -3.0, 5.0, 9  # atoms at -3, -2 .. 5
DZ = (V_MAX - V_MIN) / (ATOMS - 1)


def slow_projection(probabilities, values, on_a_hit=True):
    """Bellemare et al., 2017, algorithm 1, and what it leaves out: an atom that is hit keeps all (l = u)."""
    out = np.zeros(ATOMS)
    for p, value in zip(probabilities, values):
        place = (min(max(value, V_MIN), V_MAX) - V_MIN) / DZ
        below, above = int(np.floor(place)), int(np.ceil(place))
        if below == above and on_a_hit:
            out[below] += p
        else:
            out[below] += p * (above - place)
            out[above] += p * (place - below)
    return out


AWKWARD = st.one_of(st.floats(-9, 11, width=32), st.sampled_from([-3.0, 5.0, 0.0, 2.0, -2.5, 1e6, -1e6, 4.999, -3.001]))
VALUES = st.one_of(st.lists(AWKWARD, min_size=ATOMS, max_size=ATOMS), AWKWARD.map(lambda x: [x] * ATOMS))
PROBABILITIES = st.lists(st.floats(0, 1), min_size=ATOMS, max_size=ATOMS).filter(lambda p: sum(p) > 0.01)
projected = jax.jit(lambda p, values: project(p, values, V_MIN, V_MAX))


@settings(max_examples=300, deadline=None)
@given(VALUES, PROBABILITIES)
def test_the_projection_is_the_papers_loop(values, probabilities):
    p = np.array(probabilities) / sum(probabilities)
    got = np.asarray(projected(p, np.array(values)))
    np.testing.assert_allclose(got, slow_projection(p, values), atol=2e-6)
    assert got.sum() == pytest.approx(1, abs=1e-5)


def test_the_projection_of_random_bellman_updates_in_one_call():
    draw = np.random.default_rng(0)
    p = draw.dirichlet(np.ones(ATOMS), size=(6, 50))
    z = np.asarray(support(V_MIN, V_MAX, ATOMS))
    reward, discount = draw.normal(0, 4, (6, 50)), draw.choice([0.0, 0.5, 0.99, 1.0], (6, 50))
    values = reward[..., None] + discount[..., None] * z
    got = np.asarray(projected(p, values))
    for row in np.ndindex(6, 50):
        np.testing.assert_allclose(got[row], slow_projection(p[row], values[row]), atol=2e-6)
    np.testing.assert_allclose(got.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(projected(p, np.broadcast_to(z, p.shape)), p, atol=1e-6)  # nothing moves: all hits


def test_the_projection_by_hand():
    # values 0.25 and 0.5 (of atoms 1 apart) share 3:1 and 1:1; -7 and 5 belong to the ends; 2 is an atom
    values = np.array([0.25, 0.5, -7, 5, 2, 2, 2, 2, 2])
    p = np.array([0.4, 0.2, 0.1, 0.1, 0.2, 0, 0, 0, 0])
    # at -3: 0.1; at 0: 0.75 * 0.4 + 0.5 * 0.2 = 0.4; at 1: 0.25 * 0.4 + 0.1 = 0.2; at 2: 0.2; at 5: 0.1
    np.testing.assert_allclose(projected(p, values), [0.1, 0, 0, 0.4, 0.2, 0.2, 0, 0, 0.1], atol=1e-6)
    inside = np.array([0.25, -2.9, 4.5, 0, 0, 0, 0, 0, 0])  # within the ends the mean is kept
    z = np.asarray(support(V_MIN, V_MAX, ATOMS))
    assert projected(p, inside) @ z == pytest.approx(p @ inside, abs=1e-5)


def test_the_loop_without_the_case_of_a_hit_loses_it():
    p, values = np.full(ATOMS, 1 / ATOMS), np.full(ATOMS, 2.0)
    assert slow_projection(p, values, on_a_hit=False).sum() == 0
    np.testing.assert_allclose(projected(p, values), np.eye(ATOMS)[5], atol=1e-6)


def test_support_and_expectation():
    np.testing.assert_allclose(support(V_MIN, V_MAX, ATOMS), np.arange(-3, 6), atol=1e-6)
    logits = np.log([[1, 1, 2], [1, 3, 1e-30]])
    # (1, 1, 2) / 4 on 0, 5, 10: 1.25 + 5 = 6.25; (1, 3) / 4 on 0, 5: 3.75
    np.testing.assert_allclose(expectation(logits, 0.0, 10.0), [6.25, 3.75], rtol=1e-5)


def test_a_support_without_width_is_refused():
    check_support("C51", -1.0, 1.0)
    check_support("C51", jnp.ones(3), jnp.zeros(3))  # a sweep's arrays pass unseen
    with pytest.raises(ValueError, match=r"C51\.v_max = 1\.0: it must be greater than v_min = 1\.0\."):
        check_support("C51", 1.0, 1.0)


def test_divergence_by_hand():
    # KL((1/2, 1/2, 0) || (1/4, 1/2, 1/4)) = 1/2 log 2 + 0 + 0
    target, logits = jnp.array([0.5, 0.5, 0.0]), jnp.log(jnp.array([1.0, 2.0, 1.0])) + 3
    assert divergence(target, logits) == pytest.approx(0.5 * np.log(2), rel=1e-5)
    assert divergence(jax.nn.softmax(logits), logits) == pytest.approx(0, abs=1e-6)
    slope = jax.grad(divergence, 1)(target, logits)  # the cross-entropy's: p - target
    np.testing.assert_allclose(slope, [-0.25, 0, 0.25], atol=1e-6)
    assert divergence(jnp.stack([target, target]), jnp.stack([logits, 0 * logits])).shape == (2,)


def slow_quantile_huber(quantiles, targets, tau, width):
    """Dabney et al., 2018, algorithm 1: sum_i E_j [ rho_tau_i (T theta_j - theta_i) ]."""
    total = 0.0
    for theta_i, tau_i in zip(quantiles, tau):
        for target_j in targets:
            u = target_j - theta_i
            huber = u**2 / 2 if abs(u) <= width else width * (abs(u) - width / 2)
            total += abs(tau_i - (1.0 if u < 0 else 0.0)) * huber / width / len(targets)
    return total


@pytest.mark.parametrize("width", [0.3, 1.0, 2.5])
@pytest.mark.parametrize(("n", "m"), [(4, 4), (3, 5), (5, 2), (1, 6), (6, 1)])
def test_quantile_huber_is_the_loop_over_pairs(n, m, width):
    draw = np.random.default_rng(n * 10 + m)
    quantiles, targets, tau = draw.normal(size=(7, n)), 2 * draw.normal(size=(7, m)), draw.random((7, n))
    got = quantile_huber(quantiles, targets, tau, width)
    wanted = [slow_quantile_huber(*row, width) for row in zip(quantiles, targets, tau)]
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    turned = quantile_huber(targets, quantiles, draw.random((7, m)), width)  # the control: the axes exchanged
    assert not np.allclose(turned, wanted, rtol=1e-2)


def test_quantile_huber_by_hand():
    # quantiles 0 and 2 at tau 1/4 and 3/4, one target 1: u = 1 and -1, L = 1/2 both, tilts 1/4 and |3/4 - 1| = 1/4
    assert quantile_huber(jnp.array([0.0, 2.0]), jnp.array([1.0]), midpoints(2)) == pytest.approx(0.25)
    # the same, quantiles exchanged: tilts |1/4 - 1| = 3/4 and 3/4
    assert quantile_huber(jnp.array([2.0, 0.0]), jnp.array([1.0]), midpoints(2)) == pytest.approx(0.75)


def test_the_loss_is_least_at_the_quantiles():
    # of 0 .. 99 the quantile at tau is about 100 tau; a narrow Huber is nearly the absolute error
    samples, tau = jnp.arange(100.0), jnp.array([0.1, 0.5, 0.9])
    guesses = jnp.arange(0.5, 100)
    one = lambda x, t: quantile_huber(x[None], samples, t[None], 1e-3)
    losses = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(guesses, tau)
    np.testing.assert_allclose(guesses[losses.argmin(0)], [9.5, 49.5, 89.5], atol=1.0)


def test_midpoints():
    np.testing.assert_allclose(midpoints(4), [0.125, 0.375, 0.625, 0.875])


def test_of_the_best_action():
    q = jnp.array([[1.0, 3.0, 2.0], [1.0, 1.0, 0.0], [-1.0, -2.0, -3.0]])
    legal = jnp.array([[True, False, True], [False, True, True], [False, False, False]])
    assert best_action(q).tolist() == [1, 0, 0]
    assert best_action(q, legal).tolist() == [2, 1, 0]
    assert of_action(q, jnp.array([1, 0, 2])).tolist() == [3, 1, -3]
    x = jnp.arange(18.0).reshape(3, 3, 2).at[0, 0].set(jnp.nan)  # what was not taken does not matter
    assert of_action(x, jnp.array([2, 1, 0])).tolist() == [[4, 5], [8, 9], [12, 13]]
    discount = jnp.array([0.9, 0.0, 0.9])
    np.testing.assert_allclose(unless_over(discount), discount)
    np.testing.assert_allclose(unless_over(discount, legal), [0.9, 0.0, 0.0])  # nothing is legal: all is over


def test_two_hot_by_hand():
    """Atoms at -3, -2 .. 5: 0.25 lies a quarter of the way from 0 to 1; the mean is the value, and the ends hold."""
    got = np.asarray(two_hot(jnp.array([0.25, 2.0, -7.0, 9.0]), V_MIN, V_MAX, ATOMS))
    expected = np.zeros((4, ATOMS))
    expected[0, 3], expected[0, 4], expected[1, 5], expected[2, 0], expected[3, 8] = 0.75, 0.25, 1, 1, 1
    np.testing.assert_allclose(got, expected, atol=1e-6)
    values = jnp.linspace(V_MIN, V_MAX, 101)
    np.testing.assert_allclose(two_hot(values, V_MIN, V_MAX, 5) @ support(V_MIN, V_MAX, 5), values, atol=1e-5)
