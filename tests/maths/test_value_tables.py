"""Tables over observations and actions: shapes, and where an observation stands."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.tabular.q_learning import QLearning
from bellmax.core import Spec, Transition
from bellmax.maths import tables
from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete, sample

SPACES = {
    "number": (Discrete(5), (5,)),
    "numbers": (MultiDiscrete((3, 4)), (3, 4)),
    "switches": (MultiBinary(3), (2, 2, 2)),
    "tuple": ((Discrete(5), MultiDiscrete((2, 3))), (5, 2, 3)),
    "names": ({"b": Discrete(2), "a": Discrete(7)}, (7, 2)),  # JAX sorts the names
    "masked": (Masked(MultiDiscrete((3, 4)), MultiBinary(2)), (3, 4)),
}


@pytest.mark.parametrize("name", SPACES)
def test_an_observation_finds_its_own_row(name):
    space, shape = SPACES[name]
    assert tables.sizes(space) == shape
    assert tables.shape_of(Spec(space, Discrete(2))) == (*shape, 2)
    table = jnp.arange(2 * np.prod(shape)).reshape(*shape, 2)
    seen = jax.vmap(lambda key: sample(space, key))(jax.random.split(jax.random.key(0), 30))
    found, expected = tables.rows(table, seen), []
    for i in range(30):
        one = jax.tree.map(lambda x, i=i: x[i], seen)
        parts = np.concatenate([np.ravel(x) for x in jax.tree.leaves(one.obs if name == "masked" else one)])
        expected.append(np.asarray(table)[tuple(parts)])
        np.testing.assert_array_equal(table[tables.index(one)], expected[-1])
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(np.asarray(found)[:, 0])) > 3
    action = jnp.arange(30) % 2
    np.testing.assert_array_equal(table[tables.cells(seen, action)], np.asarray(found)[np.arange(30), action])


def test_masks_are_found_and_may_be_absent():
    legal = jnp.array([True, False])
    assert tables.legal_of(Masked(jnp.int32(0), legal)) is legal
    assert tables.legal_of(jnp.int32(0)) is None


def test_a_batch_is_laid_out_in_order_of_time():
    grid = jnp.arange(6.0).reshape(3, 2)
    obs = jnp.arange(12).reshape(3, 2, 2)
    batch = Transition(obs, grid, grid, grid, grid > 2, obs, {}, grid)
    flat = tables.each(batch)
    np.testing.assert_array_equal(flat.reward, np.arange(6))
    np.testing.assert_array_equal(flat.obs, np.arange(12).reshape(6, 2))
    again = tables.each(flat)  # replayed experience has one axis already
    np.testing.assert_array_equal(again.obs, flat.obs)


def test_what_has_no_table_is_refused_by_name():
    with pytest.raises(ValueError, match="a table needs Discrete, MultiDiscrete or MultiBinary observations"):
        tables.shape_of(Spec(Box((2,)), Discrete(2)))
    with pytest.raises(ValueError, match="a table needs Discrete actions"):
        tables.shape_of(Spec(Discrete(2), Box((1,))))


def test_changes_of_one_cell_stop_at_the_mean_of_their_targets():
    # 0.8 + 0.7 = 1.5 in cell (0, 1): both are divided by 1.5; 0.4 + 0.3 = 0.7 in cell (1, 1) stay; (0, 0) is alone
    cells = jnp.array([0, 0, 1, 1, 0]), jnp.array([1, 1, 1, 1, 0])
    steps = tables.together(cells, jnp.array([0.8, 0.7, 0.4, 0.3, 3.0]))
    np.testing.assert_allclose(steps, [0.8 / 1.5, 0.7 / 1.5, 0.4, 0.3, 1.0], rtol=1e-6)
    assert tables.together((jnp.array([2]),), jnp.array([1.5]))[0] == 1.5, "one alone is the user's own business"


def test_many_environments_do_not_make_q_learning_diverge():
    learner, spec = QLearning(learning_rate=0.5, gamma=0.0), Spec(Discrete(1), Discrete(1), 64)
    reward = jnp.linspace(-1.0, 3.0, 64)[None]
    zero, one = jnp.zeros((1, 64), jnp.int32), jnp.ones((1, 64))
    batch = Transition(zero, zero, reward, one, zero.astype(bool), zero, {}, one)
    state = learner.init(jax.random.key(0), spec)
    for _ in range(3):
        state, _ = learner.update(state, batch, jax.random.key(0))
    np.testing.assert_allclose(state.q, 1.0, atol=1e-5)  # the mean; added up, 64 * 0.5 would send it to 32, -960, ...
