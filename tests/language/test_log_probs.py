"""Log-probabilities and entropies of tokens, against a full softmax; how many logits are there at once is no matter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.language.log_probs import score, token_scores
from tests.language import tiny


def slow_scores(model, texts, temperature):
    """-> log p and entropy of every token with one before it in its document; 0 elsewhere."""
    logits = np.asarray(jax.jit(lambda m: m.logits(m(texts.tokens, texts.segments)))(model), np.float64) / temperature
    log_prob, entropy = np.zeros(texts.tokens.shape), np.zeros(texts.tokens.shape)
    for row in range(len(texts.tokens)):
        for time in range(1, texts.tokens.shape[1]):
            p = np.exp(logits[row, time - 1] - logits[row, time - 1].max())
            p /= p.sum()
            log_prob[row, time] = np.log(p[texts.tokens[row, time]])
            entropy[row, time] = -(p * np.log(p)).sum()
    return log_prob, entropy


@pytest.mark.parametrize("config", [tiny.LLAMA, tiny.GPT2], ids=["llama", "gpt2"])
def test_they_are_those_of_a_full_softmax(config):
    model, texts = tiny.model(config), tiny.texts(tiny.rows(), before=1, after=1)
    scores = jax.jit(token_scores)(model, texts.tokens, texts.segments, temperature=0.7)
    log_prob, entropy = slow_scores(model, texts, 0.7)
    np.testing.assert_allclose(scores.log_prob, log_prob, atol=1e-5)
    np.testing.assert_allclose(scores.entropy, entropy, atol=1e-5)
    assert (scores.log_prob[:, 0] == 0).all()


def test_a_small_budget_changes_neither_them_nor_their_slopes():
    model, texts = tiny.model(), tiny.texts(tiny.rows())

    def total(model, budget):
        scores = token_scores(model, texts.tokens, texts.segments, temperature=0.7, budget=budget)
        return (scores.log_prob * texts.weight).sum() + 0.3 * (scores.entropy * texts.weight).sum()

    whole, grads = jax.jit(jax.value_and_grad(total), static_argnums=1)(model, 2**24)
    for budget in (1, 7 * tiny.VOCABULARY):  # one row of logits at once; 7, which do not divide what there is
        small, slopes = jax.jit(jax.value_and_grad(total), static_argnums=1)(model, budget)
        np.testing.assert_allclose(small, whole, rtol=1e-6)
        for x, y in zip(jax.tree.leaves(slopes), jax.tree.leaves(grads)):
            np.testing.assert_allclose(x, y, atol=2e-5)


def shapes(jaxpr):
    """Of every array of a program, in its loops and checkpoints too."""
    found = []
    for equation in jaxpr.eqns:
        found += [tuple(out.aval.shape) for out in equation.outvars]
        inside = jax.tree.leaves(equation.params, is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr"))
        for inner in inside:
            if hasattr(inner, "eqns") or hasattr(inner, "jaxpr"):
                found += shapes(inner if hasattr(inner, "eqns") else inner.jaxpr)
    return found


def test_the_array_of_all_logits_is_never_made():
    """Neither forwards nor backwards; with a budget that has room for it, it is, as one sees."""
    model, tokens = tiny.model(), jnp.ones((8, 65), int)  # 8 * 64 * 20 = 10,240 logits

    def loss(model, budget):
        return token_scores(model, tokens, budget=budget).log_prob.sum()

    def most(budget):
        made = shapes(jax.make_jaxpr(jax.grad(lambda model: loss(model, budget)))(model).jaxpr)
        return max(np.prod(shape) for shape in made if shape and shape[-1] == tiny.VOCABULARY)

    assert most(2**24) == 8 * 64 * 20
    assert most(100 * tiny.VOCABULARY) == 100 * tiny.VOCABULARY


def test_a_score_by_hand():
    # p = (1/2, 1/4, 1/4): log p of the second is -1.3862944, the entropy 1/2 log 2 + 1/2 log 4 = 1.0397208
    log_prob, entropy = score(jnp.log(jnp.array([2.0, 1.0, 1.0])), jnp.int32(1))
    np.testing.assert_allclose((log_prob, entropy), (-1.3862944, 1.0397208), rtol=1e-6)
