"""All exact solvers against each other, and their stated bounds against the truth, on 200 random models."""

import numpy as np
import pytest

from bellmax.mdp.evaluation import evaluate_policy
from bellmax.mdp.leaps import leaping_value_iteration
from bellmax.mdp.model import MDP
from bellmax.mdp.policy_iteration import modified_policy_iteration, policy_iteration
from bellmax.mdp.programme import linear_programme
from bellmax.mdp.value_iteration import value_iteration

STATES, ACTIONS, OUTCOMES = 7, 3, 3  # one shape: every program is compiled once

SOLVERS = {
    "synchronous": value_iteration,
    "Gauss-Seidel": lambda mdp: value_iteration(mdp, method="gauss-seidel"),
    "prioritised": lambda mdp: value_iteration(mdp, method="prioritised"),
    "leaps": leaping_value_iteration,
    "policy iteration": policy_iteration,
    "modified": lambda mdp: modified_policy_iteration(mdp, evaluation_sweeps=5),
    "linear programme": linear_programme,
}


def random_model(seed):
    """Every third with two actions that are the same, so that optimal policies are several; absorbing states in half;
    illegal actions in half; every fifth undiscounted, each step costing something and any action able to end."""
    random = np.random.default_rng(seed)
    shape = ACTIONS, OUTCOMES, STATES
    successor = random.integers(STATES, size=shape).astype(np.int32)
    probability = random.dirichlet(np.ones(OUTCOMES), size=(ACTIONS, STATES)).transpose(0, 2, 1).copy()
    reward, gamma = random.normal(size=shape), float(random.choice([0.0, 0.3, 0.9, 0.97]))
    absorbing, legal = np.zeros(STATES, bool), None
    if seed % 5 == 0:
        gamma, reward = 1.0, -random.random(shape) - 0.1
        successor[:, 0] = STATES - 1
    if seed % 5 == 0 or seed % 2:
        absorbing[-1] = True
        successor[:, :, -1], reward[:, :, -1] = STATES - 1, 0
    if seed % 3 == 0:
        successor[2], probability[2], reward[2] = successor[0], probability[0], reward[0]
    if seed % 4 < 2:
        legal = random.random((STATES, ACTIONS)) < 0.7
        legal[np.arange(STATES), random.integers(ACTIONS, size=STATES)] = True
    return MDP(successor, probability, reward, gamma, absorbing, legal)


def exactly(mdp):
    """Howard's policy iteration with dense solves, from the textbook, on the textbook's arrays -> values, q."""
    p, r = mdp.dense()
    legal = np.ones_like(r, bool) if mdp.legal is None else mdp.legal
    r, p = np.where(mdp.absorbing[:, None], 0, r), p * ~mdp.absorbing[:, None]
    policy = legal.argmax(axis=1)
    for _ in range(100):
        own = np.arange(mdp.states)
        values = np.linalg.solve(np.eye(mdp.states) - mdp.gamma * p[policy, own], r[own, policy])
        q = np.where(legal | mdp.absorbing[:, None], r + mdp.gamma * np.einsum("ast,t->sa", p, values), -np.inf)
        better = np.where(q.max(axis=1) > q[own, policy] + 1e-11, q.argmax(axis=1), policy)
        if (better == policy).all():
            return values, q
        policy = better
    raise AssertionError("policy iteration cycles")


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_finds_the_optimum_of_200_models_within_the_bound_it_states(name):
    for seed in range(200):
        mdp = random_model(seed)
        values, q = exactly(mdp)
        found = SOLVERS[name](mdp)
        wrong = np.abs(found.values - values).max()
        assert wrong <= found.bound + 1e-12, (seed, wrong, found.bound)
        assert found.bound <= 1e-8
        np.testing.assert_allclose(found.q, np.where(np.isfinite(q), q, -np.inf), atol=1e-6)
        best = q >= q.max(axis=1, keepdims=True) - 1e-9
        assert (found.optimal_actions == best)[~mdp.absorbing].all(), seed
        assert best[np.arange(STATES), found.policy][~mdp.absorbing].all(), seed


def test_the_models_have_what_they_promise():
    models = [random_model(seed) for seed in range(200)]
    several = [(exactly(mdp)[1] >= exactly(mdp)[1].max(axis=1, keepdims=True) - 1e-9).sum(axis=1) for mdp in models]
    assert sum((count[~mdp.absorbing] > 1).any() for count, mdp in zip(several, models)) > 50
    assert sum(mdp.legal is not None for mdp in models) == 100
    assert sum(mdp.gamma == 1 for mdp in models) == 40
    assert sum(mdp.absorbing.any() for mdp in models) > 100


@pytest.mark.parametrize("method", ["linear", "iterative", "in-place"])
def test_policies_are_worth_what_the_equations_of_the_book_say(method):
    for seed in range(60):
        mdp = random_model(seed)
        random = np.random.default_rng(seed)
        chances = random.dirichlet(np.ones(ACTIONS), size=STATES)
        if mdp.legal is not None:
            chances = np.where(mdp.legal, chances, 0)
            chances /= chances.sum(axis=1, keepdims=True)
        if seed % 2:
            chances = np.eye(ACTIONS)[chances.argmax(axis=1)]
        p, r = mdp.dense()
        alive = ~mdp.absorbing[:, None]
        p_policy, r_policy = np.einsum("sa,ast->st", chances, p) * alive, (chances * r * alive).sum(axis=1)
        values = np.linalg.solve(np.eye(STATES) - mdp.gamma * p_policy, r_policy)
        policy = chances.argmax(axis=1) if seed % 2 else chances
        found = evaluate_policy(mdp, policy, method=method)
        assert np.abs(found.values - values).max() <= found.bound + 1e-12
        assert found.bound <= 1e-8
        q = np.where(alive, r, 0) + mdp.gamma * np.einsum("ast,t->sa", p * alive, values)
        legal = np.isfinite(found.q)
        assert (legal == ((mdp.legal if mdp.legal is not None else True) | mdp.absorbing[:, None])).all()
        np.testing.assert_allclose(found.q[legal], q[legal], atol=1e-7)


@pytest.mark.parametrize("tolerance", [1.0, 0.1, 1e-3])
def test_a_loose_bound_is_true_too_and_no_best_action_is_missing(tolerance):
    for seed in range(60):
        mdp = random_model(seed)
        values, q = exactly(mdp)
        best = q >= q.max(axis=1, keepdims=True) - 1e-9
        for method in ("synchronous", "gauss-seidel", "prioritised"):
            found = value_iteration(mdp, method=method, tolerance=tolerance)
            assert np.abs(found.values - values).max() <= found.bound <= tolerance
            assert (found.optimal_actions >= best)[~mdp.absorbing].all()


def test_bounds_hold_in_float32():
    for seed in range(60):
        rough = random_model(seed).astype(np.float32)
        exact = rough.replace(
            probability=rough.probability.astype(float), reward=rough.reward.astype(float), check=False
        )
        values, _ = exactly(exact)  # of the same numbers, chances that sum to 1 but for float32's rounding
        for solver in ("synchronous", "Gauss-Seidel", "leaps", "policy iteration"):
            found = SOLVERS[solver](rough)
            assert found.values.dtype == found.q.dtype == np.float32
            assert np.abs(found.values - values).max() <= found.bound <= 1e-3, (solver, seed)
