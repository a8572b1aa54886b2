"""Every prediction algorithm comes to the exact values of small random worlds, and of one with a time limit."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.tabular.batch_prediction import BatchPrediction
from bellmax.algorithms.tabular.lambda_return import LambdaReturn
from bellmax.algorithms.tabular.mc_prediction import MCPrediction
from bellmax.algorithms.tabular.n_step_td import NStepTD
from bellmax.algorithms.tabular.off_policy_mc_prediction import OffPolicyMCPrediction
from bellmax.algorithms.tabular.td_lambda import TDLambda
from bellmax.algorithms.tabular.td_prediction import TDPrediction
from bellmax.core import Env, Outcome, Spec
from bellmax.drivers import ingraph
from bellmax.experience import Episodes, Steps
from bellmax.maths.chance import choose
from bellmax.spaces import Discrete

STATES, ACTIONS, GAMMA, ENVS = 5, 3, 0.9, 64


class Place(NamedTuple):
    state: jax.Array
    time: jax.Array


def model(seed):
    """P [states, actions, states + 1], the last being the end, and R [states, actions]."""
    draw = np.random.default_rng(seed)
    return draw.dirichlet(np.ones(STATES + 1) / 2, (STATES, ACTIONS)), draw.normal(size=(STATES, ACTIONS))


class RandomWorld(Env):
    """A random model. An episode begins anywhere, and is cut after `limit` steps, which the values know nothing of."""

    seed: int = 0
    limit: int = 30

    @property
    def spec(self):
        return Spec(Discrete(STATES + 1), Discrete(ACTIONS))

    def reset(self, key):
        state = jax.random.randint(key, (), 0, STATES)
        return Place(state, jnp.int32(0)), state

    def step(self, env_state, action, key):
        p, r = (jnp.asarray(x, jnp.float32) for x in model(self.seed))
        state, time = choose(p[env_state.state, action], key), env_state.time + 1
        over = state == STATES
        outcome = Outcome(state, r[env_state.state, action], 1.0 - over, over | (time >= self.limit))
        return Place(state, time), outcome


def exact(seed, policy):
    """(I - gamma P) v = r, and 0 at the end."""
    p, r = model(seed)
    p, r = np.einsum("sa,sat->st", policy, p[:, :, :STATES]), np.einsum("sa,sa->s", policy, r)
    return np.append(np.linalg.solve(np.eye(STATES) - GAMMA * p, r), 0)


EVENLY = np.full((STATES, ACTIONS), 1 / ACTIONS)
GIVEN = ((0.1, 0.2, 0.7), (0.5, 0.5, 0.0), (0.3, 0.4, 0.3), (1.0, 0.0, 0.0), (0.2, 0.6, 0.2), (0.4, 0.3, 0.3))
MILD = ((0.2, 0.2, 0.6), (0.4, 0.4, 0.2), (0.3, 0.4, 0.3), (0.6, 0.2, 0.2), (0.2, 0.5, 0.3), (0.4, 0.3, 0.3))
FALLING = {"gamma": GAMMA, "learning_rate": 1.0, "decay": 0.8}
SMALL = {"gamma": GAMMA, "learning_rate": 0.0005}
EPISODES = {"experience": Episodes(30)}
CASES = {
    "td": TDPrediction(**FALLING, experience=Steps(2)),
    "n-step": NStepTD(**SMALL, n=3),
    "accumulating": TDLambda(**SMALL, lambda_=0.7, traces="accumulating"),
    "replacing": TDLambda(**SMALL, lambda_=0.7, traces="replacing", experience=Steps(5)),
    "dutch": TDLambda(**SMALL, lambda_=0.7, traces="dutch"),
    "lambda-return": LambdaReturn(**FALLING, **EPISODES, lambda_=0.7),
    "monte-carlo-first": MCPrediction(gamma=GAMMA, first_visit=True, **EPISODES),
    "monte-carlo-every": MCPrediction(gamma=GAMMA, **EPISODES),
    "batch-td": BatchPrediction(gamma=GAMMA, **EPISODES, tolerance=1e-4, capacity=40_000),
    "batch-mc": BatchPrediction(gamma=GAMMA, **EPISODES, target="mc", capacity=40_000),
}


def learned(algorithm, env):
    """V after enough rounds, and after the batch methods' memory is full."""
    rounds = 20 if isinstance(algorithm, BatchPrediction) else 100
    steps = ENVS * (4000 if isinstance(algorithm.experience, Steps) else rounds * algorithm.experience.length)
    train = jax.jit(lambda key: ingraph.train(algorithm, env, key, steps=steps, num_envs=ENVS)[0])
    return np.asarray(train(jax.random.key(0)).state.v)


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_the_given_policy(name):
    """Monte Carlo counts 0 behind the limit, which with gamma 0.9 after 30 steps is 4% of little."""
    v = learned(CASES[name].replace(policy=GIVEN), RandomWorld(seed=1))
    assert np.abs(v - exact(1, np.array(GIVEN[:STATES]))).max() < 0.1
    assert np.abs(v - exact(1, EVENLY)).max() > 0.3, "the control: the random policy's values are another thing"


