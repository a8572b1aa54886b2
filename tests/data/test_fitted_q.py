"""Fitted Q evaluation against the exact values of a small model, from the steps of chance."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bellmax as bm
from bellmax import mdp
from bellmax.algorithms.tabular.q_learning import State
from bellmax.core import Transition
from bellmax.data.fitted_q import fitted_q
from bellmax.run import Run

MODEL = mdp.random_mdp(5, 3, 2, seed=3, gamma=0.8, absorbing=0.2)
CHOSEN = np.array([2, 0, 1, 1, 0])  # the policy: not the best, not what the data do


def run_of(algorithm, state):
    """A run whose policy is known, without training one."""
    run = object.__new__(Run)
    run.plan = SimpleNamespace(env=mdp.World(MODEL), algorithm=algorithm)
    run.tree = SimpleNamespace(state=jax.tree.map(lambda x: x[None], state))
    return run


def wandered(count):
    """Steps that begin in any state, with any action; each is cut at once, so that all are beginnings."""
    draw = np.random.default_rng(0)
    state, action = draw.choice(np.flatnonzero(~MODEL.absorbing), count), draw.integers(3, size=count)
    outcome = (draw.random(count)[:, None] > MODEL.probability[action, :, state].cumsum(1)[:, :-1]).sum(1)
    reward, after = (x[action, outcome, state] for x in (MODEL.reward, MODEL.successor))
    discount, whole = np.float32(~MODEL.absorbing[after]), np.int32
    last, one = np.ones(count, bool), np.ones(count, np.float32)
    return Transition(whole(state), whole(action), np.float32(reward), discount, last, whole(after), {}, one)


def test_a_policy_that_chance_did_not_follow_is_worth_what_the_model_says():
    exact = mdp.evaluate_policy(MODEL, CHOSEN).values
    table, data = jnp.float32(np.eye(3)[CHOSEN]), wandered(3_000)
    run = run_of(bm.QLearning(gamma=0.8), State(table, table, jnp.zeros(())))
    found = fitted_q(run, data, updates=3_000, hidden=(), learning_rate=0.02)
    wanted = exact[data.obs]
    # One of 250 steps of a state and an action has a deviation of about 1: 0.06 / (1 - 0.8) in the worst case.
    assert np.abs(found.values - wanted).max() < 0.3
    assert found.mean == pytest.approx(wanted.mean(), abs=0.15)
    by_chance = mdp.evaluate_policy(MODEL, np.full((5, 3), 1 / 3)).values[data.obs]
    assert np.abs(by_chance - wanted).max() > 0.6, "the control: the values of who took the steps are others"
    assert found.td_error > 0


def test_what_remembers_is_refused():
    algorithm = bm.DecisionTransformer(experience=bm.Dataset(batch=2, n=2), width=4, layers=1, longest=2)
    shapes = jax.eval_shape(lambda key: algorithm.init(key, mdp.World(MODEL).spec), jax.random.key(0))
    state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    with pytest.raises(ValueError, match="DecisionTransformer remembers"):
        fitted_q(run_of(algorithm, state), wandered(10), gamma=0.9)
