"""The book's problems have the book's numbers; the random ones are what they say."""

import math

import numpy as np
import pytest

from bellmax import mdp
from bellmax.mdp import checks
from bellmax.mdp.problems.gambler import winning_chances


def improve(model, values):
    """Values of all actions, [actions, states], -inf where illegal."""
    q = (model.probability * (model.reward + model.gamma * values[model.successor])).sum(axis=1)
    return q if model.legal is None else np.where(model.legal.T, q, -np.inf)


def best_values(model, sweeps=3000):
    values = np.zeros(model.states)
    for _ in range(sweeps):
        values = improve(model, values).max(axis=0)
    return values


def worth(model, policy):
    """The value of a policy [states, actions], by linear equations over the states that are not absorbing."""
    p, r = model.dense()
    open_ = ~model.absorbing
    chain = np.einsum("sa,ast->st", policy, p)[np.ix_(open_, open_)]
    values = np.zeros(model.states)
    values[open_] = np.linalg.solve(np.eye(open_.sum()) - model.gamma * chain, (policy * r).sum(axis=1)[open_])
    return values


def test_every_problem_is_a_sound_model_in_both_precisions():
    for name, make in mdp.PROBLEMS.items():
        for dtype in (np.float64, np.float32):
            model = make(dtype=dtype)
            checks.check(model)
            assert model.probability.dtype == model.reward.dtype == dtype, name
            assert np.isclose(model.starts().sum(), 1)


def test_the_small_gridworld_is_example_4_1():
    model = mdp.small_gridworld()
    evenly = worth(model, np.full((16, 4), 0.25)).reshape(4, 4)
    expected = [[0, -14, -20, -22], [-14, -18, -20, -20], [-20, -20, -18, -14], [-22, -20, -14, 0]]
    np.testing.assert_allclose(evenly, expected, atol=1e-9)
    distance = [[0, 1, 2, 3], [1, 2, 3, 2], [2, 3, 2, 1], [3, 2, 1, 0]]
    np.testing.assert_array_equal(best_values(model, 10).reshape(4, 4), -np.array(distance))


def test_the_leaping_gridworld_is_example_3_5_and_3_8():
    model = mdp.leaping_gridworld()
    evenly = worth(model, np.full((25, 4), 0.25)).reshape(5, 5)
    np.testing.assert_array_equal(
        evenly.round(1),
        [
            [3.3, 8.8, 4.4, 5.3, 1.5],
            [1.5, 3.0, 2.3, 1.9, 0.5],
            [0.1, 0.7, 0.7, 0.4, -0.4],
            [-1.0, -0.4, -0.4, -0.6, -1.2],
            [-1.9, -1.3, -1.2, -1.4, -2.0],
        ],
    )
    np.testing.assert_array_equal(
        best_values(model, 400).reshape(5, 5).round(1),
        [
            [22.0, 24.4, 22.0, 19.4, 17.5],
            [19.8, 22.0, 19.8, 17.8, 16.0],
            [17.8, 19.8, 17.8, 16.0, 14.4],
            [16.0, 17.8, 16.0, 14.4, 13.0],
            [14.4, 16.0, 14.4, 13.0, 11.7],
        ],
    )


@pytest.mark.parametrize("heads", [0.25, 0.4, 0.5])
def test_the_gambler_does_best_by_bold_play(heads):
    model = mdp.gambler(heads)
    values = best_values(model, 300)[1:-1]
    np.testing.assert_allclose(values, winning_chances(heads)[1:-1], atol=1e-9)
    assert values[49] == pytest.approx(heads, abs=1e-12), "half of the goal is one toss away"
    if heads == 0.5:
        np.testing.assert_allclose(values, np.arange(1, 100) / 100, atol=1e-6)
    assert not model.legal[30, 30], "nobody stakes 31 of 30"
    assert model.legal[30, 29]
    assert not model.legal[80, 20], "nor more than is missing"


def slow_car_rental(values, state, moved):
    """One backup from the book's words, over all requests and returns that matter, one at a time."""

    def poisson(mean, n):
        return math.exp(-mean) * mean**n / math.factorial(n)

    morning = min(state[0] - moved, 20), min(state[1] + moved, 20)
    evening, income = [], 0.0
    for cars, (asked, brought) in zip(morning, ((3, 3), (4, 2))):
        ends = np.zeros(21)
        for requests in range(35):
            let = min(cars, requests)
            income += 10 * let * poisson(asked, requests)
            for returns in range(35):
                ends[min(20, cars - let + returns)] += poisson(asked, requests) * poisson(brought, returns)
        evening.append(ends)
    return income - 2 * abs(moved) + 0.9 * evening[0] @ values.reshape(21, 21) @ evening[1]


