"""What the prediction algorithms have to do with each other, exactly."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.tabular.lambda_return import LambdaReturn
from bellmax.algorithms.tabular.mc_prediction import MCPrediction
from bellmax.algorithms.tabular.n_step_td import NStepTD
from bellmax.algorithms.tabular.off_policy_mc_prediction import OffPolicyMCPrediction
from bellmax.algorithms.tabular.td_lambda import TDLambda
from bellmax.algorithms.tabular.td_prediction import TDPrediction
from bellmax.core import Spec, Transition
from bellmax.experience import Episodes
from bellmax.spaces import Discrete, Masked, MultiBinary
from tests.tabular.streams import SPEC, pieces, rows_of, steps, stream, whole_episodes

SETTINGS = {"gamma": 0.9, "initial": 0.5}
KEY = jax.random.key(0)


def after(algorithm, batches, spec=SPEC):
    """V after each batch."""
    state, update, values = algorithm.init(KEY, spec), jax.jit(algorithm.update), []
    for batch in batches:
        state, _ = update(state, batch, KEY)
        values.append(np.asarray(state.v))
    return values


def differ(one, other):
    return np.abs(np.array(one) - np.array(other)).max() > 0.01


def test_one_step_methods_are_one():
    batches = [b for b in pieces(stream(0, 20), 20) if b.weight.any()]
    expected = after(TDPrediction(**SETTINGS, learning_rate=0.3), batches)
    np.testing.assert_allclose(after(NStepTD(**SETTINGS, n=1, learning_rate=0.3), batches), expected, atol=1e-6)
    for traces in ("accumulating", "replacing", "dutch"):
        algorithm = TDLambda(**SETTINGS, lambda_=0.0, learning_rate=0.3, traces=traces)
        np.testing.assert_allclose(after(algorithm, batches), expected, atol=1e-6)
    assert differ(after(algorithm.replace(lambda_=0.2), batches), expected)
    assert differ(after(NStepTD(**SETTINGS, n=2, learning_rate=0.3), batches), expected)


def test_returns_with_lambda_1_or_very_many_steps_are_monte_carlo():
    """Where every episode terminates. n-step returns longer than any episode change V at its end, in the same order."""
    batches = [whole_episodes(seed, terminating=True) for seed in range(3)]
    expected = after(MCPrediction(**SETTINGS, experience=Episodes(9), learning_rate=0.3, decay=0.0), batches)
    returns = LambdaReturn(**SETTINGS, experience=Episodes(9), learning_rate=0.3, lambda_=1.0)
    np.testing.assert_allclose(after(returns, batches), expected, atol=1e-6)
    assert differ(after(returns.replace(lambda_=0.9), batches), expected)
    first = [jax.tree.map(lambda x: x[:, :1], batch) for batch in batches]  # alone: together they end at other times
    alone = SPEC._replace(num_envs=1)
    expected = after(MCPrediction(**SETTINGS, experience=Episodes(9), learning_rate=0.3, decay=0.0), first, alone)
    np.testing.assert_allclose(after(NStepTD(**SETTINGS, n=9, learning_rate=0.3), first, alone), expected, atol=1e-6)


def test_a_time_limit_is_where_they_part():
    batches = [whole_episodes(3)]
    assert (batches[0].discount[batches[0].last & (batches[0].weight > 0)] == 1).any()
    monte_carlo = MCPrediction(**SETTINGS, experience=Episodes(9), learning_rate=0.3, decay=0.0)
    returns = LambdaReturn(**SETTINGS, experience=Episodes(9), learning_rate=0.3, lambda_=1.0)
    assert differ(after(monte_carlo, batches), after(returns, batches))


@pytest.mark.parametrize("lambda_", [0.6, 1.0])
def test_backward_and_forward_view_agree_off_line(lambda_):
    """Sutton & Barto, section 12.2: over an episode in which V is left alone, accumulating traces and lambda-returns
    make the same changes. What V changes by for an infinitely small step size is the derivative by it, at 0."""
    batch = whole_episodes(4)

    def slope(algorithm):
        def v(rate):
            return algorithm.replace(learning_rate=rate).update(algorithm.init(KEY, SPEC), batch, KEY)[0].v

        return jax.jit(lambda: jax.jvp(v, (0.0,), (1.0,))[1])()

    traces = slope(TDLambda(**SETTINGS, lambda_=lambda_, traces="accumulating"))
    returns = slope(LambdaReturn(**SETTINGS, experience=Episodes(9), lambda_=lambda_))
    np.testing.assert_allclose(traces, returns, atol=1e-5)
    assert differ(slope(TDLambda(**SETTINGS, lambda_=lambda_, traces="replacing")), returns)


def online_lambda_returns(episode, horizon, values, lambda_, alpha, gamma):
    """Section 12.4: all updates up to `horizon` done again with what is known there. values[k] is w_k of horizon k."""
    w = values[0].copy()
    for t in range(horizon):
        w[episode[t][0]] += alpha * (truncated_return(episode, t, horizon, values, lambda_, gamma) - w[episode[t][0]])
    return w


def truncated_return(episode, t, horizon, values, lambda_, gamma):
    """Eq. 12.9, the n-step return bootstrapping from w of time t + n - 1 (eq. 7.1)."""

    def n_step(n):
        _, _, d, _, s2, _, _ = episode[t + n - 1]
        rewards = sum(gamma**k * episode[t + k][1] for k in range(n))
        return rewards + gamma**n * d * values[t + n - 1][s2]

    rest = horizon - t
    return (1 - lambda_) * sum(lambda_ ** (n - 1) * n_step(n) for n in range(1, rest)) + lambda_ ** (rest - 1) * n_step(
        rest
    )


@pytest.mark.parametrize(("lambda_", "alpha"), [(0.0, 0.2), (0.6, 0.2), (0.6, 0.9), (1.0, 0.9)])
def test_true_online_td_is_the_online_lambda_return_algorithm(lambda_, alpha):
    """At every single step, over two episodes, one of which ends by a time limit."""
    alone, kinds = SPEC._replace(num_envs=1), []
    algorithm = TDLambda(**SETTINGS, lambda_=lambda_, learning_rate=alpha, traces="dutch")
    state, update = algorithm.init(KEY, alone), jax.jit(algorithm.update)
    for seed in (5, 4):
        batch = jax.tree.map(lambda x: x[:, :1], whole_episodes(seed))
        episode = [row[0] for row in rows_of(batch) if row[0][5]]
        assert len(episode) > 4
        kinds.append(episode[-1][2])
        values = [np.asarray(state.v, np.float64).reshape(-1)]
        for t in range(len(episode)):
            state, _ = update(state, steps(batch, t, t + 1), KEY)
            values.append(online_lambda_returns(episode, t + 1, values, lambda_, alpha, 0.9))
            np.testing.assert_allclose(state.v.reshape(-1), values[-1], atol=2e-5)
    assert sorted(kinds) == [0.0, 1.0]


# --- importance sampling ---------------------------------------------------------------------------------------------

# Two steps: from state 0 an action leads to state 1 or 2, and from there to the end. A reward for every pair.
REWARD = np.array([[1.0, -2.0], [3.0, 0.5], [-1.0, 4.0]])
TARGET, BEHAVIOUR = ((0.9, 0.1), (0.2, 0.8), (0.5, 0.5)), ((0.5, 0.5), (0.25, 0.75), (0.5, 0.5))
TINY = Spec(Discrete(3), Discrete(2))
GAMMA = 0.8


def value_of(policy):
    v = [0.0, *[np.dot(policy[s], REWARD[s]) for s in (1, 2)]]
    return np.array([np.dot(policy[0], REWARD[0] + GAMMA * np.array(v[1:])), *v[1:]])


def trajectory(first, second):
    """The episode [2] that two actions make, and its probability under the behaviour."""
    cell = np.array([0, 1 + first], np.int32)
    action = np.array([first, second], np.int32)
    ratio = [TARGET[s][a] / BEHAVIOUR[s][a] for s, a in zip(cell, action)]
    ends = np.array([False, True])
    extras = {"ratio": np.float32(ratio)}
    step = Transition(cell, action, np.float32(REWARD[cell, action]), 1 - np.float32(ends), ends, cell, extras, None)
    return step._replace(weight=np.ones(2, np.float32)), np.prod([BEHAVIOUR[s][a] for s, a in zip(cell, action)])


def side_by_side(trajectories):
    return jax.tree.map(lambda *x: np.stack(x, 1), *trajectories)


ALL = [trajectory(first, second) for first, second in itertools.product((0, 1), repeat=2)]
OFF = {"gamma": GAMMA, "policy": TARGET, "behaviour": BEHAVIOUR, "experience": Episodes(2)}


def test_ordinary_importance_sampling_is_unbiased_and_weighted_is_not():
    """The mean over all episodes that the behaviour can make of what one episode leads to believe."""
    expected, biased = value_of(TARGET)[0], 0.0
    for weighted, holds in ((False, True), (True, False)):
        algorithm = OffPolicyMCPrediction(**OFF, weighted=weighted)
        mean = sum(p * after(algorithm, [side_by_side([episode])], TINY)[0][0] for episode, p in ALL)
        assert np.isclose(mean, expected, atol=1e-5) == holds
        biased = mean
    assert np.isclose(biased, value_of(BEHAVIOUR)[0], atol=1e-5)  # one weighted return is the return itself


@pytest.mark.parametrize("weighted", [False, True])
def test_both_kinds_are_consistent(weighted):
    """From episodes in exactly the behaviour's proportions (all probabilities are multiples of 1/8) come v of pi."""
    episodes = [episode for episode, p in ALL for _ in range(round(8 * p))]
    assert len(episodes) == 8
    v = after(OffPolicyMCPrediction(**OFF, weighted=weighted), [side_by_side(episodes)], TINY)[0]
    np.testing.assert_allclose(v, value_of(TARGET), atol=1e-5)
    on_policy = after(MCPrediction(gamma=GAMMA, experience=Episodes(2)), [side_by_side(episodes)], TINY)[0]
    np.testing.assert_allclose(on_policy, value_of(BEHAVIOUR), atol=1e-5)
    assert abs(value_of(TARGET)[0] - value_of(BEHAVIOUR)[0]) > 0.3


