"""Prioritised replay against the formulas of Schaul et al., 2016: P(i) ~ p^alpha, weights (N P)^-beta / the largest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import Linear
from bellmax.experience import Prioritised
from tests.experience.made_up import drawn, example, filled, is_from, kept, numbered, quick, times

ENVS, ROWS = 3, 20
BUFFER = Prioritised(capacity=ENVS * ROWS, batch=300, alpha=0.7, beta=0.5)
EPSILON = 1e-6


class ByHand:
    """One dictionary: the priority of the window that begins at (time, env)."""

    def __init__(self, experience):
        self.experience, self.priority, self.highest, self.time = experience, {}, 1.0, 0

    def add(self, fresh):
        for weight in fresh.weight:
            begun = self.time - self.experience.n + 1
            self.weights = {**getattr(self, "weights", {}), **{(self.time, e): w for e, w in enumerate(weight)}}
            for env in range(ENVS):
                self.priority.pop((self.time - ROWS, env), None)
                if begun >= 0 and self.weights[begun, env] > 0:
                    self.priority[begun, env] = self.highest
            self.time += 1

    def reweigh(self, t, env, priority):
        for i, p in enumerate(priority):
            self.priority[t[i], env[i]] = abs(p) + EPSILON
        self.highest = max(self.highest, *(abs(priority) + EPSILON))

    def probability(self):
        table = np.zeros((self.time, ENVS))
        for place, p in self.priority.items():
            table[place] = p**self.experience.alpha
        return table / table.sum()


def surprise(t, env):
    """A priority that a window keeps, from 0.05 to 3, so that which of a window's two draws is kept is the same."""
    return np.float32(0.05 + 2.95 * ((t * 7 + env * 13) % 11) / 10)


def played(experience, rounds, learned_from, padding=0.0):
    """Rounds added; behind each, batches drawn and learned from -> buffer, the last round, the same by hand."""
    steps, by_hand = list(numbered(2, rounds, experience.length, ENVS, padding=padding)), ByHand(experience)
    buffer = experience.empty(example(steps[0]), ENVS)
    add, sample, reweigh = (quick(f) for f in (experience.add, experience.sample, experience.reweigh))
    for i, fresh in enumerate(steps):
        buffer = add(buffer, fresh)
        by_hand.add(fresh)
        if by_hand.time < experience.n:
            continue
        for k in range(learned_from):
            batch = sample(buffer, fresh, jax.random.key(100 * i + k))
            t, env = times(batch)
            buffer = reweigh(buffer, batch, jnp.asarray(surprise(t, env)))
            by_hand.reweigh(t, env, surprise(t, env))
    return buffer, fresh, by_hand


CASES = {
    "new, before it is full": (BUFFER, 8, 0, 0.0),
    "learned from, before it is full": (BUFFER, 8, 1, 0.0),
    "learned from, written over many times": (BUFFER.replace(n=3), 67, 2, 0.0),
    "rounds, with padding": (BUFFER.replace(n=4, length=2), 23, 1, 0.2),
}


@pytest.fixture(params=CASES, scope="module")
def case(request):
    experience, rounds, learned_from, padding = CASES[request.param]
    buffer, fresh, by_hand = played(experience, rounds, learned_from, padding)
    return experience, buffer, by_hand, drawn(experience, buffer, fresh, 100)


def test_windows_are_drawn_in_proportion_to_their_priority(case):
    experience, _, by_hand, batch = case
    counts, wanted = np.zeros((by_hand.time, ENVS)), by_hand.probability()
    np.add.at(counts, times(batch), 1)
    assert (batch.weight[0] > 0).all(), "padding, and what begins no whole window, is never drawn"
    assert (wanted > 0).sum() > 0.5 * wanted[max(by_hand.time - ROWS, 0) :].size
    assert is_from(counts, wanted)
    if len(set(by_hand.priority.values())) > 1:  # the control: other exponents are seen
        other = wanted ** ((experience.alpha + 0.1) / experience.alpha)
        assert not is_from(counts, other / other.sum())


