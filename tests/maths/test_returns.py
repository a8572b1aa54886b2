"""Returns and advantages against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.maths import returns

# Four steps, gamma 0.5. An episode ends on the second; the data end on the fourth, in mid-episode.
#     t   R   V   V'          t = 1 terminates: V' = 60 is the value of a state that is never lived in,
#     0   1  10   20          and differs from V[2], the first of the next episode.
#     1   2  20   60          t = 3 is not `last`: its V' = 50 stands for all that follows.
#     2   3  30   40
#     3   4  40   50
GAMMA = 0.5
REWARD = jnp.array([1.0, 2.0, 3.0, 4.0])
VALUE = jnp.array([10.0, 20.0, 30.0, 40.0])
NEXT_VALUE = jnp.array([20.0, 60.0, 40.0, 50.0])
LAST = jnp.array([False, True, False, False])
TERMINATED = GAMMA * jnp.array([1.0, 0.0, 1.0, 1.0])  # the end at t = 1 is a termination
TRUNCATED = GAMMA * jnp.ones(4)  # the end at t = 1 is a time limit

discounted_sum, gae, lambda_return = (
    jax.jit(returns.discounted_sum),
    jax.jit(returns.gae),
    jax.jit(returns.lambda_return),
)
monte_carlo_return, n_step_return = (
    jax.jit(returns.monte_carlo_return),
    jax.jit(returns.n_step_return, static_argnums=4),
)


def close(got, expected):
    np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-6)


def test_discounted_sum_begins_with_what_lies_behind_the_end():
    # y2 = 3 + 0.5 * 8 = 7,  y1 = 2 + 0.25 * 7 = 3.75,  y0 = 1 + 0.5 * 3.75 = 2.875
    close(discounted_sum(jnp.array([1.0, 2.0, 3.0]), jnp.array([0.5, 0.25, 0.5]), jnp.array(8.0)), [2.875, 3.75, 7])


@pytest.mark.parametrize("discount", [TERMINATED, TRUNCATED])
def test_monte_carlo_return_counts_nothing_behind_an_end(discount):
    # G1 = 2, G0 = 1 + 0.5 * 2;  G3 = 4, G2 = 3 + 0.5 * 4; terminated or cut short makes no difference
    close(monte_carlo_return(REWARD, discount, LAST), [2, 2, 5, 4])


@pytest.mark.parametrize(
    ("discount", "expected"),
    [
        # G3 = 4 + 0.5 * 50 = 29;  G2 = 3 + 0.5 (0.5 * 40 + 0.5 * 29) = 20.25 whatever happened at t = 1
        (TERMINATED, [6.5, 2, 20.25, 29]),  # G1 = 2 + 0;         G0 = 1 + 0.5 (0.5 * 20 + 0.5 * 2) = 6.5
        (TRUNCATED, [14, 32, 20.25, 29]),  # G1 = 2 + 0.5 * 60;  G0 = 1 + 0.5 (0.5 * 20 + 0.5 * 32) = 14
    ],
)
def test_lambda_return(discount, expected):
    close(lambda_return(REWARD, discount, NEXT_VALUE, LAST, 0.5), expected)


@pytest.mark.parametrize(
    ("discount", "expected"),
    [
        # delta3 = 4 + 25 - 40 = -11, delta2 = 3 + 20 - 30 = -7, delta0 = 1 + 10 - 10 = 1; gamma lambda = 0.25
        # A3 = -11, A2 = -7 + 0.25 * -11 = -9.75
        (TERMINATED, [-3.5, -18, -9.75, -11]),  # delta1 = 2 + 0 - 20 = -18;  A0 = 1 + 0.25 * -18
        (TRUNCATED, [4, 12, -9.75, -11]),  # delta1 = 2 + 30 - 20 = 12;  A0 = 1 + 0.25 * 12
    ],
)
def test_gae(discount, expected):
    close(gae(REWARD, discount, VALUE, NEXT_VALUE, LAST, 0.5), expected)


@pytest.mark.parametrize(
    ("n", "last", "discount", "expected"),
    [
        # one step: R + 0.5 V'
        (1, LAST, TRUNCATED, [11, 32, 23, 29]),
        # two steps: G2 = 3 + 0.5 * 4 + 0.25 * 50 = 17.5; G1 stops at the end of its episode, and G0 = 1 + 0.5 G1
        (2, LAST, TERMINATED, [2, 2, 17.5, 29]),
        (2, LAST, TRUNCATED, [17, 32, 17.5, 29]),
        # with no end at t = 1: G0 = 1 + 1 + 0.25 * 60 = 17, G1 = 2 + 1.5 + 0.25 * 40 = 13.5
        (2, jnp.zeros(4, bool), TRUNCATED, [17, 13.5, 17.5, 29]),
        # three: G0 = 1 + 1 + 0.75 + 0.125 * 40 = 7.75, G1 = 2 + 1.5 + 1 + 0.125 * 50 = 10.75
        (3, jnp.zeros(4, bool), TRUNCATED, [7.75, 10.75, 17.5, 29]),
        # nine are more than there are: G0 = 1 + 1 + 0.75 + 0.5 + 0.0625 * 50 = 6.375
        (9, jnp.zeros(4, bool), TRUNCATED, [6.375, 10.75, 17.5, 29]),
    ],
)
def test_n_step_return(n, last, discount, expected):
    close(n_step_return(REWARD, discount, NEXT_VALUE, last, n), expected)


def test_two_players_see_each_others_fortune_with_the_sign_turned():
    # The fourth mover wins 1 and the game is over: discount -0.5 before, 0 then.
    # G3 = 1, G2 = -0.5, G1 = 0.25, G0 = -0.125: good for those who move at 1 and 3.
    reward, last = jnp.array([0.0, 0, 0, 1]), jnp.array([False, False, False, True])
    discount, value = jnp.array([-0.5, -0.5, -0.5, 0]), jnp.array([0.2, 0.4, 0.6, 0.8])
    expected = np.array([-0.125, 0.25, -0.5, 1])
    next_value = jnp.array([0.4, 0.6, 0.8, 7.0])
    close(monte_carlo_return(reward, discount, last), expected)
    close(lambda_return(reward, discount, next_value, last, 1.0), expected)
    close(gae(reward, discount, value, next_value, last, 1.0), expected - np.asarray(value))
    close(n_step_return(reward, discount, next_value, last, 4), expected)
    # one step: the mover at 0 stands as well as minus half the value of the next mover, 0.4
    close(lambda_return(reward, discount, next_value, last, 0.0), [-0.2, -0.3, -0.4, 1])


def test_a_time_limit_leaves_the_value_of_an_endless_chain_alone():
    # Reward 1 for ever, gamma 0.9: V = 1 / (1 - 0.9) = 10. Cut every 5 steps, each target must be 10 still.
    reward, ten = jnp.ones((15, 2)), jnp.full((15, 2), 10.0)
    last = jnp.broadcast_to((jnp.arange(15) % 5 == 4)[:, None], (15, 2))
    discount = jnp.full((15, 2), 0.9)
    for lambda_ in (0.0, 0.7, 1.0):
        close(lambda_return(reward, discount, ten, last, lambda_), np.full((15, 2), 10))
        np.testing.assert_allclose(gae(reward, discount, ten, ten, last, lambda_), 0, atol=1e-5)
    for n in (1, 3, 20):
        close(n_step_return(reward, discount, ten, last, n), np.full((15, 2), 10))
    # Control: taken for a termination, the limit takes the future away. G at the last step is 1, before it 1.9, ...
    as_terminated = lambda_return(reward, discount * (1 - last), ten, last, 1.0)
    close(as_terminated[:5, 0], [4.0951, 3.439, 2.71, 1.9, 1])


def test_next_value_of_a_terminated_step_is_never_read():
    elsewhere = NEXT_VALUE.at[1].set(-1e6)
    for lambda_ in (0.0, 0.5, 1.0):
        close(
            lambda_return(REWARD, TERMINATED, elsewhere, LAST, lambda_),
            lambda_return(REWARD, TERMINATED, NEXT_VALUE, LAST, lambda_),
        )
        close(
            gae(REWARD, TERMINATED, VALUE, elsewhere, LAST, lambda_),
            gae(REWARD, TERMINATED, VALUE, NEXT_VALUE, LAST, lambda_),
        )
    close(n_step_return(REWARD, TERMINATED, elsewhere, LAST, 3), n_step_return(REWARD, TERMINATED, NEXT_VALUE, LAST, 3))


@pytest.mark.parametrize("discount", [TERMINATED, TRUNCATED])
def test_nothing_flows_backwards_over_an_end(discount):
    """The slope of the first two steps' results by anything behind the end is exactly zero, and not before it."""

    def early(reward, value, next_value):
        results = (
            monte_carlo_return(reward, discount, LAST),
            lambda_return(reward, discount, next_value, LAST, 0.9),
            gae(reward, discount, value, next_value, LAST, 0.9),
            n_step_return(reward, discount, next_value, LAST, 4),
        )
        return jnp.stack([result[:2] for result in results])

    by_reward, by_value, by_next_value = jax.jit(jax.jacobian(early, argnums=(0, 1, 2)))(REWARD, VALUE, NEXT_VALUE)
    for slope in (by_reward, by_value, by_next_value):
        assert (slope[..., 2:] == 0).all()
    assert (by_reward[:, 0, 1] > 0).all()  # within the episode it does flow
    reads_the_successor = np.asarray(by_next_value)[1:, 1, 1] != 0
    assert reads_the_successor.all() if discount is TRUNCATED else not reads_the_successor.any()


def test_axes_behind_time_are_carried_along():
    two = lambda x: jnp.stack([x, x], axis=1)
    batched = gae(two(REWARD), jnp.stack([TERMINATED, TRUNCATED], 1), two(VALUE), two(NEXT_VALUE), two(LAST), 0.5)
    close(batched.T, [[-3.5, -18, -9.75, -11], [4, 12, -9.75, -11]])
    stepped = n_step_return(two(REWARD), jnp.stack([TERMINATED, TRUNCATED], 1), two(NEXT_VALUE), two(LAST), 2)
    close(stepped.T, [[2, 2, 17.5, 29], [17, 32, 17.5, 29]])


def test_what_lies_past_the_end():
    """Three windows: one ends on its second step, one is cut there, one does both later and only the first counts."""
    last = jnp.array([[0, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 1]], bool)
    discount = jnp.array([[1, 1, -1.0], [0, 1, -1], [1, 0, 0], [1, 1, 1]])
    over, unknown = returns.past_the_end(discount, last)
    np.testing.assert_array_equal(over.T, [[0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(unknown.T, [[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]])
