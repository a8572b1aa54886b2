"""Every prediction algorithm against the boxes of Sutton & Barto, chapters 5, 6, 7 and 12, in NumPy loops.

What the book does not say is how environments share a table: what they change at one time is added up.
"""

import jax
import numpy as np
import pytest

from bellmax.algorithms.tabular.batch_prediction import BatchPrediction
from bellmax.algorithms.tabular.lambda_return import LambdaReturn
from bellmax.algorithms.tabular.mc_prediction import MCPrediction
from bellmax.algorithms.tabular.n_step_td import NStepTD
from bellmax.algorithms.tabular.off_policy_mc_prediction import OffPolicyMCPrediction
from bellmax.algorithms.tabular.td_lambda import TDLambda
from bellmax.algorithms.tabular.td_prediction import TDPrediction
from bellmax.experience import Episodes
from bellmax.maths.schedules import Linear
from tests.tabular.streams import COLUMNS, ENVS, ROWS, SPEC, pieces, rows_of, stream, whole_episodes

STATES, GAMMA, ALPHA, INITIAL = ROWS * COLUMNS, 0.9, 0.3, 0.5
SETTINGS = {"gamma": GAMMA, "initial": INITIAL}


def begun(algorithm):
    return jax.jit(lambda key: algorithm.init(key, SPEC))(jax.random.key(0))


def assert_updates_are(algorithm, batches, expected):
    """Update by update the values are those of `expected`, a generator that is fed the rows of each batch."""
    state, update = begun(algorithm), jax.jit(algorithm.update)
    next(expected)
    for batch in batches:
        state, metrics = update(state, batch, jax.random.key(1))
        v = expected.send(rows_of(batch))
        assert all(np.isfinite(x) for x in metrics.values())
        np.testing.assert_allclose(state.v, v.reshape(ROWS, COLUMNS), rtol=1e-4, atol=1e-5)
    assert (np.abs(state.v - INITIAL) > 0.01).mean() > 0.6
    return state


def together(v, changes):
    """Changes [(state, amount), ...] of one time, added up."""
    for s, amount in changes:
        v[s] += amount


# --- one step at a time ----------------------------------------------------------------------------------------------


def td_box(decay):
    v, n = np.full(STATES, INITIAL), np.zeros(STATES)
    rows = yield
    while True:
        for row in rows:  # batches are of one step here
            real = [x for x in row if x[5]]
            for s, *_ in real:
                n[s] += 1
            together(v, [(s, ALPHA / n[s] ** decay * (r + GAMMA * d * v[s2] - v[s])) for s, r, d, _, s2, _, _ in real])
        rows = yield v


@pytest.mark.parametrize("decay", [0.0, 0.7])
def test_td(decay):
    algorithm = TDPrediction(**SETTINGS, learning_rate=ALPHA, decay=decay)
    batches = [b for b in pieces(stream(0, 12), 12) if b.weight.any()]
    assert_updates_are(algorithm, batches, td_box(decay))


def n_step_box(n):
    """The box of section 7.1; the history of each environment's episode is kept whole."""
    v, history = np.full(STATES, INITIAL), [[] for _ in range(ENVS)]
    rows = yield
    while True:
        for row in rows:
            turns = []  # of each environment: the times tau whose turn it is, the oldest first
            for past, x in zip(history, row):
                past += [x] if x[5] else []
                t = len(past) - 1
                first = t - n + 1
                due = range(max(first, 0), t + 1) if x[3] else range(max(first, 0), first + 1)
                turns.append(list(due) if x[5] else [])
            for k in range(max(map(len, turns))):
                changes = []
                for past, due in zip(history, turns):
                    if k < len(due):
                        changes.append(change(v, past, due[k], n))
                together(v, changes)
            for past, x in zip(history, row):
                if x[5] and x[3]:
                    past.clear()
        rows = yield v


def change(v, past, tau, n):
    g, power, (s, *_), s2 = 0.0, 1.0, past[tau], None
    for x in past[tau : tau + n]:
        g += power * x[1]
        power *= GAMMA * x[2]
        s2 = x[4]
    return s, ALPHA * (g + power * v[s2] - v[s])


@pytest.mark.parametrize("n", [1, 3, 20])
def test_n_step_td(n):
    algorithm = NStepTD(**SETTINGS, n=n, learning_rate=ALPHA)
    state = assert_updates_are(algorithm, pieces(stream(1, 36), 3), n_step_box(n))
    assert state.steps > 50


@pytest.mark.parametrize("n", [2, 3])
def test_n_step_td_in_a_long_episode_and_step_by_step(n):
    """The places of what waits are used again and again, and an update of one step carries over to the next."""
    long = stream(2, 30)
    long = long._replace(last=long.last & (np.arange(30) % 14 == 13)[:, None], discount=np.ones_like(long.discount))
    algorithm = NStepTD(**SETTINGS, n=n, learning_rate=ALPHA)
    expected, state, update = n_step_box(n), begun(algorithm), jax.jit(algorithm.update)
    next(expected)
    for batch in pieces(long, 30):
        state, _ = update(state, batch, jax.random.key(0))
        np.testing.assert_allclose(state.v.reshape(-1), expected.send(rows_of(batch)), rtol=1e-4, atol=1e-5)