def test_weights_are_those_of_the_formula(case):
    experience, buffer, by_hand, batch = case
    held = min(by_hand.time, ROWS) * ENVS
    weight = (held * by_hand.probability()[times(batch)]) ** -experience.beta
    weight = weight.reshape(100, experience.batch)
    weight = weight / weight.max(1, keepdims=True)
    np.testing.assert_allclose(batch.weight[0].reshape(weight.shape), weight, rtol=2e-4)
    ended = np.cumsum(batch.last, axis=0) - batch.last > 0
    assert (batch.weight[ended] == 0).all()
    assert float(buffer.highest) == pytest.approx(by_hand.highest)


def test_what_is_new_has_the_highest_priority_so_far():
    buffer, fresh, by_hand = played(BUFFER, 8, 1)
    assert by_hand.highest > 2.9
    buffer = quick(BUFFER.add)(buffer, fresh)
    newest = np.asarray(buffer.tree[0]).reshape(-1)[8 * ENVS : 9 * ENVS]
    np.testing.assert_allclose(newest, by_hand.highest**BUFFER.alpha, rtol=1e-5)
    assert np.asarray(buffer.tree[0]).max() == newest[0]


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf])
def test_nonsense_does_not_poison_the_tree(nonsense):
    buffer, fresh, by_hand = played(BUFFER, 8, 1)
    batch = quick(BUFFER.sample)(buffer, fresh, jax.random.key(0))
    priority = jnp.ones(BUFFER.batch).at[3].set(nonsense)
    after = quick(BUFFER.reweigh)(buffer, batch, priority)
    assert all(np.isfinite(x).all() for x in after.tree)
    assert float(after.highest) == pytest.approx(by_hand.highest)
    again = quick(BUFFER.sample)(after, fresh, jax.random.key(1))
    assert np.isfinite(again.weight).all()


def test_alpha_0_is_even_and_beta_rises_with_the_clock():
    even = BUFFER.replace(alpha=0.0)
    buffer, fresh, by_hand = played(even, 8, 1)
    counts = np.zeros((8, ENVS))
    batch = drawn(even, buffer, fresh, 40)
    np.add.at(counts, times(batch), 1)
    assert is_from(counts, np.full((8, ENVS), 1 / (8 * ENVS)))
    assert (batch.weight == 1).all()
    rising = BUFFER.replace(beta=Linear(0.0, 1.0, 48.0))  # half way: 8 rounds of 3 steps
    buffer, fresh, _ = played(BUFFER, 8, 1)
    one, other = (quick(x.sample)(buffer, fresh, jax.random.key(0)).weight for x in (rising, BUFFER))
    np.testing.assert_allclose(one, other, rtol=1e-5)
    assert by_hand.time == 8


def test_it_is_the_same_under_vmap_and_in_place():
    experience = BUFFER.replace(capacity=60_000, batch=4)
    fresh = next(numbered(0, 1, 1, ENVS))
    buffer = experience.empty(example(fresh), ENVS)

    def turn(buffer, key):
        buffer = experience.add(buffer, fresh)
        batch = experience.sample(buffer, fresh, key)
        return experience.reweigh(buffer, batch, batch.reward[0]), batch

    compiled = jax.jit(turn, donate_argnums=0).lower(buffer, jax.random.key(0)).compile()
    whole = experience.bytes(example(fresh), ENVS)
    assert compiled.memory_analysis().alias_size_in_bytes >= whole
    assert compiled.memory_analysis().temp_size_in_bytes < whole / 5
    small = [played(BUFFER, rounds, 1)[0] for rounds in (8, 9)]
    both, keys = jax.tree.map(lambda *x: jnp.stack(x), *small), jax.random.split(jax.random.key(0))
    batch = quick(jax.vmap(lambda buffer, key: BUFFER.sample(buffer, fresh, key)))(both, keys)
    for i in range(2):
        one = quick(BUFFER.sample)(small[i], fresh, keys[i])
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x[i], y, rtol=1e-5), batch, one)  # noqa: B023


def test_windows_are_as_in_replay():
    experience = BUFFER.replace(n=3)
    steps = list(numbered(9, 41, 1, ENVS))
    batch, everything = drawn(experience, *filled(experience, steps), 1), kept(steps)
    t, env = times(batch)
    assert set(t) == set(range(41 - ROWS, 39))
    for i in range(100):
        wanted = everything.window(t[i], env[i], 3)
        np.testing.assert_array_equal(batch.next_obs[:, i], wanted.next_obs)
        np.testing.assert_array_equal(batch.reward[:, i], wanted.reward)
