"""Steps laid out as rows: each sight once, terminal sights and first sights included."""

import jax.numpy as jnp
import numpy as np

from bellmax.core import Transition
from bellmax.models.rows import lay_out

NOT_SEEN = -1.0


def steps(obs, action, reward, discount, last, next_obs, weight=None):
    weight = np.ones(len(obs)) if weight is None else np.array(weight, float)
    columns = (np.array(x, np.float32) for x in (obs, action, reward, discount))
    return Transition(*columns, np.array(last, bool), np.array(next_obs, np.float32), {}, np.float32(weight))


def laid_out(given, before=9.0):
    rows = lay_out(given, given.action[:, None], jnp.array([before]))
    return rows._replace(action=rows.action[:, 0])


def test_without_an_end_it_is_every_sight_and_the_one_behind():
    """Sights 10 11 12, then 13. Each comes with the action that led to it; the first with the one before."""
    rows = laid_out(steps([10, 11, 12], [1, 2, 3], [5, 6, 7], [1, 1, 1], [0, 0, 0], [11, 12, 13]))
    np.testing.assert_array_equal(rows.obs, [10, 11, 12, 13])
    np.testing.assert_array_equal(rows.action, [9, 1, 2, 3])
    np.testing.assert_array_equal(rows.reward, [0, 5, 6, 7])
    np.testing.assert_array_equal(rows.arrived, [0, 1, 1, 1])
    assert not rows.begins.any()
    assert not rows.ends.any()


def test_an_end_has_a_row_and_what_follows_begins_from_nothing():
    """10 11 | 20 21 22 | 30: it terminates at 11; an episode is cut, not terminated, at 22; the last is left out."""
    given = steps(
        [10, 20, 21, 30, 31], [1, 2, 3, 4, 5], [5, 6, 7, 8, 8], [0, 1, 1, 1, 1], [1, 0, 1, 0, 0], [11, 21, 22, 31, 32]
    )
    rows = laid_out(given)
    np.testing.assert_array_equal(rows.obs, [10, 11, 20, 21, 22, 30])
    np.testing.assert_array_equal(rows.action, [9, 1, 0, 2, 3, 0])
    np.testing.assert_array_equal(rows.reward, [0, 5, 0, 6, 7, 0])
    np.testing.assert_array_equal(rows.discount, [1, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(rows.begins, [0, 0, 1, 0, 0, 1])
    np.testing.assert_array_equal(rows.ends, [0, 1, 0, 0, 1, 0])
    np.testing.assert_array_equal(rows.arrived, [0, 1, 0, 1, 1, 0])


def test_padding_cuts_as_an_end_does():
    """A row of weight 0 (such as an environment that is being reset) leads nowhere."""
    given = steps([10, 11, 20], [1, 2, 3], [5, 99, 7], [0, 1, 1], [1, 0, 0], [11, 20, 21], [1, 0, 1])
    rows = laid_out(given)
    np.testing.assert_array_equal(rows.obs, [10, 11, 11, 20])
    np.testing.assert_array_equal(rows.weight, [1, 1, 0, 0])
    longer = [[*x, y] for x, y in zip(given[:4], (21, 4, 8, 1))]
    unpadded = laid_out(steps(*longer, [1, 0, 0, 0], [11, 20, 21, 22]))
    np.testing.assert_array_equal(unpadded.begins, [0, 0, 1, 0, 0])


def test_an_episode_of_one_step_takes_two_rows_each():
    rows = laid_out(steps([1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4], [0] * 4, [1] * 4, [-1, -2, -3, -4]))
    np.testing.assert_array_equal(rows.obs, [1, -1, 2, -2, 3])
    np.testing.assert_array_equal(rows.begins, [0, 0, 1, 0, 1])
    np.testing.assert_array_equal(rows.discount, [1, 0, 1, 0, 1])