def traces_box(kind, lambda_):
    """Boxes of sections 12.2 (with 12.5's other traces) and 12.5, features being unit vectors."""
    w, x = np.full(STATES, INITIAL), np.eye(STATES)
    z, old = [np.zeros(STATES)] * ENVS, [0.0] * ENVS
    fade = [0.0] * ENVS  # gamma of the step before
    rows = yield
    while True:
        for row in rows:
            delta = np.zeros(STATES)
            for n, (s, r, d, last, s2, weight, _) in enumerate(row):
                if not weight:
                    continue
                value, next_value = w @ x[s], w @ x[s2]
                td_error, faded = r + GAMMA * d * next_value - value, fade[n] * lambda_ * z[n]
                if kind == "accumulating":
                    z[n] = faded + x[s]
                    delta += ALPHA * td_error * z[n]
                elif kind == "replacing":
                    z[n] = np.where(x[s] > 0, 1.0, faded)
                    delta += ALPHA * td_error * z[n]
                else:
                    z[n] = faded + (1 - ALPHA * (faded @ x[s])) * x[s]
                    delta += ALPHA * (td_error + value - old[n]) * z[n] - ALPHA * (value - old[n]) * x[s]
                old[n], fade[n] = next_value, GAMMA * d
                if last:
                    z[n], old[n] = np.zeros(STATES), 0.0
            w = w + delta
        rows = yield w


@pytest.mark.parametrize("lambda_", [0.0, 0.8, 1.0])
@pytest.mark.parametrize("kind", ["accumulating", "replacing", "dutch"])
def test_td_lambda(kind, lambda_):
    algorithm = TDLambda(**SETTINGS, traces=kind, lambda_=lambda_, learning_rate=ALPHA)
    assert_updates_are(algorithm, pieces(stream(3, 36), 3), traces_box(kind, lambda_))


def test_the_kinds_of_traces_differ():
    values = []
    for kind in ("accumulating", "replacing", "dutch"):
        algorithm = TDLambda(**SETTINGS, traces=kind, learning_rate=ALPHA)
        values.append(algorithm.update(begun(algorithm), stream(3, 36), jax.random.key(0))[0].v)
    assert min(np.abs(a - b).max() for a, b in [values[:2], values[1:], values[::2]]) > 0.05


# --- whole episodes --------------------------------------------------------------------------------------------------


def episodes_of(rows):
    """The real steps of each environment."""
    return [[row[n] for row in rows if row[n][5]] for n in range(ENVS)]


def mc_return(episode, t):
    return sum(GAMMA ** (k - t) * x[1] for k, x in enumerate(episode) if k >= t)


def side_by_side(episodes):
    """(time, [(episode, state) that is running then, ...])."""
    for t in range(max(map(len, episodes))):
        yield t, [(episode, episode[t][0]) for episode in episodes if t < len(episode)]


def is_first(episode, t):
    return episode[t][0] not in [x[0] for x in episode[:t]]


def averages_box(first_visit):
    """Section 5.1: all returns of each state in a list."""
    returns = [[] for _ in range(STATES)]
    rows = yield
    while True:
        for episode in episodes_of(rows):
            for t, (s, *_) in enumerate(episode):
                if not first_visit or is_first(episode, t):
                    returns[s].append(mc_return(episode, t))
        rows = yield np.array([np.mean(x) if x else INITIAL for x in returns])


@pytest.mark.parametrize("first_visit", [False, True])
def test_monte_carlo_averages(first_visit):
    batches = [whole_episodes(seed) for seed in (0, 1, 2)]
    algorithm = MCPrediction(**SETTINGS, experience=Episodes(9), first_visit=first_visit)
    state = assert_updates_are(algorithm, batches, averages_box(first_visit))
    firsts = sum(is_first(e, t) for b in batches for e in episodes_of(rows_of(b)) for t in range(len(e)))
    assert state.count.sum() == (firsts if first_visit else state.steps)
    assert firsts < state.steps


def constant_box(target):
    """Eq. 6.1 and 12.4, from the first step of an episode to its last."""
    v = np.full(STATES, INITIAL)
    rows = yield
    while True:
        frozen = v.copy()
        for t, running in side_by_side(episodes_of(rows)):
            together(v, [(s, ALPHA * (target(episode, t, frozen) - v[s])) for episode, s in running])
        rows = yield v


def test_constant_alpha_monte_carlo():
    algorithm = MCPrediction(**SETTINGS, experience=Episodes(9), learning_rate=ALPHA, decay=0.0)
    batches = [whole_episodes(seed) for seed in (3, 4, 5)]
    assert_updates_are(algorithm, batches, constant_box(lambda episode, t, v: mc_return(episode, t)))


