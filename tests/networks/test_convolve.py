"""A convolution, however the device likes to have it, against the sum that it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.networks import conv

SHAPES = [((2, 9, 8, 3), (4, 4, 3, 5), 2), ((1, 10, 10, 4), (3, 3, 4, 2), 1), ((2, 11, 9, 1), (5, 5, 1, 3), 4)]


def drawn(shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def by_hand(images, kernel, stride):
    side, _, _, outputs = kernel.shape
    batch, height, width, _ = images.shape
    found = np.zeros((batch, (height - side) // stride + 1, (width - side) // stride + 1, outputs))
    for i in range(found.shape[1]):
        for j in range(found.shape[2]):
            seen = images[:, i * stride : i * stride + side, j * stride : j * stride + side]
            for output in range(outputs):
                found[:, i, j, output] = (seen * kernel[..., output]).sum((1, 2, 3))
    return found


@pytest.mark.parametrize("convolve", [conv.convolve, conv._as_product, conv._as_convolution])
@pytest.mark.parametrize(("images", "kernel", "stride"), SHAPES)
def test_every_way_is_the_sum(convolve, images, kernel, stride):
    x, w = drawn(images, 0), drawn(kernel, 1)
    np.testing.assert_allclose(convolve(x, w, stride), by_hand(x, w, stride), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("images", "kernel", "stride"), SHAPES)
def test_gradients_are_alike_also_for_several_kernels_at_once(images, kernel, stride):
    x, several = drawn(images, 0), drawn((3, *kernel), 1)
    grads = []
    for convolve in (conv.convolve, conv._as_convolution):
        loss = lambda x, w, convolve=convolve: (jnp.sin(convolve(x, w, stride)) ** 2).sum()
        grads.append(jax.jit(jax.vmap(jax.grad(loss, (0, 1)), (None, 0)))(x, several))
    for one, other in zip(*grads):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_on_the_cpu_no_convolution_is_left_in_a_program():
    program = jax.jit(lambda x, w: conv.convolve(x, w, 1), backend="cpu").lower(*map(drawn, SHAPES[1][:2], (0, 1)))
    assert "convolution" not in program.as_text()
    plain = jax.jit(lambda x, w: conv._as_convolution(x, w, 1)).lower(*map(drawn, SHAPES[1][:2], (0, 1)))
    assert "convolution" in plain.as_text(), "the control"
