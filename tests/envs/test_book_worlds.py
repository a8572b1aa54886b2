"""The two small worlds of examples 6.7 and 13.1: their states, masks, rewards and exact values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.envs.grid import GridState
from bellmax.envs.maximisation_bias import A, B, MaximisationBias
from bellmax.envs.short_corridor import ShortCorridor

KEY = jax.random.key(0)


def at(cell):
    return GridState(jnp.int32(cell), jnp.int32(0))


@pytest.mark.parametrize("actions", [1, 2, 10])
def test_a_has_two_actions_and_b_as_many_as_asked_for(actions):
    env = MaximisationBias(actions=actions)
    assert env.spec.action.n == max(actions, 2)
    assert env.spec.obs.legal.n == max(actions, 2)
    state, seen = env.reset(KEY)
    assert int(seen.obs) == A
    assert seen.legal.tolist() == [True, True] + [False] * (max(actions, 2) - 2)
    state, left = env.step(state, jnp.int32(0), KEY)
    assert (int(left.obs.obs), float(left.reward), float(left.discount), bool(left.last)) == (B, 0.0, 1.0, False)
    assert left.obs.legal.sum() == actions
    _, over = env.step(state, jnp.int32(actions - 1), KEY)
    assert (int(over.obs.obs), float(over.discount), bool(over.last)) == (2, 0.0, True)
    assert float(over.reward) != 0
    _, right = env.step(at(A), jnp.int32(1), KEY)
    assert (int(right.obs.obs), float(right.reward), float(right.discount), bool(right.last)) == (2, 0.0, 0.0, True)


def test_noise_has_the_mean_and_deviation_of_the_book():
    env = MaximisationBias()
    rewards = np.asarray(
        jax.vmap(lambda key: env.step(at(B), jnp.int32(3), key)[1].reward)(jax.random.split(KEY, 10_000))
    )
    assert abs(rewards.mean() + 0.1) < 0.04  # four standard errors
    assert abs(rewards.std() - 1) < 0.03
    quiet = MaximisationBias(mean=0.5, deviation=0.0).step(at(B), jnp.int32(0), KEY)[1]
    assert float(quiet.reward) == 0.5
    with pytest.raises(ValueError, match=r"MaximisationBias.deviation = -1"):
        MaximisationBias(deviation=-1.0)


def test_the_corridor_is_reversed_in_the_middle():
    env = ShortCorridor()
    moves = {(0, 0): 0, (0, 1): 1, (1, 0): 2, (1, 1): 0, (2, 0): 1, (2, 1): 3}
    for (cell, action), new in moves.items():
        state, outcome = env.step(at(cell), jnp.int32(action), KEY)
        assert (int(state.cell), int(outcome.obs), float(outcome.reward)) == (new, 0, -1.0)
        assert (bool(outcome.last), float(outcome.discount)) == (new == 3, 1.0 - (new == 3))
    _, cut = ShortCorridor(max_steps=1).step(at(0), jnp.int32(0), KEY)
    assert (bool(cut.last), float(cut.discount)) == (True, 1.0)


def test_values_of_the_corridor_are_the_books():
    """v(p) = (2 p - 4) / (p (1 - p)), from the three equations; its maximum is at 2 - sqrt 2."""
    env = ShortCorridor()
    for p in (0.05, 0.5, 0.95):
        np.testing.assert_allclose(env.value(p), (2 * p - 4) / (p * (1 - p)), rtol=1e-9)
    assert round(env.value(0.95), 0) == -44  # the two epsilon-greedy policies of the example
    assert round(env.value(0.05), 0) == -82
    best = 2 - np.sqrt(2)
    assert round(env.value(best), 3) == -11.657
    assert env.value(best) > max(env.value(best - 0.01), env.value(best + 0.01))


def test_playing_gives_the_value():
    env, p = ShortCorridor(), 0.6

    def play(key):
        def step(carry, key):
            state, score, alive = carry
            state, outcome = env.step(state, (jax.random.uniform(key) < p).astype(jnp.int32), key)
            return (state, score + outcome.reward * alive, alive & ~outcome.last), None

        return jax.lax.scan(step, (env.reset(key)[0], 0.0, True), jax.random.split(key, 200))[0][1]

    scores = np.asarray(jax.jit(jax.vmap(play))(jax.random.split(KEY, 3000)))
    assert abs(scores.mean() - env.value(p)) < 4 * scores.std() / np.sqrt(3000)


def test_text():
    assert MaximisationBias().text(at(A)) == "B@E"
    assert MaximisationBias().text(at(B)) == "@AE"
    assert ShortCorridor().text(at(1)) == ".@.G"
    assert ShortCorridor().render(at(1)).shape[2] == 3
