"""One step of gradient descent: optax's transformations with a learning rate that may be traced."""

from __future__ import annotations

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax import Array

Params = TypeVar("Params")


def clipped_adam(max_grad_norm: float | Array, epsilon: float = 1e-5) -> optax.GradientTransformation:
    """Gradients clipped by their global norm, then Adam's direction (Kingma & Ba, 2015), without a rate."""
    return optax.chain(optax.clip_by_global_norm(max_grad_norm), optax.scale_by_adam(eps=epsilon))


def clipped_adamw(max_grad_norm: float | Array, decay: float | Array) -> optax.GradientTransformation:
    """As `clipped_adam`, and weights decay beside it (Loshchilov & Hutter, 2019, https://arxiv.org/abs/1711.05101)."""
    return optax.chain(clipped_adam(max_grad_norm, 1e-8), optax.add_decayed_weights(decay))


def clipped_rmsprop(
    max_grad_norm: float | Array, decay: float = 0.99, epsilon: float = 1e-5
) -> optax.GradientTransformation:
    """Gradients clipped by their global norm, then RMSprop's direction, without a rate."""
    return optax.chain(optax.clip_by_global_norm(max_grad_norm), optax.scale_by_rms(decay=decay, eps=epsilon))


def descend(
    optimizer: optax.GradientTransformation, params: Params, grads: Params, opt_state: Any, learning_rate: float | Array
) -> tuple[Params, Any]:
    """params - learning_rate * direction -> (params, opt_state)."""
    direction, opt_state = optimizer.update(grads, opt_state, params)
    params = jax.tree.map(lambda p, d: p - learning_rate * d, params, direction)
    return params, opt_state


def global_norm(grads: Any) -> Array:
    """The length of the gradient, all parameters taken together."""
    return jnp.sqrt(sum((jnp.sum(jnp.square(x)) for x in jax.tree.leaves(grads)), jnp.zeros(())))


def follow(target: Params, online: Params, rate: float | Array) -> Params:
    """target + rate (online - target): Polyak averaging; a rate of 1 copies, 0 leaves the target as it is."""
    return jax.tree.map(lambda t, x: t + rate * (x - t), target, online)


def adam(epsilon: float = 1e-8) -> optax.GradientTransformation:
    """Adam's direction (Kingma & Ba, 2015), without a rate."""
    return optax.scale_by_adam(eps=epsilon)


def laprop(
    clip: float | Array, epsilon: float | Array = 1e-20, decay: float = 0.99, momentum: float = 0.9
) -> optax.GradientTransformation:
    """The direction of LaProp with adaptive gradient clipping, without a rate.

    A unit's gradient is shortened to `clip` times its weights (Brock et al., 2021, https://arxiv.org/abs/2102.06171,
    eq. 3), divided by the root of its mean square, and only then averaged over time (Ziyin et al., 2020,
    https://arxiv.org/abs/2002.04839, algorithm 1). So a momentum never outlives the scale that it was measured on.
    """
    return optax.chain(
        optax.adaptive_grad_clip(clip),
        optax.scale_by_rms(decay=decay, eps=epsilon, eps_in_sqrt=False, bias_correction=True),
        optax.ema(momentum, debias=True),
    )


def scale_gradient(x: Array, scale: float) -> Array:
    """x itself, through which only `scale` of a gradient passes."""
    return scale * x + jax.lax.stop_gradient((1 - scale) * x)
