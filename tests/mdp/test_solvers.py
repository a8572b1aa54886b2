"""Exact solvers on models solved by hand or by others; the ways a sweep is laid out; what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.mdp import (
    blocks,
    endings,
    from_gymnasium,
    gambler,
    layout,
    slippery_grid,
    small_gridworld,
    solving,
    sweeps,
)
from bellmax.mdp.evaluation import evaluate_policy
from bellmax.mdp.horizon import backward_induction
from bellmax.mdp.leaps import leap, leaping_value_iteration
from bellmax.mdp.model import MDP
from bellmax.mdp.policy_iteration import _improve as policy_step
from bellmax.mdp.policy_iteration import modified_policy_iteration, policy_iteration
from bellmax.mdp.programme import linear_programme
from bellmax.mdp.solution import judge, problem
from bellmax.mdp.solving import memory_needed, solve
from bellmax.mdp.value_iteration import value_iteration

SOLVERS = {
    "synchronous": value_iteration,
    "Gauss-Seidel": lambda mdp, **more: value_iteration(mdp, method="gauss-seidel", **more),
    "prioritised": lambda mdp, **more: value_iteration(mdp, method="prioritised", **more),
    "modified": modified_policy_iteration,
    "leaps": leaping_value_iteration,
    "policy iteration": policy_iteration,
    "linear programme": lambda mdp, **more: linear_programme(mdp),
}
each_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)


def deterministic(next_states, rewards, gamma, absorbing=()):
    """next_states and rewards [actions][states]."""
    over = np.isin(np.arange(len(next_states[0])), absorbing)
    successor = np.array(next_states, np.int32)[:, None]
    rewards = np.array(rewards, float)[:, None]
    return MDP(successor, np.ones(successor.shape), rewards, gamma, over, check=bool(len(absorbing)))


# --- models that others solved -----------------------------------------------------------------------------------


@each_solver
@pytest.mark.parametrize(
    ("size", "gamma", "start"),
    [("4x4", 0.99, 0.542026), ("4x4", 0.9, 0.068891), ("8x8", 0.99, 0.414640), ("8x8", 0.9, 0.006411)],
)
def test_frozen_lake_is_worth_what_is_known(solver, size, gamma, start):
    lake = from_gymnasium("FrozenLake-v1", gamma=gamma, map_name=size)
    found = solver(lake)
    assert found.values[0] == pytest.approx(start, abs=1e-6)
    assert solver(lake.astype(np.float32), tolerance=1e-4).values[0] == pytest.approx(start, abs=1e-4)
    assert evaluate_policy(lake, found.policy).values[0] == pytest.approx(start, abs=1e-6)


@each_solver
def test_a_coin_with_chance_04_wins_from_25_50_and_75_by_bold_play(solver):
    # from 50: all on one toss, 0.4. From 25: two in a row, 0.16. From 75: one, or lose and win from 50: 0.4 + 0.6 * 0.4
    found = solver(gambler(0.4))
    np.testing.assert_allclose(found.values[[25, 50, 75]], [0.16, 0.4, 0.64], atol=1e-8)
    assert np.abs(found.values[[25, 50, 75]] - [0.16, 0.4, 0.64]).max() <= found.bound + 1e-15
    assert found.bound <= 1e-8
    assert found.optimal_actions[50, 49]
    assert not found.optimal_actions[50, 30]


def test_policy_iteration_finds_the_gamblers_figures_to_rounding():
    found = policy_iteration(gambler(0.4))
    np.testing.assert_allclose(found.values[[25, 50, 75]], [0.16, 0.4, 0.64], atol=1e-15)
    assert found.bound < 1e-12


@pytest.mark.parametrize("method", ["linear", "iterative", "in-place"])
def test_example_41_of_the_book(method):
    # the equiprobable policy's values, figure 4.1
    found = evaluate_policy(small_gridworld(), np.full((16, 4), 0.25), method=method)
    figure = [0, -14, -20, -22, -14, -18, -20, -20, -20, -20, -18, -14, -22, -20, -14, 0]
    np.testing.assert_allclose(found.values, figure, atol=1e-7)
    assert np.abs(found.values - figure).max() <= found.bound + 1e-12
    assert found.bound <= 1e-8
    assert found.q[7, 1] == pytest.approx(-15)  # exercise 4.1: q(7, down) = -1 + v(11)
    assert found.q[11, 1] == pytest.approx(-1)


@each_solver
def test_example_41_is_solved_by_walking_to_the_nearer_corner(solver):
    found = solver(small_gridworld())
    row, column = np.divmod(np.arange(16), 4)
    np.testing.assert_allclose(found.values, -np.minimum(row + column, 6 - row - column), atol=1e-8)
    assert found.optimal_actions[5].tolist() == [True, False, False, True]  # from (1, 1): left or up
    assert found.optimal_actions[3].tolist() == [True, True, False, False]  # both corners are 3 away


# --- gamma = 1 -----------------------------------------------------------------------------------------------------


@each_solver
def test_a_policy_that_ties_for_ever_is_not_chosen(solver):
    # A lake on which walking about costs nothing: every policy that keeps dry and stays is "greedy" for the optimum.
    # From the rim one can stay dry for certain, so the goal is reached with certainty, or with certainty from most.
    lake = from_gymnasium("FrozenLake-v1", gamma=1.0, map_name="8x8")
    found = solver(lake)
    assert found.values[0] == pytest.approx(1, abs=1e-8)
    assert found.bound <= 1e-8
    np.testing.assert_allclose(evaluate_policy(lake, found.policy).values, found.values, atol=1e-7)


def test_the_first_greedy_action_would_never_arrive():
    lake = from_gymnasium("FrozenLake-v1", gamma=1.0, map_name="8x8")  # the negative control of the test above
    found = policy_iteration(lake)
    naive = (found.q >= found.q.max(axis=1, keepdims=True) - 1e-9).argmax(axis=1)
    with pytest.raises(ValueError, match="never comes to an absorbing state"):
        evaluate_policy(lake, naive)


@each_solver
def test_a_free_walk_before_a_toll_is_left_all_the_same(solver):
    # 0 <-> 1 for nothing; leaving costs 3 from 0 and 2 from 1. An episode must end: both are worth -2.
    # Value iteration from 0 would stay at 0, which no policy that ends can have.
    mdp = deterministic([[1, 0, 2], [2, 2, 2]], [[0, 0, 0], [-3, -2, 0]], 1.0, absorbing=[2])
    found = solver(mdp)
    np.testing.assert_allclose(found.values, [-2, -2, 0], atol=1e-8)
    assert found.policy[:2].tolist() == [0, 1]
    assert np.abs(found.values - [-2, -2, 0]).max() <= found.bound + 1e-15 <= 1e-8 + 1e-15


def test_values_that_are_too_high_and_stay_so_are_not_passed_off_as_optimal():
    mdp = deterministic([[1, 0, 2], [2, 2, 2]], [[0, 0, 0], [-3, -2, 0]], 1.0, absorbing=[2])
    verdict = judge(problem(mdp), np.array([5.0, 5.0, 0.0]))  # a fixed point of the sweep: residual 0
    assert verdict.bound >= 7 - 1e-9


def test_free_walks_are_found():
    # 0 <-> 1 free; 2 stays for free; 3 leads into the walk but not back; 4 is the end
    nowhere = [[1, 0, 2, 0, 4], [4, 4, 4, 4, 4]]
    mdp = deterministic(nowhere, [[0, 0, 0, 0, 0], [-1, 0, -1, 0, 0]], 1.0, absorbing=[4])
    inner, group = endings.free_walks(mdp)
    assert inner.tolist() == [[True, True, True, False, False], [False] * 5]
    assert group.tolist() == [0, 0, 2, 3, 4]


@pytest.mark.parametrize("seed", range(12))
def test_undiscounted_bounds_are_true_with_walks_costs_and_rewards(seed):
    random = np.random.default_rng(seed)
    successor = random.integers(9, size=(3, 2, 9)).astype(np.int32)
    chance = random.random((3, 1, 9))
    probability = np.concatenate([chance, 1 - chance], axis=1)
    reward = np.where(random.random((3, 1, 9)) < 0.5, 0.0, -random.random((3, 1, 9)))
    reward = np.where(successor == 8, random.normal(size=(3, 2, 9)), reward)  # an end may pay or cost
    successor[2, 0] = 8
    successor[:, :, 8], reward[:, :, 8] = 8, 0
    mdp = MDP(successor, probability, reward, 1.0, np.arange(9) == 8)
    exact = linear_programme(mdp)
    assert exact.bound < 1e-9
    for solver in SOLVERS.values():
        found = solver(mdp)
        assert np.abs(found.values - exact.values).max() <= found.bound + exact.bound
        assert found.bound <= 1e-8
        np.testing.assert_allclose(evaluate_policy(mdp, found.policy).values, exact.values, atol=1e-6)


def test_policy_iteration_keeps_an_action_that_is_as_good_but_for_rounding():
    both = [[1, 2, 2], [1, 2, 2]]
    mdp = deterministic(both, [[0.1, 0.2, 0], [0.1 - 1e-16, 0.2, 0]], 0.9, absorbing=[2])
    values, kept = np.array([0.28, 0.2, 0]), np.array([1, 1, 0])
    assert policy_step(problem(mdp), values, kept, 1e-16)[0].tolist() == [1, 1, 0]
    better = mdp.replace(reward=mdp.reward + np.array([[[0.01, 0, 0]], [[0, 0, 0]]]))  # beyond rounding
    assert policy_step(problem(better), values, kept, 1e-16)[0].tolist() == [0, 1, 0]


def test_gamma_one_is_refused_where_it_has_no_answer():
    pays = deterministic([[0, 1], [1, 1]], [[1, 0], [0, 0]], 1.0, absorbing=[1])
    with pytest.raises(ValueError, match="collected for ever from state 0"):
        policy_iteration(pays)
    with pytest.raises(RuntimeError, match="not converged within max_sweeps = 300"):
        value_iteration(pays, max_sweeps=300)
    locked = pays.replace(successor=np.array([[[0, 1]], [[0, 1]]], np.int32), check=False)
    for solver in (policy_iteration, linear_programme):
        with pytest.raises(ValueError, match="state 0 never comes to an absorbing state"):
            solver(locked)


# --- finite horizon ------------------------------------------------------------------------------------------------


def test_backward_induction_on_a_chain_of_three_states():
    # action 0 stays and pays 1 (in state 2: 5), action 1 goes one to the right and pays 0; gamma 1, nothing ends
    mdp = deterministic([[0, 1, 2], [1, 2, 2]], [[1, 1, 5], [0, 0, 0]], 1.0)
    values, policy = backward_induction(mdp, 3)
    # one step to go: 1, 1, 5. Two: max(1+1, 0+1), max(1+1, 0+5), 10. Three: max(1+2, 0+5), max(1+5, 0+10), 15
    assert values.tolist() == [[5, 10, 15], [2, 5, 10], [1, 1, 5], [0, 0, 0]]
    assert policy.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    half, _ = backward_induction(mdp.replace(gamma=0.5, check=False), 2)
    assert half[0].tolist() == [1.5, 2.5, 7.5]  # 1 + 1/2, 0 + 5/2, 5 + 5/2
    assert backward_induction(mdp, 0)[0].tolist() == [[0, 0, 0]]
    with pytest.raises(ValueError, match="horizon = -1"):
        backward_induction(mdp, -1)


def test_a_long_horizon_is_the_infinite_one():
    lake = from_gymnasium("FrozenLake-v1", gamma=0.9)
    values, policy = backward_induction(lake, 200)
    found = policy_iteration(lake)
    np.testing.assert_allclose(values[0], found.values, atol=1e-9)
    assert found.optimal_actions[np.arange(16), policy[0]].all()


# --- the layouts of a sweep ----------------------------------------------------------------------------------------


def loop(mdp, values):
    """T v by three loops."""
    q = np.zeros((mdp.states, mdp.actions))
    for state, action in np.ndindex(q.shape):
        for outcome in range(mdp.outcomes):
            reward = mdp.reward[action, outcome if mdp.reward.shape[1] > 1 else 0, state]
            there = mdp.successor[action, outcome, state]
            q[state, action] += mdp.probability[action, outcome, state] * (reward + mdp.gamma * values[there])
    legal = np.ones_like(q, bool) if mdp.legal is None else mdp.legal
    q = np.where(mdp.absorbing[:, None], 0, np.where(legal, q, -np.inf))
    return q.max(axis=1), q


def teleporting(dtype):
    """A grid with a few states that lead anywhere, walls that make others stay, and illegal actions."""
    random, mdp = np.random.default_rng(1), slippery_grid(12, 15, dtype=dtype)
    successor, legal = mdp.successor.copy(), random.random((180, 4)) < 0.8
    legal[np.arange(180), random.integers(4, size=180)] = True
    away = random.choice(180, 9, replace=False)
    successor[:, :, away] = random.integers(180, size=(4, 3, 9))
    walls = random.random(successor.shape) < 0.1
    successor = np.where(walls, np.arange(180), successor).astype(np.int32)
    successor[:, :, mdp.absorbing] = np.flatnonzero(mdp.absorbing)
    return mdp.replace(successor=successor, legal=legal)


@pytest.mark.parametrize("make", [lambda dtype: slippery_grid(9, 14, goals=3, dtype=dtype), teleporting])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["shifted", "gathered"])
def test_every_layout_sweeps_as_loops_do(make, dtype, kind):
    mdp = make(dtype)
    values = np.where(mdp.absorbing, 0, np.random.default_rng(0).normal(size=mdp.states)).astype(dtype)
    atol = 1e-5 if dtype == np.float32 else 1e-12
    best, q = loop(mdp, values)
    policy = np.nan_to_num(q, neginf=-1e9).argmin(axis=1).astype(np.int32)  # any, even illegal
    policy = np.where(np.isfinite(q[np.arange(len(q)), policy]), policy, q.argmax(axis=1)).astype(np.int32)
    with layout.precision(dtype):
        model = layout.prepare(mdp, kind)
        assert (model.kind, model.odd.size > 0) == (kind, make is teleporting and kind == "shifted")
        np.testing.assert_allclose(sweeps.backup(model, jnp.asarray(values)), best, atol=atol)
        np.testing.assert_allclose(sweeps.action_values(model, jnp.asarray(values)).T, q, atol=atol)
        chosen = sweeps.follow(model, jnp.asarray(policy))
        np.testing.assert_allclose(sweeps.backup(chosen, jnp.asarray(values)), q[np.arange(len(q)), policy], atol=atol)


@pytest.mark.parametrize("kind", ["shifted", "gathered"])
def test_the_last_word_on_a_float32_model_is_had_in_float64(kind):
    mdp = teleporting(np.float32)
    values = np.where(mdp.absorbing, 0, 100 * np.random.default_rng(0).normal(size=mdp.states))
    it = problem(mdp, kind)
    with layout.precision(np.float64):
        found = np.asarray(sweeps.action_values(it.exact, jnp.asarray(values))).T
    # float32 would be wrong by 1e-5. Probabilities, which do not quite sum to 1, are what they are; the reward, which
    # does not depend on the outcome, is had whole.
    short = (1 - mdp.probability.sum(axis=1, dtype=float)) * mdp.reward[:, 0]
    np.testing.assert_allclose(found, loop(mdp, values)[1] + np.where(mdp.absorbing, 0, short).T, atol=1e-10)


def test_a_dense_model_is_swept_by_matrix_products():
    random = np.random.default_rng(0)
    p = random.dirichlet(np.ones(6), size=(2, 6)).transpose(0, 2, 1).copy()
    successor = np.broadcast_to(np.arange(6, dtype=np.int32)[:, None], p.shape).copy()
    mdp = MDP(successor, p, random.normal(size=p.shape), 0.9, np.zeros(6, bool))
    for dtype, atol in ((np.float32, 1e-5), (np.float64, 1e-12)):
        rough = mdp.astype(dtype)
        with layout.precision(dtype):
            model = layout.prepare(rough)
            assert model.kind == "dense"
            values = random.normal(size=6).astype(dtype)
            np.testing.assert_allclose(sweeps.backup(model, jnp.asarray(values)), loop(rough, values)[0], atol=atol)
    np.testing.assert_allclose(value_iteration(mdp).values, policy_iteration(mdp).values, atol=1e-8)
    with pytest.raises(ValueError, match="'dense'"):
        layout.prepare(mdp.replace(successor=successor[:, ::-1].copy()), "dense")


def test_a_large_grid_is_recognised_and_a_large_tangle_is_not():
    grid = slippery_grid(64, 70)
    model = layout.prepare(grid)
    assert model.kind == "shifted"
    assert {ahead for row in model.shifts for ahead in row} == {-70, -1, 1, 70}
    assert model.odd.size == model.successor.size == 0
    tangled = np.random.default_rng(0).permutation(grid.states).astype(np.int32)[grid.successor]
    tangled[:, :, grid.absorbing] = np.flatnonzero(grid.absorbing)
    assert layout.prepare(grid.replace(successor=tangled)).kind == "gathered"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_models_give_the_same_by_sweeps_blocks_and_leaps(dtype):
    mdp, tolerance = slippery_grid(64, 70, dtype=dtype), 1e-2 if dtype == np.float32 else 1e-4
    exact = value_iteration(mdp, tolerance=tolerance)
    assert blocks.size_for(mdp.states) > 1
    for solver in ("Gauss-Seidel", "prioritised", "leaps", "modified"):
        found = SOLVERS[solver](mdp, tolerance=tolerance)
        assert found.values.shape == (mdp.states,)
        assert np.abs(found.values - exact.values).max() <= found.bound + exact.bound <= 2 * tolerance


def test_leaps_save_sweeps():
    mdp = slippery_grid(64, 70, dtype=np.float64)
    plain, leaping = value_iteration(mdp, tolerance=1e-6), leaping_value_iteration(mdp, tolerance=1e-6)
    assert leaping.sweeps < plain.sweeps / 3


def test_a_leap_is_the_value_of_the_greedy_policy():
    mdp = from_gymnasium("FrozenLake-v1", gamma=0.99, map_name="8x8")
    with layout.precision(np.float64):
        model, values = layout.prepare(mdp), jnp.zeros(64)
        for _ in range(30):
            values = sweeps.backup(model, values)
        exact = evaluate_policy(mdp, np.asarray(sweeps.best_action(model, values))).values
        before, after = (np.abs(np.asarray(x) - exact).max() for x in (values, leap(model, values)))
    assert after < before / 3


def test_blocks_influence_each_other_by_the_largest_chance():
    mdp = from_gymnasium("FrozenLake-v1", gamma=0.9)
    p, _ = mdp.dense()
    largest = 0.9 * p.max(axis=0)
    found = blocks.influence(mdp, 1)
    assert (found >= largest - 1e-12).all()
    assert (found[largest == 0] == 0).all()


# --- what comes out, and what is refused ---------------------------------------------------------------------------


def test_the_global_precision_is_left_alone():
    solve(from_gymnasium("FrozenLake-v1", gamma=0.9))
    assert jnp.zeros(()).dtype == jnp.float32
    assert not jax.config.jax_enable_x64


def test_a_solution_says_how_it_was_found():
    lake = from_gymnasium("FrozenLake-v1", gamma=0.9)
    found = value_iteration(lake)
    assert found.residuals.shape == (found.sweeps,)
    assert (np.diff(found.residuals[5:]) <= 1e-12).all()  # a contraction
    assert found.seconds > 0
    assert found.method == "value iteration, synchronous"
    warm = value_iteration(lake, values=found.values)
    assert warm.sweeps <= 3


def test_solve_chooses_by_size():
    assert solve(from_gymnasium("FrozenLake-v1", gamma=0.9)).method == "policy iteration"
    assert solve(slippery_grid(64, 70), tolerance=0.05).method == "value iteration with leaps"


def test_memory_is_said_before_and_refused_where_there_is_too_little(monkeypatch):
    mdp = slippery_grid(64, 70)
    assert 4 * mdp.nbytes < memory_needed(mdp) - solving.PROGRAM < 12 * mdp.nbytes
    monkeypatch.setattr(solving, "_memory", lambda: 1 << 20)
    with pytest.raises(MemoryError, match=r"4,480 states takes about .* has 1\.00 MiB"):
        solve(mdp)


def test_what_cannot_be_is_refused():
    lake = from_gymnasium("FrozenLake-v1", gamma=0.99)
    for solver in (value_iteration, policy_iteration, modified_policy_iteration, solve):
        with pytest.raises(ValueError, match="tolerance = 0: it must be greater than 0"):
            solver(lake, tolerance=0)
    with pytest.raises(ValueError, match=r"1e-08 cannot be reached in float32.*bound of \d.*float64"):
        value_iteration(lake.astype(np.float32), tolerance=1e-8)
    with pytest.raises(ValueError, match=r"1e-10 cannot be reached in float32"):
        policy_iteration(lake.astype(np.float32), tolerance=1e-10)
    with pytest.raises(RuntimeError, match=r"within max_sweeps = 7: values still change by .* the bound is"):
        value_iteration(lake, max_sweeps=7)
    with pytest.raises(ValueError, match="method = 'fast'"):
        value_iteration(lake, method="fast")
    with pytest.raises(ValueError, match=r"values has shape \(3,\)"):
        value_iteration(lake, values=np.zeros(3))


def test_a_policy_that_is_none_is_refused():
    coin = gambler()
    with pytest.raises(ValueError, match=r"policy has shape \(3,\)"):
        evaluate_policy(coin, np.zeros(3, int))
    with pytest.raises(ValueError, match=r"policy\[3\] = 7: the action is illegal"):
        evaluate_policy(coin, np.where(np.arange(101) == 3, 7, 0))
    with pytest.raises(ValueError, match=r"policy\[0\] = 50: there are actions 0 to 49"):
        evaluate_policy(coin, np.full(101, 50))
    lake = from_gymnasium("FrozenLake-v1", gamma=0.9)
    with pytest.raises(ValueError, match=r"policy\[0\] = .* sum to 1"):
        evaluate_policy(lake, np.full((16, 4), 0.3))
