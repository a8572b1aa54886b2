"""What every algorithm must keep, whatever it learns: half of the cases; `test_contract_others` has the other half."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.catalogue import ALGORITHMS, algorithm_class
from bellmax.drivers import ingraph
from bellmax.drivers.fleet import unstack
from bellmax.drivers.learn import learn, learn_or_keep
from bellmax.runs import load, save
from tests.compiled import forget_if_many
from tests.contract.cases import CASES, OFFLINE


@pytest.fixture(params=CASES[::2], ids=lambda case: case.name, scope="module")
def case(request):
    yield request.param
    forget_if_many()


@pytest.fixture(scope="module")
def first(case):
    """What an algorithm begins with."""
    return start(case.algorithm, case.env, jax.random.key(1), case.num_envs).state


@pytest.fixture(scope="module")
def begun(case):
    """A run after two rounds that learned, and the batch of the next."""
    run = start(case.algorithm, case.env, jax.random.key(1), case.num_envs)
    rounds = jnp.int32(2 + case.algorithm.experience.waits(case.num_envs))
    run, _ = ingraph.advance(case.algorithm, case.env, run, rounds, jnp.int32(10**9))
    fresh, key = jax.jit(ingraph.last_batch)(case.algorithm, case.env, run)
    return run, sampled(case.algorithm, run.buffer, fresh, key)


start = jax.jit(ingraph.start, static_argnums=3)


@jax.jit
def sampled(algorithm, buffer, fresh, key):
    """The batch to learn from after a round of collecting."""
    return algorithm.experience.sample(algorithm.experience.add(buffer, fresh), fresh, key)


@jax.jit
def updated(algorithm, state, batch, key):
    """One update. What is compiled for a case is shared by its tests."""
    return algorithm.update(state, batch, key)


@jax.jit
def guarded(algorithm, state, buffer, fresh, key):
    """What is learned from a round with the guard against NaN, and without."""
    new, _, _, sound = learn_or_keep(algorithm, state, buffer, fresh, key)
    return new, sound, learn(algorithm, state, buffer, fresh, key)[0]


@pytest.fixture(scope="module")
def update(case):
    return functools.partial(updated, case.algorithm)


def bits(tree):
    """Every leaf as raw bytes, random keys as their data."""
    leaves = jax.tree.leaves(tree)
    keys = [jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) for x in leaves]
    return [np.asarray(jax.random.key_data(x) if key else x).tobytes() for x, key in zip(leaves, keys)]


def close(one, other, tolerance=1e-5):
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(x, y, atol=tolerance, rtol=tolerance)


def test_state_is_a_tree_of_arrays_that_keeps_its_shape(begun, first, update):
    batch = begun[1]
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(first))
    after, metrics = update(first, batch, jax.random.key(0))
    assert jax.tree.structure(after) == jax.tree.structure(first)
    assert [(x.shape, x.dtype) for x in jax.tree.leaves(after)] == [(x.shape, x.dtype) for x in jax.tree.leaves(first)]
    assert metrics
    assert all(np.isfinite(x).all() for x in metrics.values())


def test_learning_moves_the_parameters(begun, update):
    run, batch = begun
    after, _ = update(run.state, batch, jax.random.key(0))
    assert bits(after) != bits(run.state)


def test_jit_changes_nothing(case, begun, update):
    run, batch = begun
    with jax.disable_jit():
        plain = case.algorithm.update(run.state, batch, jax.random.key(3))
    close(plain, update(run.state, batch, jax.random.key(3)))


def test_many_seeds_under_vmap_are_the_seeds_one_by_one(case, begun):
    run, _ = begun
    together = jax.tree.map(lambda x: jnp.stack([x, x]), run)
    together = together._replace(key=jax.random.split(jax.random.key(5), 2))
    both, _ = ingraph.advance(
        case.algorithm, case.env, jax.tree.map(jnp.copy, together), jnp.int32(1), jnp.full(2, 10**9)
    )
    for index, single in enumerate(unstack(jax.tree.map(jnp.copy, together), 2)):
        alone, _ = ingraph.advance(case.algorithm, case.env, single, jnp.int32(1), jnp.int32(10**9))
        close(unstack(both.state, 2)[index], alone.state, 1e-4)


def test_the_key_decides_everything(case, begun, update):
    run, batch = begun
    assert bits(update(run.state, batch, jax.random.key(7))) == bits(update(run.state, batch, jax.random.key(7)))
    rounds = 20 if case.algorithm.experience.length == 1 else 1  # one step may come out alike
    keyed = [jax.tree.map(jnp.copy, run)._replace(key=jax.random.key(k)) for k in (0, 0, 1)]
    runs = [ingraph.advance(case.algorithm, case.env, run, jnp.int32(rounds), jnp.int32(10**9)) for run in keyed]
    assert bits(runs[0][0]) == bits(runs[1][0])
    assert bits(runs[0][0].state) != bits(runs[2][0].state)


def test_padding_changes_nothing(case, begun):
    """Steps of weight 0 behind the end, or samples of weight 0, filled with nonsense, leave the update as it was."""
    run, batch = begun
    axis = int(case.algorithm.experience.replays)
    batch = batch._replace(last=batch.last.at[-1].set(True))
    rows = jax.tree.map(lambda x: x[:, -2:] if axis else x[-2:], batch)
    nonsense = rows._replace(reward=rows.reward + 1e3, weight=jnp.zeros_like(rows.weight))
    padded = jax.tree.map(lambda x, y: jnp.concatenate([x, y], axis), batch, nonsense)
    one_piece = steady(case.algorithm)
    key = jax.random.key(0)
    expected, got = (updated(one_piece, run.state, b, key) for b in (batch, padded))
    close(expected[0], got[0], 2e-4)
    spoiled = padded._replace(weight=jnp.ones_like(padded.weight))  # the negative control: the nonsense counts
    with pytest.raises(AssertionError):
        close(expected[0], updated(one_piece, run.state, spoiled, key)[0], 2e-4)


def steady(algorithm):
    """The same without what a batch's size decides: one minibatch an epoch, nothing left out or picked by chance."""
    if hasattr(algorithm, "inner"):
        return algorithm.replace(inner=steady(algorithm.inner))
    same = {"minibatches": 1, "dropout": 0.0, "reanalysed": 0}
    return algorithm.replace(**{name: value for name, value in same.items() if hasattr(algorithm, name)})


