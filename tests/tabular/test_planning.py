"""Dyna-Q, Dyna-Q+ and prioritised sweeping against the boxes of chapter 8, in loops, one transition at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.tabular.dyna_q import DynaQ
from bellmax.algorithms.tabular.dyna_q_plus import DynaQPlus
from bellmax.algorithms.tabular.prioritised_sweeping import PrioritisedSweeping
from bellmax.experience import Steps
from bellmax.maths.chance import uniform
from tests.tabular.planning_worlds import LEGAL, MASKED, PLAIN, experience

SPECS = {"plain": PLAIN, "masked": MASKED}
SETTINGS = {"experience": Steps(4), "gamma": 0.9, "learning_rate": 0.3, "initial": 0.5, "planning_steps": 5}


class Slow:
    """The tables of the boxes, in dictionaries and float64."""

    def __init__(self, spec):
        self.masked = spec is MASKED
        self.q, self.model, self.seen, self.time, self.tried_at = np.full((12, 3), 0.5), {}, [], 0, {}

    def value(self, s):
        legal = self.legal(s)
        return max(self.q[s, a] for a in legal) if legal else 0.0

    def legal(self, s):
        return [a for a in range(3) if not self.masked or LEGAL[s, a]]

    def error(self, s, a, r, discount, new, bonus=0.0):
        return r + bonus + 0.9 * discount * self.value(new) - self.q[s, a]

    def rows(self, batch, numbers):
        """What really happened, in order of time: (s, a, r, discount, s')."""
        state, action, new = numbers
        rows = [(state[i], action[i], batch.reward[i], batch.discount[i], new[i]) for i in np.ndindex(state.shape)]
        self.real = np.asarray(batch.weight).reshape(-1) > 0
        return [tuple(x.item() for x in row) for row in rows]

    def learn_from_all(self, rows):
        """(d): every environment's change, from the values before."""
        changes = [(s, a, 0.3 * self.error(s, a, *rest)) for (s, a, *rest), real in zip(rows, self.real) if real]
        for s, a, change in changes:
            self.q[s, a] += change

    def remember(self, rows):
        """(e)."""
        self.time += sum(self.real)
        for (s, a, *rest), real in zip(rows, self.real):
            if real:
                self.model[s, a] = rest
                self.tried_at[s, a] = self.time
                if s not in self.seen:
                    self.seen.append(s)

    def imagine(self, choice, n, kappa=None):
        """(f): choice [rows, n, 2] are the numbers that choose the state and the action."""
        for row, real in zip(choice, self.real):
            for which, what in row if real else ():
                s = self.seen[int(which * len(self.seen))]
                if kappa is None:
                    actions, bonus = [a for a in range(3) if (s, a) in self.model], 0.0
                else:
                    actions = self.legal(s)
                a = actions[int(what * len(actions))]
                if kappa is not None:
                    bonus = kappa * np.sqrt(self.time - self.tried_at.get((s, a), 0))
                r, discount, new = self.model.get((s, a), (0.0, 1.0, s))
                self.q[s, a] += 0.3 * self.error(s, a, r, discount, new, bonus)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("kappa", [None, 0.2])
def test_three_updates_of_dyna_are_those_of_the_box(spec, kappa):
    dyna = DynaQ(**SETTINGS) if kappa is None else DynaQPlus(**SETTINGS, kappa=kappa)
    state, slow, update = dyna.init(jax.random.key(0), spec), Slow(spec), jax.jit(dyna.update)
    for seed in (1, 2, 3):
        batch, numbers = experience(spec, seed)
        state, _ = update(state, batch, jax.random.key(seed))
        rows = slow.rows(batch, numbers)
        slow.learn_from_all(rows)
        slow.remember(rows)
        slow.imagine(np.asarray(uniform(jax.random.key(seed), (8, 5, 2))), 5, kappa)
        np.testing.assert_allclose(state.q.reshape(12, 3), slow.q, atol=1e-5)
        assert float(state.steps) == slow.time
        assert state.model.visited[: state.model.visits].tolist() == slow.seen
    assert len(slow.seen) >= 6
    assert not slow.real.all()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_six_updates_of_prioritised_sweeping_are_those_of_the_box(spec):
    sweeping = PrioritisedSweeping(**SETTINGS, theta=0.2)
    state, slow, update = sweeping.init(jax.random.key(0), spec), Slow(spec), jax.jit(sweeping.update)
    queue, predecessors = {}, 0
    for seed in range(1, 7):
        batch, numbers = experience(spec, seed)
        state, metrics = update(state, batch, jax.random.key(seed))
        rows = slow.rows(batch, numbers)
        priorities = [((s, a), abs(slow.error(s, a, *rest))) for s, a, *rest in rows]
        slow.remember(rows)
        for (pair, priority), real in zip(priorities, slow.real):
            if real and priority > 0.2:
                queue[pair] = max(priority, queue.get(pair, 0))
        backups = 0
        while queue and backups < 5 * sum(slow.real):
            s, a = max(queue, key=queue.get)
            del queue[s, a]
            slow.q[s, a] += 0.3 * slow.error(s, a, *slow.model[s, a])
            backups += 1
            for pair, (r, discount, new) in slow.model.items():
                priority = abs(slow.error(*pair, r, discount, new))
                if new == s and priority > 0.2:
                    predecessors += 1
                    queue[pair] = max(priority, queue.get(pair, 0))
        assert int(metrics["backups"]) == backups
        np.testing.assert_allclose(state.q.reshape(12, 3), slow.q, atol=1e-5)
        expected = np.zeros((12, 3))
        for pair, priority in queue.items():
            expected[pair] = priority
        np.testing.assert_allclose(state.priority.reshape(12, 3), expected, atol=1e-5)
    assert predecessors >= 10


@pytest.mark.parametrize("kind", [DynaQ, DynaQPlus, PrioritisedSweeping])
def test_the_model_remembers_terminations(kind):
    """A last step into a state that is worth 100 in itself: however often it is replayed, the step is worth its 1."""
    algorithm = kind(gamma=0.9, learning_rate=1.0, planning_steps=20, initial=0.0)
    state = algorithm.init(jax.random.key(0), PLAIN._replace(num_envs=1))
    state = state._replace(q=state.q.at[7].set(100.0))
    batch = experience(PLAIN, 1, time=1, num_envs=1)[0]
    one = lambda x: jnp.full((1, 1), x)
    batch = batch._replace(obs=one(3), action=one(2), next_obs=one(7), reward=one(1.0), weight=one(1.0))
    update = jax.jit(algorithm.update)
    ended, _ = update(state, batch._replace(discount=one(0.0), last=one(True)), jax.random.key(0))
    assert float(ended.q[3, 2]) == pytest.approx(1)
    cut, _ = update(state, batch._replace(discount=one(1.0), last=one(True)), jax.random.key(0))
    assert float(cut.q[3, 2]) == pytest.approx(91), "a time limit is no termination"


def test_a_model_that_went_stale_is_overwritten_by_what_happens_now():
    dyna = DynaQ(gamma=0.9, learning_rate=1.0, planning_steps=5)
    state, update = dyna.init(jax.random.key(0), PLAIN._replace(num_envs=1)), jax.jit(dyna.update)
    batch = experience(PLAIN, 1, time=1, num_envs=1)[0]
    one = lambda x: jnp.full((1, 1), x)
    batch = batch._replace(obs=one(3), action=one(2), discount=one(0.0), last=one(True), weight=one(1.0))
    for reward, next_obs in ((5.0, 4), (-1.0, 6)):
        state, _ = update(state, batch._replace(reward=one(reward), next_obs=one(next_obs)), jax.random.key(0))
        assert float(state.q[3, 2]) == reward
        assert int(state.model.successor[3, 2]) == next_obs
    assert int(state.model.visits) == 1


def test_a_pair_that_is_in_the_queue_already_keeps_the_higher_priority():
    # State 0 leads to 1, which leads to the end; nothing is paid. Q(1) = 1 is wrong by 1 and becomes .5; then state 0,
    # whose Q is 0, is wrong by .9 x .5 = .45, which is less than the .5 it waits with, or more than the .4.
    sweeping = PrioritisedSweeping(gamma=0.9, learning_rate=0.5)
    model = sweeping.init(jax.random.key(0), PLAIN).model
    cells = [0, 1], [0, 0]
    model = model._replace(
        successor=model.successor.at[cells].set(jnp.array([1, 11])),
        discount=model.discount.at[1, 0].set(0.0),
        tried=model.tried.at[cells].set(True),
    )
    for waits, expected in ((0.5, 0.5), (0.4, 0.45)):
        q, priority = jnp.zeros((12, 3)).at[1, 0].set(1.0), jnp.zeros((12, 3)).at[cells].set(jnp.array([waits, 0.8]))
        q, priority, backups = sweeping.sweep(q, priority, model, 0.5, jnp.int32(1))
        assert int(backups) == 1
        assert float(q[1, 0]) == 0.5
        assert float(priority[0, 0]) == pytest.approx(expected)
        assert float(priority[1, 0]) == 0
