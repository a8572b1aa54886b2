"""The contract of what learns from logged steps: that of all algorithms, kept in the offline driver."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.core import Spec, Transition
from bellmax.drivers import offline
from bellmax.drivers.fleet import stack, unstack
from bellmax.experience import log
from bellmax.runs import load, save
from bellmax.spaces import sample
from tests.compiled import forget_if_many
from tests.contract import test_contract
from tests.contract.cases import OFFLINE
from tests.contract.test_contract import (  # noqa: F401
    bits,
    close,
    test_floats_change_without_compiling_again,
    test_jit_changes_nothing,
    test_learning_moves_the_parameters,
    test_padding_changes_nothing,
    test_state_is_a_tree_of_arrays_that_keeps_its_shape,
    update,
)
from tests.experience.made_up import quick


@pytest.fixture(params=OFFLINE, ids=lambda case: case.name, scope="module")
def case(request):
    yield request.param
    forget_if_many()


def made_up(spec, count=40):
    """Steps of nobody's: terminations, time limits, anything seen and anything done."""
    draw, keys = np.random.default_rng(0), [jax.random.split(jax.random.key(k), count) for k in range(3)]
    spaces = spec.obs, spec.obs, spec.action
    obs, next_obs, action = quick(lambda: [jax.vmap(functools.partial(sample, s))(k) for s, k in zip(spaces, keys)])()
    last = draw.random(count) < 0.2
    discount = np.float32(~(last & (draw.random(count) < 0.5)))
    reward, weight = np.float32(draw.normal(size=count)), np.ones(count, np.float32)
    steps = Transition(obs, action, reward, discount, last, next_obs, {}, weight)
    return jax.tree.map(jnp.asarray, log(jax.tree.map(np.asarray, steps)))


@pytest.fixture(scope="module")
def logged(case):
    return made_up(case.env.spec)


@pytest.fixture(autouse=True, scope="module")
def compiled_fast():
    """What the tests of all algorithms compile, compiled fast."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("updated", "guarded"):
            patch.setattr(test_contract, name, quick(getattr(test_contract, name).__wrapped__))
        yield


@pytest.fixture(scope="module")
def advance(case, logged):
    tick = quick(lambda run: offline.tick(case.algorithm, logged, run)[0])

    def rounds(run, count):
        for _ in range(count):
            run = tick(run)
        return run

    return rounds


@pytest.fixture(scope="module")
def beginning(case, logged):
    """A run before its first update."""
    spec = Spec(case.env.spec.obs, case.env.spec.action)
    return quick(lambda key: offline.start(case.algorithm, logged, spec, key))(jax.random.key(1))


@pytest.fixture(scope="module")
def first(beginning):
    return beginning.state


@pytest.fixture(scope="module")
def begun(case, logged, beginning, advance):
    """A run after two updates, and the batch of the next."""
    run = advance(beginning, 2)
    buffer, fresh, key = offline.served(case.algorithm, logged, run)
    return run, case.algorithm.experience.sample(buffer, fresh, key)


def test_many_seeds_under_vmap_are_the_seeds_one_by_one(case, logged, begun, advance):
    runs = [begun[0]._replace(key=key) for key in jax.random.split(jax.random.key(5), 2)]
    both, _ = quick(lambda run: offline.one_round(case.algorithm, logged, run))(stack(runs))
    for one, alone in zip(unstack(both.state, 2), runs):
        close(one, advance(alone, 1).state, 1e-4)


def test_the_key_decides_everything(begun, advance):
    one, same, other = (advance(begun[0]._replace(key=jax.random.key(k)), 2) for k in (0, 0, 1))
    assert bits(one) == bits(same)
    assert bits(one.state) != bits(other.state)


def test_a_run_that_was_saved_goes_on_bit_for_bit(begun, advance, tmp_path):
    save(tmp_path, 0, begun[0], {})
    again, _ = load(next(tmp_path.iterdir()), jax.eval_shape(lambda: begun[0]))
    for _ in range(2):
        again = advance(again, 1)
    assert bits(advance(begun[0], 2)) == bits(again)


def test_a_nan_in_the_rewards_shows_in_a_metric_and_the_state_is_kept(case, logged, begun):
    run, key = begun[0], jax.random.key(0)
    spoil = lambda x: jnp.full_like(x, jnp.nan) if jnp.issubdtype(x.dtype, jnp.floating) else x
    extras = {name: spoil(x) for name, x in logged.steps.extras.items()}
    poisoned = logged.steps._replace(reward=jnp.full_like(logged.steps.reward, jnp.nan), extras=extras)
    fresh = offline.served(case.algorithm, logged, run)[1]
    state, sound, unguarded = test_contract.guarded(
        case.algorithm, run.state, logged._replace(steps=poisoned), fresh, key
    )
    assert not sound
    assert bits(state) == bits(run.state)
    spoiled = any(not np.isfinite(x).all() for x in jax.tree.leaves(unguarded) if np.issubdtype(x.dtype, np.floating))
    assert spoiled or case.name.startswith("bc"), "the control: without the guard it would be spoilt; BC sees no reward"
    new, sound, unguarded = test_contract.guarded(case.algorithm, run.state, logged, fresh, key)
    assert sound
    close(new, unguarded)
