"""M learns on from what is stored: what ends an episode is foreseen, where it can be, and V stays as it is."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bellmax as bm
from bellmax.experience.ring import Ring
from bellmax.foreseeing import _learned, coded

ALGORITHM = bm.WorldModels(latent=2, hidden=4, memory_size=8, mixtures=2)
FOOD = bm.Sequences(batch=16, window=4, burn_in=0)


def stored(ends):
    """20 rows of 8 environments, the actions by chance; an episode ends where `ends(actions)` says so."""
    key = jax.random.key(0)
    action = jax.random.randint(key, (20, 8), 0, 2)
    pictures = jax.random.randint(key, (20, 8, 10, 10, 1), 0, 256).astype(jnp.uint8)
    last = ends(action)
    steps = bm.Transition(
        pictures, action, jnp.ones((20, 8)), 1.0 - last, last, pictures[:, ::-1], {}, jnp.ones((20, 8))
    )
    return Ring(steps, jnp.int32(20))


@pytest.fixture(scope="module")
def state():
    spec = bm.Spec(bm.Box((10, 10, 1), 0, 255, "uint8"), bm.Discrete(2), 8)
    return jax.jit(lambda key: ALGORITHM.init(key, spec))(jax.random.key(1))


def learned(state, ends):
    buffer = coded(state, stored(ends))
    keys = jax.random.split(jax.random.key(2), 301)
    return _learned(ALGORITHM, FOOD, state, buffer, keys, jnp.float32(0.02))


def test_pictures_are_coded_once_each_as_v_sees_them(state):
    buffer = stored(lambda action: action > 1)
    got = coded(state, buffer).steps
    for row in (0, 19):
        for pictures, codes in ((buffer.steps.obs, got.obs), (buffer.steps.next_obs, got.next_obs)):
            for x, y in zip(state.autoencoder.encode(pictures[row]), codes):
                np.testing.assert_allclose(x, y[row], atol=1e-5)


def test_ends_are_foreseen_where_they_can_be(state):
    new, metrics = learned(state, lambda action: action == 1)
    assert metrics["end_error"][-30:].mean() < 0.05, "an episode ends where action 1 is taken"
    foreseen = [new.memory(new.memory.begin(), jnp.zeros(2), jnp.int32(action))[1] for action in (0, 1)]
    over = [float(jax.nn.sigmoid(each.end)) for each in foreseen]
    assert over[0] < 0.1
    assert over[1] > 0.9
    for name in ("autoencoder", "controller"):
        assert all(map(np.array_equal, *map(jax.tree.leaves, (getattr(state, name), getattr(new, name)))))
    coins = jax.random.bernoulli(jax.random.key(7), 0.5, (20, 8))
    _, control = learned(state, lambda action: coins)
    assert control["end_error"][-30:].mean() > 0.3, "what nothing tells cannot be foreseen"


def test_only_what_world_models_stored_is_foreseen():
    run = SimpleNamespace(algorithm=bm.PPO(), tree=SimpleNamespace(buffer=None))
    with pytest.raises(ValueError, match="only what WorldModels has learned and stored"):
        bm.foresee(run)
