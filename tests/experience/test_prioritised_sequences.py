"""Stretches drawn by priority: those of `Sequences`, drawn and weighed as `Prioritised` draws and weighs windows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.experience import Prioritised, PrioritisedSequences, Sequences
from tests.experience.made_up import drawn, example, filled, is_from, kept, numbered, quick, times

ENVS, ROWS, BURN_IN, WINDOW = 2, 30, 2, 4
RULE = {"capacity": ENVS * ROWS, "batch": 200, "alpha": 0.7, "beta": 0.5}
BUFFER = PrioritisedSequences(**RULE, window=WINDOW, burn_in=BURN_IN)


@pytest.fixture(scope="module", params=[0.0, 0.2], ids=["whole", "with padding"])
def played(request):
    """More steps than the ring holds -> buffer, the last round, everything."""
    steps = list(numbered(3, 50, 1, ENVS, padding=request.param))
    return *filled(BUFFER, steps), kept(steps)


def test_they_are_drawn_as_windows_of_as_many_steps_are(played):
    buffer, fresh, _ = played
    windows = Prioritised(**RULE, n=BURN_IN + WINDOW)
    for seed in range(3):
        ours, theirs = (quick(x.sample)(buffer, fresh, jax.random.key(seed)) for x in (BUFFER, windows))
        np.testing.assert_array_equal(ours.extras["leaf"], theirs.extras["leaf"])
        priority = jax.random.uniform(jax.random.key(seed), (200,))
        # A window may hold an episode's end, which takes no weight from a stretch: give both the same weights.
        learned = theirs._replace(weight=jnp.where(ours.weight.any(0), 1.0, 0.0) + jnp.zeros_like(theirs.weight))
        both = quick(BUFFER.reweigh)(buffer, ours, priority), quick(windows.reweigh)(buffer, learned, priority)
        jax.tree.map(np.testing.assert_array_equal, *both)
        buffer = both[0]


def test_they_are_what_was_collected_and_only_the_window_weighs(played):
    buffer, fresh, everything = played
    batch = quick(BUFFER.sample)(buffer, fresh, jax.random.key(0))
    assert batch.reward.shape == (BURN_IN + WINDOW, 200)
    crossing = 0
    for i, (t, env) in enumerate(zip(*times(batch))):
        wanted = everything.window(t, env, BURN_IN + WINDOW)
        # All that was never learned from has one priority, and so one importance weight: 1.
        np.testing.assert_array_equal(batch.weight[:, i], wanted.weight * (np.arange(6) >= BURN_IN))
        for name in ("obs", "action", "reward", "discount", "last", "next_obs"):
            np.testing.assert_array_equal(getattr(batch, name)[:, i], getattr(wanted, name))
        crossing += wanted.last[BURN_IN:-1].any() and wanted.weight[-1] > 0
    assert crossing > 20, "a stretch goes on over the end of an episode"


def test_what_surprised_is_drawn_more_often_and_weighs_less(played):
    buffer, fresh, everything = played
    reweigh, sample, priority = quick(BUFFER.reweigh), quick(BUFFER.sample), {}
    for seed in range(30):
        batch = sample(buffer, fresh, jax.random.key(seed))
        t, env = times(batch)
        surprise = 0.1 + (t * 7 + env * 13) % 11 / 4
        buffer = reweigh(buffer, batch, jnp.float32(surprise))
        there = np.asarray(batch.weight).any(0)
        priority |= {(a, b): p if real else 0.0 for a, b, p, real in zip(t, env, surprise, there)}
    table = np.zeros((50, ENVS))
    for place, p in priority.items():
        table[place] = (p + BUFFER.epsilon * (p > 0)) ** BUFFER.alpha
    batch, (t, env) = drawn(BUFFER, buffer, fresh, 100), (0, 0)
    counts = np.zeros_like(table)
    t, env = times(batch)
    np.add.at(counts, (t, env), 1)
    assert is_from(counts, table / table.sum())
    assert not is_from(counts, (table > 0) / (table > 0).sum()), "the control: they are not drawn evenly"
    weight = (ROWS * ENVS * table[t, env] / table.sum()) ** -BUFFER.beta
    weight = (weight.reshape(100, 200) / weight.reshape(100, 200).max(1, keepdims=True)).reshape(-1)
    real = everything.steps.weight[t + BURN_IN + 1, env] > 0
    np.testing.assert_allclose(batch.weight[BURN_IN + 1][real], weight[real], rtol=2e-4)
    assert (batch.weight[BURN_IN + 1][~real] == 0).all()


def test_it_waits_as_sequences_do_and_refuses_a_ring_that_holds_none():
    """One round more must fit, because what is being written begins no stretch."""
    experience, even = (
        kind(capacity=200, window=20, burn_in=10, length=4, start=0) for kind in (PrioritisedSequences, Sequences)
    )
    assert experience.waits(3) == even.waits(3) == 7
    step = example(next(numbered(0, 1, 4, 3)))
    with pytest.raises(ValueError, match=r"PrioritisedSequences.capacity = 80: .* windows of 34, need at least 108"):
        experience.replace(capacity=80).empty(step, 3)
    assert experience.bytes(step, 3) > even.bytes(step, 3), "the tree takes memory too"
