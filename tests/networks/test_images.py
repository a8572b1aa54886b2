"""Which axis of a picture holds its channels, and what its numbers are divided by."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.networks.conv import Convolutions
from bellmax.networks.encoder import Encoder
from bellmax.spaces import Box


@pytest.mark.parametrize(
    ("shape", "first"),
    [((4, 84, 84), True), ((84, 84, 4), False), ((7, 7, 20), False), ((20, 7, 7), True), ((10, 5, 1), False)],
)
def test_the_axis_of_the_channels(shape, first):
    assert Convolutions(jax.random.key(0), shape).channels_first is first


def test_small_whole_numbers_are_shares_of_the_largest_there_is():
    image = np.arange(147, dtype=np.uint8).reshape(7, 7, 3) % 11
    small = Encoder(jax.random.key(0), Box((7, 7, 3), 0.0, 10.0, "uint8"))
    shares = Encoder(jax.random.key(0), Box((7, 7, 3), 0.0, 1.0, "float32"))
    np.testing.assert_allclose(small(jnp.asarray(image)), shares(image / np.float32(10)), rtol=1e-5, atol=1e-6)
    pixels = Encoder(jax.random.key(0), Box((7, 7, 3), 0.0, 255.0, "uint8"))
    assert float(jnp.abs(small(jnp.asarray(image)) - pixels(jnp.asarray(image))).max()) > 0.1