def test_the_behaviour_acts_and_the_ratio_is_what_it_says():
    algorithm = OffPolicyMCPrediction(**OFF)
    state = algorithm.init(KEY, TINY)
    keys = jax.random.split(KEY, 4000)
    decision = jax.vmap(lambda key: algorithm.act(state, jnp.int32(1), key))(keys)
    assert abs(decision.action.mean() - 0.75) < 0.03
    np.testing.assert_allclose(decision.extras["ratio"], np.array([0.8, 0.8 / 0.75])[decision.action], rtol=1e-5)
    greedy = jax.vmap(lambda key: algorithm.greedy(state, jnp.int32(1), key))(keys)
    assert abs(greedy.action.mean() - 0.8) < 0.03


def test_the_ratio_knows_of_illegal_actions():
    spec = Spec(Masked(Discrete(2), MultiBinary(3)), Discrete(3))
    settings = {"policy": ((0.5, 0.25, 0.25), (0.2, 0.2, 0.6)), "behaviour": ()}
    algorithm = OffPolicyMCPrediction(**settings)
    obs = Masked(jnp.int32(1), jnp.array([False, True, True]))
    decision = jax.vmap(lambda key: algorithm.act(algorithm.init(KEY, spec), obs, key))(jax.random.split(KEY, 200))
    assert set(decision.action.tolist()) == {1, 2}
    np.testing.assert_allclose(decision.extras["ratio"], np.array([0, 0.25 / 0.5, 0.75 / 0.5])[decision.action])


def test_a_behaviour_that_leaves_out_an_action_is_refused():
    algorithm = OffPolicyMCPrediction(policy=TARGET, behaviour=(0, 0, 0))
    with pytest.raises(ValueError, match="in state 0 it never takes action 1, which policy does"):
        algorithm.init(KEY, TINY)
    OffPolicyMCPrediction(policy=(0, 1, 1), behaviour=TARGET).init(KEY, TINY)
