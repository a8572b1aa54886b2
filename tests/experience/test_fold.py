"""A window seen as one step, against a loop over it."""

import jax
import numpy as np
import pytest

from bellmax.core import Transition
from bellmax.experience import fold
from bellmax.maths.returns import n_step_reward
from tests.experience.made_up import quick


def windows(seed, n, batch=60):
    draw = np.random.default_rng(seed)
    terminated, cut = draw.random((2, n, batch)) < 0.25
    obs = np.float32(draw.normal(size=(n + 1, batch, 2)))
    return Transition(
        obs[:-1], draw.integers(3, size=(n, batch)), np.float32(draw.normal(size=(n, batch))),
        np.float32(np.where(terminated, 0, draw.choice([1, -1], (n, batch)))), terminated | cut, obs[1:],
        {"steps": np.full((n, batch), 7.0)}, np.float32(draw.random((n, batch))),
    )  # fmt: skip


def slowly(window, gamma, i):
    """R0 + d0 R1 + d0 d1 R2 + ..., up to and with the first step that is last; d = gamma * discount."""
    reward, discount = 0.0, 1.0
    for t in range(len(window.reward)):
        reward += discount * window.reward[t, i]
        discount *= gamma * window.discount[t, i]
        if window.last[t, i]:
            break
    return reward, discount, t


@pytest.mark.parametrize("n", [1, 2, 5])
def test_fold_is_the_loop(n):
    gamma, batch = 0.9, windows(n, n)
    folded = jax.tree.map(np.asarray, quick(fold)(batch, gamma))
    pieces = quick(n_step_reward)(batch.reward, gamma * batch.discount, batch.last)
    pieces = [np.asarray(x) for x in pieces]
    ends = set()
    for i in range(batch.reward.shape[1]):
        reward, discount, final = slowly(batch, gamma, i)
        ends.add(final)
        assert folded.reward[i] == pytest.approx(reward, abs=1e-5)
        assert folded.discount[i] == pytest.approx(discount, abs=1e-6)
        assert [float(x[i]) for x in pieces] == pytest.approx([reward, discount, final], abs=1e-5)
        assert (folded.next_obs[i] == batch.next_obs[final, i]).all()
        assert folded.last[i] == batch.last[final, i]
        for name in ("obs", "action", "weight"):
            assert (getattr(folded, name)[i] == getattr(batch, name)[0, i]).all()
    assert ends == set(range(n)), "windows end everywhere"
    assert folded.extras["steps"].shape == (60,)


def test_what_lies_behind_the_end_has_no_say():
    batch = windows(0, 4)
    over = np.cumsum(batch.last, axis=0) - batch.last > 0
    nonsense = batch._replace(
        reward=np.where(over, np.nan, batch.reward), discount=np.where(over, np.nan, batch.discount)
    )
    one, other = (quick(fold)(x, 0.9) for x in (batch, nonsense))
    assert over.any()
    np.testing.assert_array_equal(one.reward, other.reward)
    np.testing.assert_array_equal(one.discount, other.discount)
