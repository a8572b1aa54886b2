"""A dream is an environment; controllers are judged in it as in any other, and evolution makes them better."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bellmax as bm
from bellmax.algorithms.models.world_models import controlled
from bellmax.dreaming import _evolved, dreamt_scores
from bellmax.envs import CartPole
from bellmax.models.mixture_dream import MixtureDream
from bellmax.networks.mixture_memory import MixtureMemory

KEY = jax.random.key(0)
ALGORITHM = bm.WorldModels(latent=2, memory_size=4, mixtures=3)
MEMORY = MixtureMemory(jax.random.key(1), 2, bm.Discrete(2), 4, 3)


def dream(end=-20.0, **fields):
    """A world that pays by what it remembers of the actions, and ends with a fixed chance."""
    bias = lambda m: (m.end.bias, m.end.weight, m.reward.weight)
    memory = eqx.tree_at(bias, MEMORY, (jnp.array([end]), jnp.zeros((4, 1)), 20 * MEMORY.reward.weight))
    return MixtureDream(memory, jnp.array([[0.5, -0.5], [1.0, 2.0]]), **fields)


def test_a_step_is_what_the_memory_foresees():
    world = dream(temperature=0.0)
    state, obs = world.reset(KEY)
    assert any(np.array_equal(state.z, start) for start in world.starts)
    np.testing.assert_array_equal(obs, [*state.z, 0, 0, 0, 0])
    after, outcome = jax.jit(world.step)(state, jnp.int32(1), KEY)
    memory, foreseen = world.memory(state.memory, state.z, jnp.int32(1))
    part = np.argmax(foreseen.z.logits, -1)
    np.testing.assert_allclose(after.z, np.asarray(foreseen.z.mean)[[0, 1], part], atol=5e-3)
    np.testing.assert_allclose(outcome.obs, [*after.z, *memory[0]], atol=1e-6)
    np.testing.assert_allclose(outcome.reward, foreseen.reward, rtol=1e-5)
    assert (float(outcome.discount), bool(outcome.last)) == (1.0, False)


def test_it_ends_as_often_as_it_is_foreseen():
    world = dream(end=float(np.log(0.25 / 0.75)))
    state, _ = world.reset(KEY)
    step = jax.jit(jax.vmap(world.step, (None, None, 0)))
    outcome = step(state, jnp.int32(0), jax.random.split(KEY, 2000))[1]
    assert abs(np.mean(outcome.last) - 0.25) < 0.04
    np.testing.assert_array_equal(outcome.discount, 1 - outcome.last)


def test_a_score_is_the_sum_of_rewards_until_the_end():
    world = dream(temperature=0.0).replace(starts=jnp.ones((1, 2)))
    controller = jax.random.normal(KEY, (7, 2))
    score = dreamt_scores(world, controller[None], KEY, 3, 5)
    state, obs = world.reset(KEY)
    total = 0.0
    for _ in range(5):  # at temperature 0 and without ends nothing is left to chance
        state, outcome = world.step(state, controlled(controller, obs, bm.Discrete(2)), KEY)
        obs, total = outcome.obs, total + float(outcome.reward)
    np.testing.assert_allclose(score, [total], rtol=0.02, atol=0.05)
    over = dream(end=20.0).replace(starts=jnp.ones((1, 2)))  # over after a step: only the first counts
    one = dreamt_scores(over, controller[None], KEY, 3, 5)
    action = controlled(controller, over.reset(KEY)[1], bm.Discrete(2))
    np.testing.assert_allclose(one, [over.memory(over.memory.begin(), jnp.ones(2), action)[1].reward], rtol=1e-4)


def test_evolution_finds_what_pays_in_the_dream():
    world = dream(temperature=0.5)

    def found(generations, remembers=True):
        return _evolved(ALGORITHM, world, 0, generations, 8, 4, 20, 0.5, remembers)

    nothing, better, blind = found(0), found(8), found(8, remembers=False)
    scores = dreamt_scores(world, np.stack([nothing, better, blind]), jax.random.key(9), 32, 20)
    assert not nothing.any(), "the control, without a generation, is where the search begins"
    assert scores[1] > scores[0] + 1
    assert not blind[2:-1].any(), "who does not remember gives h no weight"
    assert blind[:2].any()
    assert better[2:-1].any()


def test_only_what_world_models_learned_is_dreamt():
    run = SimpleNamespace(algorithm=bm.PPO(), plan=SimpleNamespace(env=CartPole()))
    with pytest.raises(ValueError, match="only what WorldModels has learned"):
        bm.dream(run)