def test_jacks_car_rental_is_the_sum_over_requests_and_returns():
    model = mdp.car_rental()
    assert (model.states, model.actions, model.outcomes) == (441, 11, 441)
    random = np.random.default_rng(0)
    values = random.normal(size=441)
    q = improve(model, values)
    for first, second, moved in ((0, 0, 0), (20, 20, 5), (20, 20, -5), (3, 20, -5), (9, 4, 2), (20, 0, 3), (1, 1, -1)):
        expected = slow_car_rental(values, (first, second), moved)
        assert q[moved + 5, first * 21 + second] == pytest.approx(expected, abs=1e-9)
    assert q[7, 21] == -np.inf, "one car cannot be moved twice"
    assert np.isfinite(q[:, 441 // 2 + 10]).sum() == 11


def test_jacks_known_policy_and_values():
    model = mdp.car_rental()
    (p, r), values = model.dense(), np.zeros(441)
    r = np.where(model.legal, r, -np.inf).T
    for _ in range(250):
        values = (r + 0.9 * p @ values).max(axis=0)
    best = (r + 0.9 * p @ values).argmax(axis=0).reshape(21, 21) - 5
    assert best[0, 0] == 0
    assert best[20, 0] == 5, "a full first place sends all it may to an empty second"
    assert best[0, 20] == -4
    assert best[20, 20] == 0
    assert values.argmin() == 0
    assert values.argmax() == 440
    assert values[0] == pytest.approx(421.414063, abs=1e-4)  # figure 4.2 shows about 420
    assert values[440] == pytest.approx(636.989607, abs=1e-4)


def test_the_random_walk_is_a_straight_line():
    for states, left, right in ((5, 0.0, 1.0), (19, -1.0, 1.0)):
        model = mdp.random_walk(states, left, right)
        expected = np.linspace(left, right, states + 2)[1:-1]
        np.testing.assert_allclose(worth(model, np.ones((states + 2, 1)))[1:-1], expected, atol=1e-12)
        assert model.starts()[(states + 1) // 2] == 1


def test_the_chain_is_worth_walking():
    model = mdp.chain(gamma=0.99)
    q = improve(model, best_values(model, 4000))
    assert (q[0] > q[1]).all(), "forward everywhere"
    short = mdp.chain(gamma=0.5)
    q = improve(short, best_values(short, 100))
    assert q[1, 0] > q[0, 0], "who is impatient goes back"
    # always forward: in the last state after four steps that did not slip, so .8^4 (.8 * 10) + .2 * 2 a step
    score = mdp.forecast(model, np.zeros(5, int), 50).score
    assert score[-1] - score[-2] == pytest.approx(0.8**5 * 10 + 0.4, abs=1e-9)


def test_random_models_have_what_was_asked_for():
    model = mdp.random_mdp(40, 3, 4, seed=1, absorbing=0.25, duplicates=2, illegal=0.3)
    assert (model.states, model.actions, model.outcomes) == (40, 5, 4)
    assert model.absorbing.sum() == 10
    np.testing.assert_array_equal(model.probability[3:], model.probability[:2])
    np.testing.assert_array_equal(model.successor[3:], model.successor[:2])
    np.testing.assert_array_equal(model.reward[3:], model.reward[:2])
    assert 0.15 < 1 - model.legal[~model.absorbing].mean() < 0.4
    assert not np.array_equal(mdp.random_mdp(seed=1).probability, mdp.random_mdp(seed=2).probability)
    np.testing.assert_array_equal(mdp.random_mdp(seed=1).reward, mdp.random_mdp(seed=1).reward)
    assert mdp.random_mdp(outcome_rewards=False).reward.shape == (4, 1, 20)
    for seed in range(20):
        endless = mdp.random_mdp(8, 2, 2, seed, gamma=1.0, absorbing=0.0)
        always = np.eye(2)[np.zeros(8, int)]
        assert np.isfinite(worth(endless, always)).all(), "whatever one does, it ends"


def test_a_huge_grid_is_what_a_slow_loop_makes_of_it():
    model = mdp.slippery_grid(4, 5, seed=3, goals=2)
    checks.check(model)
    assert model.absorbing.sum() == 2
    steps = {0: (0, -1), 1: (1, 0), 2: (0, 1), 3: (-1, 0)}
    for state in np.flatnonzero(~model.absorbing):
        for action in range(4):
            for k, turn in enumerate((0, -1, 1)):
                down, across = steps[(action + turn) % 4]
                row, column = min(max(state // 5 + down, 0), 3), min(max(state % 5 + across, 0), 4)
                assert model.successor[action, k, state] == row * 5 + column
            assert (model.probability[action, 1:, state] <= 0.2).all()
            assert -1.5 <= model.reward[action, 0, state] <= -0.5
            assert model.reward[action, 0, state] == model.reward[0, 0, state]
    assert np.unique(model.probability[:, 1:, ~model.absorbing]).size == 8 * 18, "every one its own"
    assert mdp.slippery_grid(200, 300).absorbing.sum() == 6
    with pytest.raises(ValueError, match="rows = 1, columns = 1"):
        mdp.slippery_grid(1, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_is_known_before_it_is_taken(dtype):
    assert mdp.memory_of(30 * 40, 4, 3, dtype) == mdp.slippery_grid(30, 40, dtype=dtype).nbytes
    random = mdp.random_mdp(50, 3, 4, illegal=0.5, dtype=dtype)
    assert mdp.memory_of(50, 3, 4, dtype, reward_outcomes=4, legal=True) == random.nbytes
    assert mdp.memory_of(10_000_000, 4, 3) == 1_130_000_000


def test_a_forecast_is_the_mean_of_all_that_can_happen():
    lake = mdp.from_gymnasium("FrozenLake-v1", is_slippery=False)
    walk = np.zeros(16, int)
    walk[[0, 4, 8, 9, 13, 14]] = 1, 1, 2, 1, 2, 2
    straight = mdp.forecast(lake, walk, 8)
    np.testing.assert_array_equal(straight.score, [0, 0, 0, 0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(straight.ended, [0, 0, 0, 0, 0, 0, 1, 1, 1])
    assert straight.occupancy[15] == 1
    model = mdp.random_mdp(9, 3, 3, seed=5)
    random = np.random.default_rng(0)
    policy = random.dirichlet(np.ones(3), 9)
    p, r = model.dense()
    chain, pays, now, total = np.einsum("sa,ast->st", policy, p), (policy * r).sum(axis=1), model.starts(), 0.0
    for _ in range(6):
        total, now = total + now @ pays, now @ chain
    found = mdp.forecast(model, policy, 6)
    assert found.score[-1] == pytest.approx(total)
    np.testing.assert_allclose(found.occupancy, now)
    assert found.ended[-1] == pytest.approx(now[model.absorbing].sum())


def test_values_and_arrows_are_drawn_on_the_grid():
    model = mdp.from_map(("S..", ".#T", "..G"), 0.9)
    q = improve(model, best_values(model)).T
    best = q >= q.max(axis=1, keepdims=True) - 1e-9
    assert mdp.policy_text(model, best) == "↓ ← ←\n↓ # x\n→ → *"
    both = best.copy()
    both[0] = True, True, False, False
    assert mdp.policy_text(model, both).splitlines()[0] == "←↓  ←  ←"
    assert mdp.values_text(mdp.small_gridworld(2), np.array([0, -1, -1.25, 0]), 1) == " 0.0 -1.0\n-1.2  0.0"
    lake = mdp.from_gymnasium("FrozenLake-v1")
    arrows = mdp.policy_text(lake, np.eye(4, dtype=bool)[np.full(16, 3)])
    assert arrows == "↑ ↑ ↑ ↑\n↑ x ↑ x\n↑ ↑ ↑ x\nx ↑ ↑ *"
    cliff = mdp.from_gymnasium("CliffWalking-v1")
    assert mdp.policy_text(cliff, np.eye(4, dtype=bool)[np.ones(48, int)]).splitlines()[3].split() == ["→"] * 11 + ["*"]


def test_without_a_grid_there_is_a_table():
    model = mdp.gambler(goal=4)
    best = np.array([[True, True], [True, False], [True, True], [True, False], [True, True]])
    expected = "state      best actions\n    0                 x\n    1           stake 1\n    2  stake 1, stake 2"
    assert mdp.policy_text(model, best).startswith(expected)
    text = mdp.values_text(mdp.gambler(), np.linspace(0, 1, 101), 2)
    assert text.splitlines()[:2] == ["state  value", "    0   0.00"]
    assert text.endswith("... 51 more")
    wide = mdp.slippery_grid(60, 10)
    assert mdp.values_text(wide, np.zeros(600)).endswith("... 10 more rows")
