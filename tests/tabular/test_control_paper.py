"""Every update of the control algorithms is the book's boxed pseudo-code, in NumPy loops.

Two environments walk through a world small enough for pairs to come up again within an episode; some episodes
terminate, some are cut by a time limit, some rows are padding. One run sees numbered states, one (3, 4) with a mask.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.tabular.double_q_learning import DoubleQLearning
from bellmax.algorithms.tabular.expected_sarsa import ExpectedSARSA
from bellmax.algorithms.tabular.mc_control import MCControl
from bellmax.algorithms.tabular.n_step_sarsa import NStepSARSA
from bellmax.algorithms.tabular.off_policy_mc_control import OffPolicyMCControl
from bellmax.algorithms.tabular.q_learning import QLearning
from bellmax.algorithms.tabular.sarsa import SARSA
from bellmax.algorithms.tabular.sarsa_lambda import SARSALambda
from bellmax.algorithms.tabular.watkins_q_lambda import WatkinsQLambda
from bellmax.maths.chance import uniform
from bellmax.maths.exploration import EpsilonGreedy
from tests.tabular.walks import ACTIONS, MASKED, PLAIN, STATES, episodes, legal_of, soft, walk

GAMMA, ALPHA, DECAY, EPSILON = 0.9, 0.5, 0.4, 0.3
SETTINGS = {"gamma": GAMMA, "initial": 0.25, "exploration": EpsilonGreedy(EPSILON)}
RATES = {"learning_rate": ALPHA, "decay": DECAY}
AXES = {PLAIN: (STATES,), MASKED: (3, 4)}
SPECS = pytest.mark.parametrize("spec", [PLAIN, MASKED], ids=["numbered", "masked"])


class Table:
    """Q and visits by state number, and the policy that they give; changes of one moment are added up."""

    def __init__(self, spec):
        self.q, self.count = np.full((STATES, ACTIONS), 0.25), np.zeros((STATES, ACTIONS))
        self.legal = legal_of(spec)

    def expected(self, s):
        return sum(p * q for p, q in zip(soft(self.q[s], self.legal[s], EPSILON), self.q[s]))

    def best(self, s):
        return max((self.q[s, a] for a in range(ACTIONS) if self.legal[s, a]), default=0.0)

    def step_size(self, s, a):
        return ALPHA / max(self.count[s, a], 1) ** DECAY


def one_by_one(algorithm, spec, batch, time=1):
    """The tables after each update with `time` rows."""
    state, update, found = algorithm.init(jax.random.key(0), spec), jax.jit(algorithm.update), []
    for start in range(0, len(batch.reward), time):
        rows = jax.tree.map(lambda x, start=start: jnp.asarray(x[start : start + time]), batch)
        state, metrics = update(state, rows, jax.random.key(start))
        assert all(np.isfinite(x) for x in metrics.values())
        found.append(np.asarray(state.q, np.float64).reshape(*state.q.shape[: -len(AXES[spec]) - 1], STATES, ACTIONS))
    assert float(state.steps) == batch.weight.sum()
    return found


def rows_of(batch, state, new, t):
    """(env, S, A, R, goes on, last, S') of the real steps of time `t`."""
    for e in range(len(batch.reward[t])):
        if batch.weight[t, e]:
            yield (
                e,
                state[t, e],
                batch.action[t, e],
                batch.reward[t, e],
                batch.discount[t, e],
                batch.last[t, e],
                new[t, e],
            )


def slow_one_step(spec, batch, state, new, value):
    """Sections 6.5 and 6.6: R + gamma value(S') at once."""
    table = Table(spec)
    for t in range(len(batch.reward)):
        rows = list(rows_of(batch, state, new, t))
        for _, s, a, *_ in rows:
            table.count[s, a] += 1
        changes = [
            (s, a, table.step_size(s, a) * (r + GAMMA * on * value(table, s2) - table.q[s, a]))
            for _, s, a, r, on, _, s2 in rows
        ]
        for s, a, change in changes:
            table.q[s, a] += change
        yield table.q.copy()


@SPECS
@pytest.mark.parametrize(("kind", "value"), [(QLearning, Table.best), (ExpectedSARSA, Table.expected)])
def test_one_step_targets(spec, kind, value):
    batch, state, new = walk(spec, 1, 40)
    assert ((batch.discount == 0) & (batch.weight > 0)).sum() > 3
    assert (batch.last & (batch.discount == 1)).sum() > 3
    assert (batch.weight == 0).sum() > 3
    found = one_by_one(kind(**SETTINGS, **RATES), spec, batch)
    np.testing.assert_allclose(found, list(slow_one_step(spec, batch, state, new, value)), atol=1e-5)


@SPECS
def test_double_q_learning(spec):
    batch, state, new = walk(spec, 2, 40)
    found = one_by_one(DoubleQLearning(**SETTINGS, **RATES), spec, batch)
    q, count, legal = np.full((2, STATES, ACTIONS), 0.25), np.zeros((2, STATES, ACTIONS)), legal_of(spec)
    heads = 0
    for t in range(40):
        coins = [0 if u >= 0.5 else 1 for u in np.asarray(uniform(jax.random.key(t), (2,)))]
        rows = list(rows_of(batch, state, new, t))
        for e, s, a, *_ in rows:
            count[coins[e], s, a] += 1
            heads += coins[e]
        changes = []
        for e, s, a, r, on, _, s2 in rows:
            learns, values = q[coins[e]], q[1 - coins[e]]
            chosen = soft(learns[s2], legal[s2], 0.0)  # ties share
            target = r + GAMMA * on * sum(p * v for p, v in zip(chosen, values[s2]))
            alpha = ALPHA / max(count[coins[e], s, a], 1) ** DECAY
            changes.append((coins[e], s, a, alpha * (target - learns[s, a])))
        for which, s, a, change in changes:
            q[which, s, a] += change
        np.testing.assert_allclose(found[t], q, atol=1e-5)
    assert 0.3 < heads / batch.weight.sum() < 0.7


def slow_n_step(spec, batch, state, new, n):
    """The box of section 7.2, for several environments; episodes are kept whole and every G is summed afresh."""
    table, stories = Table(spec), [[], []]

    def learn(which):  # [(S, A, G)]: at one moment
        for s, a, change in [(s, a, table.step_size(s, a) * (g - table.q[s, a])) for s, a, g in which]:
            table.q[s, a] += change

    def rewards(story, tau, end):
        return sum(GAMMA ** (i - tau) * story[i][2] for i in range(tau, end))

    for t in range(len(batch.reward)):
        rows = list(rows_of(batch, state, new, t))
        ready = [(stories[e], len(stories[e]) - n, s, a) for e, s, a, *_ in rows if len(stories[e]) >= n]
        learn([(*y[tau][:2], rewards(y, tau, tau + n) + GAMMA**n * table.q[s, a]) for y, tau, s, a in ready])
        for e, s, a, r, *_ in rows:
            table.count[s, a] += 1
            stories[e].append((s, a, r))
        over = [(stories[e], on * table.expected(s2)) for e, _, _, _, on, last, s2 in rows if last]
        for back in range(n, 0, -1):
            ends = [(y, len(y) - back, len(y), value) for y, value in over if len(y) >= back]
            learn([(*y[tau][:2], rewards(y, tau, end) + GAMMA**back * value) for y, tau, end, value in ends])
        for e, *_, last, _ in rows:
            if last:
                stories[e] = []
        yield table.q.copy()


@SPECS
@pytest.mark.parametrize(
    ("algorithm", "n"), [(SARSA(**SETTINGS, **RATES), 1), (NStepSARSA(**SETTINGS, **RATES, n=3), 3)], ids=["1", "3"]
)
def test_sarsa_and_n_step_sarsa(spec, algorithm, n):
    batch, state, new = walk(spec, 3, 60)
    expected = list(slow_n_step(spec, batch, state, new, n))
    np.testing.assert_allclose(one_by_one(algorithm, spec, batch), expected, atol=1e-5)
    np.testing.assert_allclose(one_by_one(algorithm, spec, batch, time=4), expected[3::4], atol=1e-5)
    other = list(slow_n_step(spec, batch, state, new, n + 1))
    assert np.abs(other[-1] - expected[-1]).max() > 0.01, "the test would see another n"


def slow_lambda(spec, batch, state, new, fade, replacing):
    """The box of section 12.7 with a feature a pair, for several environments."""
    table, z, waiting = Table(spec), np.zeros((2, STATES, ACTIONS)), [None, None]

    def learn(which):  # [(env, S, A, R + gamma Q(S',A'))]
        deltas = [(e, target - table.q[s, a]) for e, s, a, target in which]
        alpha = ALPHA / np.maximum(table.count, 1) ** DECAY
        for e, delta in deltas:
            table.q += alpha * delta * z[e]
            z[e] *= GAMMA * fade

    for t in range(len(batch.reward)):
        rows = list(rows_of(batch, state, new, t))
        ready = [(e, *waiting[e][:2], waiting[e][2] + GAMMA * table.q[s, a]) for e, s, a, *_ in rows if waiting[e]]
        learn(ready)
        for e, s, a, r, *_ in rows:
            table.count[s, a] += 1
            z[e, s, a] = 1 if replacing else z[e, s, a] + 1
            waiting[e] = (s, a, r)
        learn([(e, s, a, r + GAMMA * on * table.expected(s2)) for e, s, a, r, on, last, s2 in rows if last])
        for e, *_, last, _ in rows:
            if last:
                z[e], waiting[e] = 0, None
        yield table.q.copy()


@SPECS
@pytest.mark.parametrize("traces", ["replacing", "accumulating"])
def test_sarsa_lambda(spec, traces):
    batch, state, new = walk(spec, 4, 60)
    expected = list(slow_lambda(spec, batch, state, new, 0.8, traces == "replacing"))
    algorithm = SARSALambda(**SETTINGS, **RATES, lambda_=0.8, traces=traces)
    np.testing.assert_allclose(one_by_one(algorithm, spec, batch), expected, atol=2e-5)
    np.testing.assert_allclose(one_by_one(algorithm, spec, batch, time=4), expected[3::4], atol=2e-5)
    other = list(slow_lambda(spec, batch, state, new, 0.8, traces != "replacing"))
    assert np.abs(other[-1] - expected[-1]).max() > 0.01, "pairs come up again while their traces last"


def slow_watkins(spec, batch, state, new, fade, replacing):
    """Q-learning with traces that are cut where the action was not greedy."""
    table, z, cuts = Table(spec), np.zeros((2, STATES, ACTIONS)), 0
    for t in range(len(batch.reward)):
        rows = list(rows_of(batch, state, new, t))
        for e, s, a, *_ in rows:
            if table.q[s, a] < table.best(s):
                cuts += z[e].any()
                z[e] = 0
            z[e, s, a] = 1 if replacing else z[e, s, a] + 1
        for _, s, a, *_ in rows:
            table.count[s, a] += 1
        deltas = [(e, r + GAMMA * on * table.best(s2) - table.q[s, a]) for e, s, a, r, on, _, s2 in rows]
        alpha = ALPHA / np.maximum(table.count, 1) ** DECAY
        for e, delta in deltas:
            table.q += alpha * delta * z[e]
            z[e] *= GAMMA * fade
        for e, *_, last, _ in rows:
            if last:
                z[e] = 0
        yield table.q.copy()
    assert cuts > 3


@SPECS
@pytest.mark.parametrize("traces", ["replacing", "accumulating"])
def test_watkins_q_lambda(spec, traces):
    batch, state, new = walk(spec, 5, 60)
    expected = list(slow_watkins(spec, batch, state, new, 0.8, traces == "replacing"))
    algorithm = WatkinsQLambda(**SETTINGS, **RATES, lambda_=0.8, traces=traces)
    np.testing.assert_allclose(one_by_one(algorithm, spec, batch), expected, atol=2e-5)


def returns(table, rewards, on, last_state):
    """G of every step of one episode; Q under the policy stands for what lies behind a time limit."""
    g, found = on * table.expected(last_state), []
    for r in reversed(rewards):
        g = r + GAMMA * g
        found.append(g)
    return found[::-1]


def story(batch, state, new, e):
    """One episode -> S, A, R, whether it was cut, and the state behind it."""
    length = int(batch.weight[:, e].sum())
    on = float(batch.discount[length - 1, e])
    return state[:length, e], batch.action[:length, e], batch.reward[:length, e], on, new[length - 1, e]


@SPECS
@pytest.mark.parametrize("rates", [{}, RATES], ids=["averages", "falling steps"])
def test_mc_control(spec, rates):
    """Section 5.4: with the defaults, Returns(S,A) are lists and Q their averages."""
    algorithm, lists = MCControl(**SETTINGS, **rates), {}
    table, found = Table(spec), algorithm.init(jax.random.key(0), spec)
    update = jax.jit(algorithm.update)
    for seed in range(5):
        batch, state, new = episodes(spec, seed, 12)
        found, metrics = update(found, jax.tree.map(jnp.asarray, batch), jax.random.key(0))
        stories = [story(batch, state, new, e) for e in range(2)]
        targets = [returns(table, r, on, s2) for _, _, r, on, s2 in stories]
        errors = []
        before = table.q.copy()
        for t in range(12):
            now = []
            for (s, a, *_), g in zip(stories, targets):
                pair = (s[t], a[t]) if t < len(s) else None
                if pair and pair not in list(zip(s[:t], a[:t])):
                    now.append((*pair, g[t]))
            for s, a, g in now:
                table.count[s, a] += 1
                lists.setdefault((s, a), []).append(g)
                errors.append(abs(g - before[s, a]))
            changes = [(s, a, table.step_size(s, a) * (g - table.q[s, a])) for s, a, g in now]
            for s, a, change in changes:
                table.q[s, a] = table.q[s, a] + change if rates else np.mean(lists[s, a])
        np.testing.assert_allclose(np.asarray(found.q).reshape(STATES, ACTIONS), table.q, atol=1e-5)
        np.testing.assert_allclose(metrics["return_error"], np.mean(errors), rtol=1e-4)
    assert max(len(each) for each in lists.values()) > 3


@SPECS
def test_off_policy_mc_control(spec):
    """Section 5.7, two episodes side by side. Q begins so low that what was tried is greedy for a while."""
    algorithm = OffPolicyMCControl(**SETTINGS | {"initial": -2.0})
    found = algorithm.init(jax.random.key(0), spec)
    q, c, legal = np.full((STATES, ACTIONS), -2.0), np.zeros((STATES, ACTIONS)), legal_of(spec)
    update, most = jax.jit(algorithm.update), 0
    for seed in range(12):
        batch, state, new = episodes(spec, seed, 12)
        b = np.random.default_rng(seed).uniform(EPSILON, 1, batch.reward.shape).astype(np.float32)
        with_b = batch._replace(extras={"probability": b})
        found, metrics = update(found, jax.tree.map(jnp.asarray, with_b), jax.random.key(0))
        best = lambda s: max((q[s, a] for a in range(ACTIONS) if legal[s, a]), default=0.0)
        g, w, learned = [0.0, 0.0], [0.0, 0.0], 0
        for t in reversed(range(12)):
            now = list(rows_of(batch, state, new, t))
            for e, s, a, r, on, last, s2 in now:
                if last:
                    w[e], g[e] = 1.0, on * best(s2)
                g[e] = GAMMA * g[e] + r
                c[s, a] += w[e]
            changes = [(s, a, w[e] / c[s, a] * (g[e] - q[s, a])) for e, s, a, *_ in now if w[e] > 0]
            for s, a, change in changes:
                q[s, a] += change
                learned += 1
            for e, s, a, *_ in now:
                w[e] = w[e] / b[t, e] if q[s, a] == best(s) else 0.0
                most = max(most, w[e])
        np.testing.assert_allclose(np.asarray(found.q).reshape(STATES, ACTIONS), q, atol=1e-5)
        np.testing.assert_allclose(np.asarray(found.total).reshape(STATES, ACTIONS), c, rtol=1e-5)
        np.testing.assert_allclose(metrics["learned"], learned / batch.weight.sum(), rtol=1e-5)
    assert most > 2, "weights were at work"