def slow_lambda_return(lambda_, episode, t, v):
    """Eq. 12.3: G = (1 - lambda) sum_n lambda^(n-1) G_{t:t+n} + lambda^(T-t-1) G_t; the last may bootstrap."""

    def n_step(n):
        *_, (_, _, d, _, s2, _, _) = part = episode[t : t + n]
        return sum(GAMMA**k * x[1] for k, x in enumerate(part)) + GAMMA**n * d * v[s2]

    rest = len(episode) - t
    return (1 - lambda_) * sum(lambda_ ** (n - 1) * n_step(n) for n in range(1, rest)) + lambda_ ** (rest - 1) * n_step(
        rest
    )


@pytest.mark.parametrize("lambda_", [0.0, 0.7, 1.0])
def test_lambda_return(lambda_):
    algorithm = LambdaReturn(**SETTINGS, experience=Episodes(9), learning_rate=ALPHA, lambda_=lambda_)
    batches = [whole_episodes(seed) for seed in (6, 7, 8)]
    box = constant_box(lambda episode, t, v: slow_lambda_return(lambda_, episode, t, v))
    assert_updates_are(algorithm, batches, box)


def importance_box(weighted, first_visit):
    """Eq. 5.5 and 5.6 as they stand: sums over all visits so far."""
    over, under = np.zeros(STATES), np.zeros(STATES)
    rows = yield
    while True:
        for episode in episodes_of(rows):
            for t, (s, *_) in enumerate(episode):
                if not first_visit or is_first(episode, t):
                    rho = np.prod([x[6] for x in episode[t:]])
                    over[s] += rho * mc_return(episode, t)
                    under[s] += rho if weighted else 1
        rows = yield np.where(under > 0, over / np.where(under > 0, under, 1), INITIAL)


@pytest.mark.parametrize("first_visit", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_off_policy_monte_carlo(weighted, first_visit):
    settings = {"experience": Episodes(9), "weighted": weighted, "first_visit": first_visit}
    batches = [whole_episodes(seed) for seed in (9, 10, 14)]
    assert_updates_are(OffPolicyMCPrediction(**SETTINGS, **settings), batches, importance_box(weighted, first_visit))


def certainty_box(kind, capacity):
    """Section 6.3: the exact values of the most likely model of what is kept; or the mean return of what is."""
    kept = []
    rows = yield
    while True:
        returns = {id(x): mc_return(e, t) for e in episodes_of(rows) for t, x in enumerate(e)}
        kept = [*kept, *[(x, returns[id(x)]) for row in rows for x in row if x[5]]][-capacity:]
        p, r, n = np.zeros((STATES, STATES)), np.zeros(STATES), np.zeros(STATES)
        for (s, reward, d, _, s2, _, _), g in kept:
            n[s] += 1
            r[s] += reward if kind == "td" else g
            p[s, s2] += GAMMA * d if kind == "td" else 0
        seen = n > 0
        r, p = r / np.maximum(n, 1), p / np.maximum(n, 1)[:, None]
        stay = ~seen * np.full(STATES, INITIAL)  # a state without visits keeps its value
        rows = yield np.linalg.solve(np.eye(STATES) - p, np.where(seen, r, stay))


@pytest.mark.parametrize("kind", ["td", "mc"])
@pytest.mark.parametrize("capacity", [18, 100])
def test_batch_prediction(kind, capacity):
    """18 steps are fewer than three rounds bring: the oldest are forgotten, and their values stay where they were."""
    algorithm = BatchPrediction(
        **SETTINGS, experience=Episodes(9), target=kind, capacity=capacity, tolerance=1e-6, learning_rate=0.9
    )
    batches = [whole_episodes(seed) for seed in (9, 10, 16)]
    steps = sum(b.weight.sum() for b in batches)
    assert 18 < steps < 100
    state = assert_updates_are(algorithm, batches, certainty_box(kind, capacity))
    assert state.past.weight.sum() == min(capacity, steps)


def test_batch_prediction_says_when_a_round_does_not_fit():
    with pytest.raises(ValueError, match="keep at least 18"):
        begun(BatchPrediction(experience=Episodes(9), capacity=17))


# --- step sizes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", [TDPrediction, NStepTD, TDLambda, MCPrediction, LambdaReturn])
def test_step_sizes_follow_the_clock(algorithm):
    """A schedule that has fallen from 0.6 to 0.3 is a step size of 0.3."""
    episodes = {"experience": Episodes(9)} if algorithm in (MCPrediction, LambdaReturn) else {}
    batch = whole_episodes(3)
    one, other = (algorithm(learning_rate=rate, **episodes) for rate in (Linear(0.6, 0.0, 100.0), 0.3))
    state = begun(one)._replace(steps=np.float32(50))
    got, expected, early = (
        a.update(s, batch, jax.random.key(0))[0].v for a, s in ((one, state), (other, state), (one, begun(one)))
    )
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert np.abs(early - expected).max() > 0.01
