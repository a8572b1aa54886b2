"""What every learner of language models shares: precision, pieces that fit the memory, the optimiser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array

from bellmax.core import Frozen
from bellmax.language.adapters import as_it_was, trained
from bellmax.language.log_probs import Scores, token_scores
from bellmax.language.texts import Texts
from bellmax.language.transformer import Transformer
from bellmax.maths.optimise import descend, global_norm
from bellmax.maths.schedules import at
from bellmax.ranges import Count, NonNegative, Positive, Unit

Metrics = dict[str, Array]
Loss = Callable[[Any, Any], tuple[Array, Metrics]]


class Compute(Frozen):
    """How it is computed. None of this changes what is learned, but for rounding."""

    dtype: Literal["float32", "bfloat16"] = "float32"  # of the layers; weights, softmax, sums and losses are float32
    remember: bool = True  # keep what is inside the layers for the way back; if not, compute it again
    rows: Count | None = None  # rows that go through the model at once; None: all

    def scores(self, model: Transformer, texts: Texts, temperature: float | Array = 1.0) -> Scores:
        """Log-probabilities and entropies of all tokens, [batch, time] each."""
        return token_scores(
            model,
            texts.tokens,
            texts.segments,
            temperature=temperature,
            dtype=jnp.dtype(self.dtype),
            remember=self.remember,
        )

    def in_pieces(self, function: Callable[[Any], Any], batch: Any) -> Any:
        """function(batch) for a function of rows, `rows` of them at once."""
        pieces = self._cut(batch)
        if pieces is None:
            return function(batch)
        answer = jax.lax.map(function, pieces)
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), answer)

    def gradient(self, loss: Loss, model: Any, batch: Any) -> tuple[Any, Metrics]:
        """The gradient of loss(model, batch)[0] in what is trained of the model, and the metrics.

        Loss and metrics must be sums over rows: the pieces are added up.
        """
        part, rest = trained(model)

        def of(part: Any, piece: Any) -> tuple[Array, Metrics]:
            return loss(eqx.combine(part, rest), piece)

        differentiate, pieces = jax.grad(of, has_aux=True), self._cut(batch)
        if pieces is None:
            return differentiate(part, batch)
        first = jax.eval_shape(differentiate, part, jax.tree.map(lambda x: x[0], pieces))
        nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), first)

        def add(sums: Any, piece: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, sums, differentiate(part, piece)), None

        return jax.lax.scan(add, nothing, pieces)[0]

    def _cut(self, batch: Any) -> Any:
        """[batch, ...] -> [pieces, rows, ...]; None if one piece is all. ValueError if rows do not divide it."""
        size = len(jax.tree.leaves(batch)[0])
        if self.rows is None or self.rows >= size:
            return None
        if size % self.rows:
            raise ValueError(f"compute.rows = {self.rows}: it must divide the {size} rows of a gradient step.")
        return jax.tree.map(lambda x: x.reshape(-1, self.rows, *x.shape[1:]), batch)


class AdamW(Frozen):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019, https://arxiv.org/abs/1711.05101)."""

    b1: Unit = 0.9  # of the mean of gradients
    b2: Unit = 0.999  # of the mean of their squares
    epsilon: Positive = 1e-8  # added to the root
    decay: NonNegative = 0.0  # of matrices, for each unit of learning rate
    max_grad_norm: Positive = 1.0  # gradients longer than this are shortened to it

    @property
    def transformation(self) -> optax.GradientTransformation:
        """The direction, without a rate."""
        return optax.chain(
            optax.clip_by_global_norm(self.max_grad_norm),
            optax.scale_by_adam(self.b1, self.b2, self.epsilon),
            optax.add_decayed_weights(self.decay, mask=_matrices),
        )

    def init(self, model: Any) -> Any:
        """The state for what is trained of a model."""
        return self.transformation.init(trained(model)[0])

    def step(self, model: Any, grads: Any, opt_state: Any, learning_rate: float | Array) -> tuple[Any, Any, Metrics]:
        """One step -> model, opt_state, metrics."""
        part, rest = trained(model)
        part, opt_state = descend(self.transformation, part, grads, opt_state, learning_rate)
        return eqx.combine(part, rest), opt_state, {"grad_norm": global_norm(grads)}


def _matrices(tree: Any) -> Any:
    return jax.tree.map(lambda x: x.ndim > 1, tree)


class Learned(NamedTuple):
    """A model that is being trained, for learners that need no more."""

    model: Any
    opt_state: Any
    steps: Array  # updates so far: the clock of the schedules


def stepped(learner: Any, state: Any, batch: Any) -> tuple[Any, Metrics]:
    """One gradient step on `learner.loss(model, batch)` -> state, metrics. The clock of the schedules stands still."""
    grads, metrics = learner.compute.gradient(learner.loss, state.model, batch)
    rate = at(learner.learning_rate, state.steps)
    model, opt_state, more = learner.optimiser.step(state.model, grads, state.opt_state, rate)
    return state._replace(model=model, opt_state=opt_state), metrics | more


class Referred(NamedTuple):
    """A model that is being trained beside the one that it was, which it must not leave."""

    model: Transformer
    before: Any  # what is trained of the model, as it was; None: no reference
    opt_state: Any
    steps: Array  # updates so far: the clock of the schedules

    @property
    def reference(self) -> Transformer:
        """The model as it was. With adapters there are no two copies of what they sit on."""
        return as_it_was(self.model, self.before)