def test_without_a_policy_all_actions_are_taken_evenly():
    v = learned(TDPrediction(**FALLING), RandomWorld(seed=2))
    np.testing.assert_allclose(v, exact(2, EVENLY), atol=0.1)


@pytest.mark.parametrize("weighted", [False, True])
def test_one_policy_acts_and_another_is_valued(weighted):
    settings = {"gamma": GAMMA, "experience": Episodes(30), "weighted": weighted, "policy": MILD}
    v = learned(OffPolicyMCPrediction(**settings), RandomWorld(seed=1))
    assert np.abs(v - exact(1, np.array(MILD[:STATES]))).max() < 0.12
    assert np.abs(v - exact(1, EVENLY)).max() > 0.25


class Corridor(Env):
    """One state for ever, a reward of 1 each step, and a limit of 3 steps: v = 1 / (1 - gamma) for who knows better."""

    @property
    def spec(self):
        return Spec(Discrete(1), Discrete(1))

    def reset(self, key):
        return jnp.int32(0), jnp.int32(0)

    def step(self, env_state, action, key):
        return env_state + 1, Outcome(jnp.int32(0), jnp.float32(1), jnp.float32(1), env_state == 2)


def in_the_corridor(algorithm):
    train = jax.jit(lambda key: ingraph.train(algorithm, Corridor(), key, steps=100 * algorithm.experience.length)[0])
    return np.asarray(train(jax.random.key(0)).state.v)


HALF, THREE = {"gamma": 0.5, "learning_rate": 0.5}, {"experience": Episodes(3)}
LIMITED = {
    "td": TDPrediction(**HALF),
    "n-step": NStepTD(**HALF, n=2),
    "accumulating": TDLambda(**HALF | {"learning_rate": 0.3}, traces="accumulating"),
    "replacing": TDLambda(**HALF, traces="replacing"),
    "dutch": TDLambda(**HALF, traces="dutch"),
    "lambda-return": LambdaReturn(**HALF, **THREE),
    "batch-td": BatchPrediction(gamma=0.5, **THREE),
}


@pytest.mark.parametrize("name", LIMITED)
def test_a_time_limit_is_no_end(name):
    np.testing.assert_allclose(in_the_corridor(LIMITED[name]), [2.0], atol=1e-3)


@pytest.mark.parametrize(
    "algorithm", [MCPrediction(gamma=0.5, **THREE), BatchPrediction(gamma=0.5, target="mc", **THREE)]
)
def test_but_monte_carlo_sees_nothing_behind_it(algorithm):
    """(1.75 + 1.5 + 1) / 3, the mean over the three visits of an episode."""
    np.testing.assert_allclose(in_the_corridor(algorithm), [4.25 / 3], atol=1e-5)
