"""Adapters: a model that begins as it was, learns in A and B alone, and can be had with or without them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.language.ppo_lm import PPOLM
from bellmax.language.adapters import Adapted, adapted, as_it_was, is_adapted, kept, merged, trained, without
from bellmax.language.scored import Scored
from bellmax.language.transformer import count
from tests.language import tiny
from tests.language.learners import CASES
from tests.paper.by_hand import by_name, quickly

KEY = jax.random.key(0)
TOKENS = jnp.arange(12).reshape(2, 6)
says = jax.jit(lambda model: model.logits(model(TOKENS)))


def with_learned_adapters(config=tiny.LLAMA, **how):
    """Adapters that are not 0."""
    model = adapted(KEY, tiny.model(config), rank=2, **how)
    learned = trained(model)[0]
    random = jax.tree.map(lambda x: 0.3 * jax.random.normal(jax.random.key(x.size), x.shape), learned)
    return eqx.combine(random, trained(model)[1])


@pytest.mark.parametrize("config", [tiny.LLAMA, tiny.GPT2], ids=["llama", "gpt2"])
def test_it_begins_as_the_model_that_it_adapts(config):
    model = tiny.model(config)
    new = adapted(KEY, model, rank=2)
    np.testing.assert_array_equal(says(new), says(model))
    each = 7 if config is tiny.LLAMA else 6  # maps in a layer: GPT-2 has no gate
    found = [x for x in jax.tree.leaves(new, is_leaf=lambda x: isinstance(x, Adapted)) if isinstance(x, Adapted)]
    assert len(found) == each * config.layers
    assert is_adapted(new)
    assert not is_adapted(model)


def test_by_hand():
    # W = (1, 1)', A = (2, 0)', B = 3, alpha / rank = 4: at x = (1, 5), x W + 4 x A B = 6 + 4 * 2 * 3 = 30
    base = eqx.tree_at(lambda m: m.weight, tiny.model().layers[0].attention.query, jnp.ones((2, 1)))
    assert Adapted(base, jnp.array([[2.0], [0.0]]), jnp.array([[3.0]]), 4.0)(jnp.array([1.0, 5.0])) == 30.0
    new = adapted(KEY, tiny.model(), rank=4, alpha=6.0).layers[0].attention.query
    assert new.scale == 1.5
    assert adapted(KEY, tiny.model(), rank=4).layers[0].attention.query.scale == 2.0
    assert (new.low.shape, new.high.shape) == ((16, 4), (4, 16))


@pytest.mark.parametrize("config", [tiny.LLAMA, tiny.GPT2], ids=["llama", "gpt2"])
def test_merged_is_adapted_and_without_is_what_it_was(config):
    model = with_learned_adapters(config)
    assert np.abs(says(model) - says(tiny.model(config))).max() > 0.1
    np.testing.assert_allclose(says(merged(model)), says(model), atol=2e-5)
    for plain in (merged(model), without(model)):
        assert jax.tree.structure(plain) == jax.tree.structure(tiny.model(config))
    np.testing.assert_array_equal(says(without(model)), says(tiny.model(config)))


def test_only_these_places_are_adapted():
    model = adapted(KEY, tiny.model(), rank=2, places=("query", "value"))
    names = set(by_name(trained(model)[0]))
    assert names == {f".layers[0].attention.{place}.{part}" for place in ("query", "value") for part in ("low", "high")}


def test_what_is_trained_and_what_the_optimiser_remembers():
    """A and B of rank 2 at the query map, 16 to 16: 64 numbers; with a head 17 more; of two models each by itself."""
    model = adapted(KEY, tiny.model(), rank=2, places=("query",))
    assert count(trained(model)[0]) == 64
    assert count(trained(tiny.model())[0]) == count(tiny.model())
    scored = Scored(KEY, model)
    assert count(trained(scored)[0]) == 64 + 17
    assert count(trained((model, scored, tiny.model()))[0]) == 64 + 64 + 17 + count(tiny.model())
    part, rest = trained(scored)
    assert jax.tree.structure(eqx.combine(part, rest)) == jax.tree.structure(scored)
    state = CASES["SFT"].algorithm.init(KEY, model)
    assert sum(x.size for x in jax.tree.leaves(state.opt_state)) == 2 * 64 + 1  # two moments and a clock


@pytest.mark.parametrize("name", ["SFT", "DPO", "KTO", "GRPO", "RLOO"])
def test_learners_move_the_adapters_alone(name):
    """The reference is the model as it was, with what its adapters had learned, and keeps no more than adapters."""
    case, model = CASES[name], with_learned_adapters()
    state = case.algorithm.init(KEY, model)
    after = quickly(case.algorithm.update)(state, case.batch(), KEY)[0]
    if name != "SFT":
        assert count(state.before) == count(trained(model)[0]) < count(model) / 2
        np.testing.assert_array_equal(says(as_it_was(after.model, after.before)), says(model))
    assert np.abs(says(after.model) - says(model)).max() > 1e-3
    for path, x in by_name(after.model).items():
        moved = np.abs(x - by_name(model)[path]).max()
        assert (moved > 1e-5) if path.endswith((".low", ".high")) else (moved == 0), path


def test_ppo_moves_adapters_and_heads_alone_whichever_of_its_models_has_adapters():
    case, plain, model = CASES["PPO"], tiny.model(), with_learned_adapters()
    scored = Scored(jax.random.key(1), model)
    for policy, critic in ((model, None), (plain, scored)):
        state = case.algorithm.init(KEY, policy, critic)
        after = quickly(case.algorithm.update)(state, case.batch(), KEY)[0]
        before, now = by_name(state.both), by_name(after.both)
        for path, x in now.items():
            whole = not is_adapted(state.both.policy if path.startswith(".policy") else state.both.critic)
            learns = whole or path.endswith((".low", ".high")) or ".score." in path
            moved = np.abs(x - before[path]).max()
            assert (moved > 0) if learns else (moved == 0), path
        np.testing.assert_array_equal(says(as_it_was(after.model, after.before)), says(policy))


@pytest.mark.parametrize("name", ["DPO", "PPO"])
def test_an_adapted_model_learns_what_its_loss_says(name):
    """The loss of the adapted model is that of the model with its adapters merged into it."""
    case, model = CASES[name], with_learned_adapters()
    first = []
    for policy in (model, merged(model)):
        more = (tiny.critic(),) if isinstance(case.algorithm, PPOLM) else ()
        state = case.algorithm.init(KEY, policy, *more)
        metrics = quickly(case.algorithm.update)(state, case.batch(), KEY)[1]
        first.append({name: x for name, x in metrics.items() if name != "grad_norm"})
    for metric, x in first[0].items():
        np.testing.assert_allclose(first[1][metric], x, rtol=1e-4, atol=1e-4, err_msg=metric)


def test_kept_is_a_copy():
    model = tiny.model()
    copy = jax.jit(kept)(model)
    assert jax.tree.structure(copy) == jax.tree.structure(model)
    np.testing.assert_array_equal(says(as_it_was(jax.tree.map(jnp.zeros_like, model), copy)), says(model))


def test_what_cannot_be_adapted_is_refused():
    with pytest.raises(ValueError, match=r"places = \['nose'\]: rank 1 or more, of query, key"):
        adapted(KEY, tiny.model(), rank=2, places=("nose",))
    with pytest.raises(ValueError, match="rank = 0"):
        adapted(KEY, tiny.model(), rank=0)
    with pytest.raises(ValueError, match="the model has adapters: merge them into it first"):
        adapted(KEY, adapted(KEY, tiny.model(), rank=2), rank=2)
