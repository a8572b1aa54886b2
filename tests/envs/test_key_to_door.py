"""Key to door by hand, and how often chance opens it."""

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.envs.key_to_door import KeyToDoor

ENV, LEFT, DOWN, RIGHT, UP = KeyToDoor(), 0, 1, 2, 3


@jax.jit
def played(actions):
    """Actions [15] -> what was seen [15, 4], paid, and when it ended."""

    def step(env_state, action):
        env_state, outcome = ENV.step(env_state, action, jax.random.key(0))
        return env_state, outcome

    return jax.lax.scan(step, ENV.reset(jax.random.key(0))[0], actions)[1]


def test_the_door_opens_for_who_picked_up_the_key():
    obs = ENV.reset(jax.random.key(0))[1]
    assert obs.tolist() == [0, 1, 0, 1]
    there, away = [RIGHT, RIGHT, LEFT, LEFT, UP], [UP, LEFT, DOWN, DOWN, DOWN]
    seen = played(jnp.array(there + away + there))
    assert seen.obs[:3].tolist() == [[0, 1, 1, 1], [0, 1, 2, 0], [0, 1, 1, 0]], "the key is gone from where it was"
    assert seen.obs[4:8].tolist() == [[1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]], "walls hold"
    assert seen.obs[9].tolist() == [2, 1, 0, 1], "a door, and no word of the key"
    assert seen.reward[:12].tolist() == [0.0] * 11 + [1.0]
    assert seen.last[:12].tolist() == [False] * 11 + [True]
    assert seen.discount[11] == 0
    without = played(jnp.array(away + away + there))
    assert without.obs[9:14].tolist() == seen.obs[9:14].tolist()
    assert without.reward.sum() == 0
    assert np.flatnonzero(without.last).tolist() == [14]


def test_chance_opens_it_in_three_of_a_hundred_episodes():
    """A walk that enters one cell within 5 steps has a probability p by counting all 4^5 walks; both rooms: p^2."""
    hits = 0
    for walk in np.ndindex(*[4] * 5):
        row, column = 1, 0
        for move in walk:
            row = min(max(row + (0, 1, 0, -1)[move], 0), 2)
            column = min(max(column + (-1, 0, 1, 0)[move], 0), 2)
            if (row, column) == (1, 2):
                hits += 1
                break
    exact = (hits / 4**5) ** 2
    assert 0.02 < exact < 0.04
    walks = jax.random.randint(jax.random.key(0), (20_000, 15), 0, 4)
    found = jax.jit(jax.vmap(lambda actions: (played(actions).reward).max()))(walks).mean()
    assert abs(float(found) - exact) < 4 * (exact / 20_000) ** 0.5


def test_it_can_be_drawn():
    assert ENV.text(ENV.reset(jax.random.key(0))[0]) == "...\n@.k\n..."
