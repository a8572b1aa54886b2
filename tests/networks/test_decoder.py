"""What is decoded: pictures by transposed convolutions, numbers by symlog, choices by their probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import Box, Discrete, MultiBinary, MultiDiscrete
from bellmax.networks.conv import convolve
from bellmax.networks.decoder import Decoder, transposed

CASES = [(9, 7, 3, 1), (12, 10, 4, 2), (13, 11, 4, 2)]  # height, width, side, stride; the last leaves edges out


@pytest.mark.parametrize(("height", "width", "side", "stride"), CASES)
def test_it_is_the_transpose_of_the_convolution(height, width, side, stride):
    """<convolve(x), y> = <x, transposed(y)>, with the kernel turned round and its channels swapped."""
    draw = np.random.default_rng(0)
    image = np.float32(draw.normal(size=(1, height, width, 2)))
    kernel = np.float32(draw.normal(size=(side, side, 2, 5)))
    small = convolve(image, kernel, stride)
    y = np.float32(draw.normal(size=small.shape))
    back = transposed(jnp.asarray(y), jnp.asarray(kernel[::-1, ::-1].swapaxes(2, 3)), stride, (height, width, 2))
    assert back.shape == image.shape
    assert float((small * y).sum()) == pytest.approx(float((image * back).sum()), rel=1e-4)


@pytest.mark.parametrize("shape", [(10, 5, 1), (1, 10, 5), (84, 84, 4), (64, 64, 3)])
def test_pictures_have_the_shape_they_had(shape):
    space = Box(shape, 0.0, 255.0, "uint8")
    seen = jax.eval_shape(lambda: Decoder(jax.random.key(0), 6, space, (4,)).picture(jnp.ones(6)))
    assert (seen.shape, seen.dtype) == (shape, jnp.uint8)


def test_errors_by_hand():
    """All outputs 0: (symlog(e - 1) - 0)^2 = 1 a number, log n a choice, (sigmoid(0) - 1)^2 = 1/4 a pixel of 255."""
    e = np.e - 1
    spaces = {
        "a number": (Box((2,)), np.array([e, -e]), 2.0),
        "b choice": (Discrete(4), np.int32(3), np.log(4)),
        "c choices": (MultiDiscrete((2, 3)), np.array([1, 2]), np.log(6)),
        "d switches": (MultiBinary(2), np.array([0, 0]), 0.0),
        "e picture": (Box((3, 4, 1), 0.0, 255.0, "uint8"), np.full((3, 4, 1), 255, np.uint8), 12 / 4),
    }
    for name, (space, value, error) in spaces.items():
        decoder = Decoder(jax.random.key(0), 6, {name: space}, (4,))
        zero = jax.tree.map(jnp.zeros_like, decoder)
        assert float(zero.error(jnp.ones(6), {name: value})) == pytest.approx(error, rel=1e-5), name
    tree = {name: space for name, (space, _, _) in spaces.items()}
    seen = Decoder(jax.random.key(0), 6, tree, (4,)).picture(jnp.ones(6))
    assert {name: x.shape for name, x in seen.items()} == {name: v.shape for name, (_, v, _) in spaces.items()}
