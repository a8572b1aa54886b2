"""Steps that do not follow each other, against a list."""

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.core import Transition
from bellmax.experience import loose_steps
from tests.experience.made_up import is_from

CAPACITY = 7


def some(first, weight):
    """Steps numbered from `first`."""
    number = first + np.arange(len(weight), dtype=np.float32)
    weight = np.float32(weight)
    return Transition(number, np.int32(number), -number, weight, weight > 0, number[:, None] + 0.5, {}, weight)


def test_what_counts_is_kept_and_the_newest_overwrite_the_oldest():
    draw, write = np.random.default_rng(0), jax.jit(loose_steps.write)
    example = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), some(0, [1]))
    kept, listed = loose_steps.empty(example, CAPACITY), []
    for batch in range(12):
        fresh = some(10 * batch, draw.random(5) < 0.6)
        kept = write(kept, fresh)
        listed = (listed + [float(x) for x, weight in zip(fresh.obs, fresh.weight) if weight])[-CAPACITY:]
        assert int(kept.held) == len(listed)
        there = np.asarray(kept.steps.obs)[: len(listed)]
        assert sorted(there) == sorted(listed)
        np.testing.assert_array_equal(np.asarray(kept.steps.next_obs)[: len(there), 0], there + 0.5)
        np.testing.assert_array_equal(np.asarray(kept.steps.reward)[: len(there)], -there)
        assert (np.asarray(kept.steps.weight)[: len(there)] == 1).all()


def test_all_that_is_there_is_drawn_evenly_and_nothing_else():
    example = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), some(0, [1]))
    kept = loose_steps.write(loose_steps.empty(example, CAPACITY), some(1, [1, 0, 1, 1, 0]))
    drawn = np.asarray(loose_steps.draw(kept, jax.random.key(0), 3000).obs)
    counts = [(drawn == number).sum() for number in (1, 3, 4)]
    assert sum(counts) == 3000
    assert is_from(counts, np.full(3, 1 / 3))
    assert not is_from([900, 900, 1200], np.full(3, 1 / 3)), "the control"
    assert jnp.isfinite(loose_steps.draw(loose_steps.empty(example, 3), jax.random.key(0), 2).obs).all()
