"""The seed decides every episode, in one process or in many; groups start alike."""

import gymnasium as gym
import numpy as np
import pytest

from bellmax.envs.adaptors.gymnasium import HostedSource


class Noisy(gym.Env):
    """Shows a random number of its own generator, and ends at random."""

    def __init__(self):
        self.observation_space, self.action_space = gym.spaces.Box(0, 1, (1,)), gym.spaces.Discrete(2)

    def _show(self):
        return self.np_random.random(1).astype(np.float32)

    def reset(self, *, seed=None, options=None):
        gym.Env.reset(self, seed=seed)
        return self._show(), {}

    def step(self, action):
        return self._show(), 0.0, bool(self.np_random.random() < 0.3), False, {}


def episodes(source, num_envs, seed, group=1, resets=1):
    hosted = source.vector(num_envs, seed)
    starts = [hosted.reset(group) for _ in range(resets)]
    rows = [hosted.step(np.zeros(num_envs, int)) for _ in range(20)]
    hosted.close()
    return starts, np.stack([row.obs for row in rows])


def test_the_seed_decides_everything():
    source = HostedSource(Noisy)
    (first,), rows = episodes(source, 4, seed=5)
    (again,), rows_again = episodes(source, 4, seed=5)
    (other,), _ = episodes(source, 4, seed=6)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(rows, rows_again)
    assert len({*first.ravel().tolist(), *other.ravel().tolist()}) == 8  # neighbouring seeds share no environment


def test_sync_and_async_are_the_same():
    (sync,), sync_rows = episodes(HostedSource(Noisy, vectorization="sync"), 2, seed=1)
    (apart,), apart_rows = episodes(HostedSource(Noisy, vectorization="async"), 2, seed=1)
    np.testing.assert_array_equal(sync, apart)
    np.testing.assert_array_equal(sync_rows, apart_rows)


def test_groups_start_alike_and_every_reset_is_new():
    starts, _ = episodes(HostedSource(Noisy), 6, seed=2, group=3, resets=2)
    numbers = np.stack(starts)[..., 0].reshape(2, 2, 3)
    assert (numbers == numbers[..., :1]).all()
    assert len(np.unique(numbers)) == 4  # two groups, two resets: four different starts
    with pytest.raises(ValueError, match="num_envs = 6 cannot be split in groups of 4"):
        HostedSource(Noisy).vector(6, seed=0).reset(group=4)