def test_a_nan_in_the_rewards_shows_in_a_metric_and_the_state_is_kept(case, begun):
    run, _ = begun
    batch = jax.jit(ingraph.last_batch)(case.algorithm, case.env, run)[0]
    poisoned = batch._replace(reward=jnp.full_like(batch.reward, jnp.nan))
    add = jax.jit(lambda buffer: case.algorithm.experience.add(buffer, poisoned))
    buffer = run.buffer
    for _ in range(40):  # until a ring of 64 steps is full of it
        buffer = add(buffer)
    state, sound, unguarded = guarded(case.algorithm, run.state, buffer, poisoned, jax.random.key(0))
    assert not sound
    assert bits(state) == bits(run.state)
    assert bits(unguarded) != bits(run.state), "the control: without the guard it would be spoilt"
    new, sound, unguarded = guarded(case.algorithm, run.state, run.buffer, batch, jax.random.key(0))
    assert sound
    close(new, unguarded)


def test_a_run_that_was_saved_goes_on_bit_for_bit(case, begun, tmp_path):
    run, _ = begun
    save(tmp_path, 0, run, {})
    one, _ = ingraph.advance(case.algorithm, case.env, jax.tree.map(jnp.copy, run), jnp.int32(2), jnp.int32(10**9))
    again, _ = load(next(tmp_path.iterdir()), jax.eval_shape(lambda: run))
    for _ in range(2):  # and in two pieces
        again, _ = ingraph.advance(case.algorithm, case.env, again, jnp.int32(1), jnp.int32(10**9))
    assert bits(one) == bits(again)


def test_floats_change_without_compiling_again(case, begun, update):
    run, batch = begun
    update(run.state, batch, jax.random.key(0))
    compiled = updated._cache_size()
    floats = jax.tree.map(lambda x: x * 0.9, case.algorithm)
    updated(floats, run.state, batch, jax.random.key(0))
    assert updated._cache_size() == compiled


def test_every_algorithm_has_a_case():
    kinds = {type(algorithm_of(case.algorithm)) for case in CASES + OFFLINE}
    assert {algorithm_class(name) for name in ALGORITHMS} <= kinds


def algorithm_of(algorithm):
    """Without the wrappers around it."""
    return algorithm_of(algorithm.inner) if hasattr(algorithm, "inner") else algorithm
