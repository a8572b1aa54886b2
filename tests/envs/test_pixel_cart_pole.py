"""CartPole as a picture: where things are drawn, what cannot be seen, and the physics behind it."""

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.envs import CartPole, PixelCartPole

ENV = PixelCartPole()


def picture(position=0.0, velocity=0.0, angle=0.0, spin=0.0):
    return np.asarray(ENV.picture(jnp.array([position, velocity, angle, spin])))[..., 0].astype(float)


def centre(row):
    """Where the light of a row is, in pixels from the left."""
    return (row * (np.arange(32) + 0.5)).sum() / row.sum()


def test_things_are_drawn_where_they_are():
    upright = picture()
    np.testing.assert_array_equal(upright, upright[:, ::-1], "in the middle it is its own mirror image")
    assert abs(centre(picture(position=1.2)[30]) - (16 + 0.8 * 16 * 0.5)) < 0.1, "half way to the limit"
    tilted = picture(angle=0.1)  # row 9 is 19 pixels above the axle: the pole has gone 18.5 tan 0.1 to the right
    assert abs(centre(tilted[9]) - (16 + 18.5 * np.tan(0.1))) < 0.1
    np.testing.assert_array_equal(picture(angle=-0.1), tilted[:, ::-1])
    assert upright.max() == 255
    assert (upright[:, :10] == 0).all()


def test_speeds_cannot_be_seen():
    np.testing.assert_array_equal(picture(velocity=2.0, spin=-1.0), picture())
    assert (picture(angle=0.01) != picture()).any(), "and what can, can be seen to half a degree"


def test_the_physics_are_those_of_cart_pole():
    key, plain = jax.random.key(0), CartPole()
    (state, obs), (other, _) = ENV.reset(key), plain.reset(key)
    for action in (1, 1, 0, 1):
        state, outcome = ENV.step(state, jnp.int32(action), key)
        other, wanted = plain.step(other, jnp.int32(action), key)
        np.testing.assert_array_equal(state.motion, other.motion)
        np.testing.assert_array_equal(outcome.obs, ENV.picture(wanted.obs))
        assert (outcome.reward, outcome.discount, outcome.last) == (wanted.reward, wanted.discount, wanted.last)
    assert obs.shape == ENV.spec.obs.shape
    assert str(obs.dtype) == ENV.spec.obs.dtype
