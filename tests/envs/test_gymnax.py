"""The Gymnax adaptor: ends told apart, the true final observation, no reset inside the step."""

import importlib.metadata
import sys

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.envs import CartPole
from bellmax.envs.adaptors.gymnax import Gymnax, names
from bellmax.envs.cart_pole import CartPoleState
from bellmax.spaces import Box, Discrete, confine, sample, zeros

pytest.importorskip("gymnax")
INSTALLED = importlib.metadata.version("gymnax")
if int(INSTALLED.split(".")[0]) < 1:
    pytest.skip(f"gymnax {INSTALLED} is older than 1.0", allow_module_level=True)

KEY = jax.random.key(0)
DOWNLOADS = {"MNISTBandit-bsuite"}


def test_cart_pole_terminates_with_the_true_final_observation():
    env = Gymnax("CartPole-v1")
    state, obs = env.reset(KEY)
    ours, step, our_step = CartPoleState(obs, jnp.int32(0)), jax.jit(env.step), jax.jit(CartPole().step)
    length, outcome = 0, None
    while outcome is None or not outcome.last:
        length += 1
        state, outcome = step(state, jnp.int32(1), KEY)
        ours, expected = our_step(ours, jnp.int32(1), KEY)
        np.testing.assert_allclose(outcome.obs, expected.obs, atol=1e-5)
        assert (float(outcome.reward), float(outcome.discount)) == (1, float(expected.discount))
        assert bool(outcome.last) == bool(expected.last)
    # Pushed to one side the pole falls within a dozen steps, and the last observation shows it fallen.
    assert 5 < length < 15
    assert float(outcome.discount) == 0
    assert abs(float(outcome.obs[2])) > 0.2094
    np.testing.assert_array_equal(outcome.obs, [state.x, state.x_dot, state.theta, state.theta_dot])


def test_cart_pole_is_cut_short_without_being_terminated():
    env = Gymnax("CartPole-v1", {"max_steps_in_episode": 3})
    state, _ = env.reset(KEY)
    found = []
    for action in (0, 1, 0):
        state, outcome = env.step(state, jnp.int32(action), KEY)
        found.append((bool(outcome.last), float(outcome.discount)))
    assert found == [(False, 1), (False, 1), (True, 1)]
    assert int(state.time) == 3  # nothing was reset
    # Terminated and out of time at once is a termination.
    _, outcome = env.step(state.replace(theta=jnp.float32(1), time=jnp.int32(2)), jnp.int32(0), KEY)
    assert (bool(outcome.last), float(outcome.discount)) == (True, 0)


def test_no_reset_is_computed_in_a_step():
    # CartPole's dynamics draw nothing, its reset does: random bits in the step would be those of a reset.
    env = Gymnax("CartPole-v1")
    state, _ = env.reset(KEY)
    assert "random_bits" in str(jax.make_jaxpr(env.reset)(KEY))
    assert "random_bits" not in str(jax.make_jaxpr(env.step)(state, jnp.int32(0), KEY))


def test_specs_are_translated():
    spec = Gymnax("CartPole-v1").spec
    assert spec.action == Discrete(2)
    theirs = gymnasium.make("CartPole-v1").observation_space
    low, high = spec.obs.bounds()
    np.testing.assert_allclose(low, theirs.low, rtol=1e-6)
    np.testing.assert_allclose(high, theirs.high, rtol=1e-6)  # unbounded is inf, not the largest float
    assert Gymnax("Pendulum-v1").spec.action == Box((1,), -2.0, 2.0)
    assert Gymnax("Breakout-MinAtar").spec.obs == Box((10, 10, 4), 0.0, 1.0)
    assert Gymnax("FrozenLake-misc").spec.obs == Discrete(16)


@pytest.mark.parametrize("name", sorted(set(names()) - DOWNLOADS))
def test_every_environment_keeps_to_its_spec(name):
    env = Gymnax(name)
    reset = jax.eval_shape(env.reset, KEY)
    action = jax.eval_shape(lambda: confine(env.spec.action, sample(env.spec.action, KEY)))
    step = jax.eval_shape(env.step, reset[0], action, KEY)
    shapes = lambda tree: [(x.shape, x.dtype, x.weak_type) for x in jax.tree.leaves(tree)]
    assert shapes(step[0]) == shapes(reset[0])
    expected = [(x.shape, x.dtype) for x in jax.tree.leaves(zeros(env.spec.obs))]
    for obs in (reset[1], step[1].obs):
        assert [(x.shape, x.dtype) for x in jax.tree.leaves(obs)] == expected
    assert [(x.shape, x.dtype) for x in step[1][1:]] == [((), np.float32), ((), np.float32), ((), bool)]


def test_it_passes_through_jit_as_an_argument_or_a_constant_and_through_vmap():
    env, keys = Gymnax("Pendulum-v1"), jax.random.split(KEY, 4)
    assert hash(env) == hash(Gymnax("Pendulum-v1"))
    traces = []

    def roll(env, key):
        traces.append(env)
        state, _ = env.reset(key)
        return env.step(state, jnp.ones(1), key)[1].obs

    plain = roll(env, keys[0])
    traced, static = jax.jit(roll), jax.jit(roll, static_argnums=0)
    for _ in range(2):
        np.testing.assert_allclose(traced(Gymnax("Pendulum-v1"), keys[0]), plain, rtol=1e-5)
        np.testing.assert_allclose(static(Gymnax("Pendulum-v1"), keys[0]), plain, rtol=1e-5)
    assert len(traces) == 3  # the plain call, and one compilation each
    many = jax.vmap(roll, (None, 0))(env, keys)
    np.testing.assert_allclose(many, [roll(env, key) for key in keys], rtol=1e-5)


def test_an_environment_made_inside_jit_leaks_nothing():
    # FrozenLake's and DeepSea's constructors make arrays.
    def first(key):
        return Gymnax("FrozenLake-misc", {"success_rate": 0.9}).reset(key)[1]

    assert int(jax.jit(first)(KEY)) == 0
    assert int(first(KEY)) == 0


def test_options_reach_the_parameters_and_the_constructor():
    assert Gymnax("DeepSea-bsuite", {"size": 5}).spec.obs.shape == (5, 5)
    large = Gymnax("FrozenLake-misc", {"map_name": "8x8", "max_steps_in_episode": 2})
    assert large.spec.obs == Discrete(64)
    state, _ = large.reset(KEY)
    lasts = []
    for _ in range(2):
        state, outcome = large.step(state, jnp.int32(0), KEY)
        lasts.append(bool(outcome.last))
    assert lasts == [False, True]
    assert Gymnax("CartPole-v1", (("gravity", 1.0), ("length", 2.0))) == Gymnax(
        "CartPole-v1", {"length": 2.0, "gravity": 1.0}
    )


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="'Cartpole-v1': there is no such environment; did you mean CartPole-v1"):
        Gymnax("Cartpole-v1")
    with pytest.raises(ValueError, match="has no option 'gravty': did you mean 'gravity'"):
        Gymnax("CartPole-v1", {"gravty": 1.0})


def test_a_missing_gymnax_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnax", None)
    with pytest.raises(ImportError, match=r'pip install "bellmax\[gymnax\]"'):
        names()


def test_a_gymnax_that_is_too_old_says_so(monkeypatch):
    from gymnax.environments.environment import Environment

    monkeypatch.delattr(Environment, "is_truncated")
    with pytest.raises(ImportError, match=r'older than 1.0 .* pip install "bellmax\[gymnax\]"'):
        names()
