"""Logged steps: windows within episodes, evenly drawn; returns to go and times by hand; nothing is collected."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.core import Transition
from bellmax.experience import Dataset, fold, log
from tests.experience.made_up import is_from, quick

ENDS = (2, 3, 8)  # episodes of 3, 1, 5 steps, and 2 that nothing ends
TERMINATED = (3, 8)


def numbered(count=11):
    """Step number t shows t, and pays 2^t (small enough to be exact)."""
    number = np.arange(count)
    last = np.isin(number, ENDS)
    discount = np.float32(~np.isin(number, TERMINATED))
    shown = np.float32(number)
    return Transition(
        shown, np.int32(number), 2.0 ** np.float32(number), discount, last, shown + 0.5, {}, np.ones(count, np.float32)
    )


def drawn(dataset, steps=None, seed=0, learned=7):
    buffer = jax.tree.map(jnp.asarray, log(numbered() if steps is None else steps))._replace(learned=jnp.int32(learned))
    return jax.tree.map(np.asarray, quick(dataset.sample)(buffer, None, jax.random.key(seed)))


def test_returns_to_go_and_times_are_those_of_the_episode():
    found = log(numbered()).steps
    to_go = [2**0 + 2**1 + 2**2, 2**1 + 2**2, 2**2, 2**3, *(2**9 - 2**t for t in range(4, 9)), 2**9 + 2**10, 2**10]
    assert found.extras["return_to_go"].tolist() == to_go
    assert found.extras["time"].tolist() == [0, 1, 2, 0, 0, 1, 2, 3, 4, 0, 1]
    assert found.last.tolist() == [t in (*ENDS, 10) for t in range(11)], "the data end is the end of an episode"
    assert found.discount[10] == 1, "but not the end of the world"


def test_every_step_is_drawn_as_often_and_carries_the_clock():
    batch = drawn(Dataset(batch=22_000))
    assert batch.reward.shape == (1, 22_000)
    assert is_from(np.bincount(np.int64(batch.obs[0]), minlength=11), np.full(11, 1 / 11))
    assert not is_from(np.bincount(np.int64(batch.obs[0]), minlength=11), np.r_[np.full(10, 0.099), 0.01])
    assert (batch.extras["steps"] == 7).all()
    assert (batch.weight == 1).all()


@pytest.mark.parametrize("pad", ["behind", "before"])
def test_windows_stay_in_their_episode(pad):
    n, ends = 4, np.array([*ENDS, 10])
    batch = drawn(Dataset(batch=300, n=n, pad=pad))
    for k in range(300):
        real = batch.weight[:, k] > 0
        first = int(batch.obs[real, k][0])
        end = int(ends[ends >= first][0])
        assert batch.obs[real, k].tolist() == list(range(first, min(first + n, end + 1)))
        padding = np.flatnonzero(~real)
        assert padding.tolist() == (list(range(real.sum(), n)) if pad == "behind" else list(range(n - real.sum())))
        assert (batch.extras["time"][real, k] == batch.extras["time"][real, k][0] + np.arange(real.sum())).all()
    assert (batch.weight == 0).any(), "some were cut"


def test_folded_windows_bootstrap_behind_a_time_limit_and_not_behind_a_termination():
    batch = drawn(Dataset(batch=500, n=3))
    folded = fold(jax.tree.map(jnp.asarray, batch), 0.5)
    at = {int(x): k for k, x in enumerate(batch.obs[0])}
    one = jax.tree.map(lambda x: np.asarray(x)[at[1]], folded)  # steps 1 and 2, cut by a time limit
    assert (one.reward, one.discount, one.next_obs) == (2 + 0.5 * 4, 0.25, 2.5)
    over = jax.tree.map(lambda x: np.asarray(x)[at[7]], folded)  # steps 7 and 8, which terminates
    assert (over.reward, over.discount) == (2**7 + 0.5 * 2**8, 0)


def test_without_data_it_says_what_to_do():
    with pytest.raises(ValueError, match=r"there are none; pass data="):
        Dataset().empty(None, 1)
