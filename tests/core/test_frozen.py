"""Hyperparameters as JAX sees them: numbers traced, the rest structure, all validated on construction."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.core import Algorithm, Env, Frozen
from bellmax.ranges import Count, Positive, Sizes, Unit


class Memory(Frozen):
    length: Count = 8
    decay: Unit = 0.5


class Learner(Algorithm):
    memory: Memory = Memory()
    gamma: Unit = 0.9
    rate: Positive | None = 0.1
    epochs: Count = 4
    hidden: Sizes = (64, 64)
    double: bool = False

    def act(self, state, obs, key, memory=None):
        return (state, obs, memory)


def counted(function):
    """A jitted function, and the list that grows whenever it is compiled."""
    compiled = []

    def noting(*args):
        compiled.append(1)
        return function(*args)

    return jax.jit(noting), compiled


def score(learner):
    return learner.gamma * learner.epochs + learner.memory.decay * learner.memory.length


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        ({"gamma": 1.5}, ValueError, "Learner.gamma = 1.5: it must be in [0, 1]."),
        ({"gamma": float("nan")}, ValueError, "Learner.gamma = nan: it must be in [0, 1]."),
        ({"rate": 0.0}, ValueError, "Learner.rate = 0.0: it must be greater than 0."),
        ({"epochs": 2.5}, TypeError, "Learner.epochs = 2.5: give a whole number at least 1."),
        ({"hidden": (64, 0)}, ValueError, "Learner.hidden = (64, 0): it must be at least 1."),
        ({"double": "yes"}, TypeError, "Learner.double = 'yes': give True or False."),
        ({"gama": 0.9}, TypeError, "Learner has no field 'gama': did you mean 'gamma'?"),
        ({"epoch": 3}, TypeError, "Learner has no field 'epoch': did you mean 'epochs'?"),
        (
            {"qqq": 3},
            TypeError,
            "Learner has no field 'qqq': it has memory, gamma, rate, epochs, hidden, double.",
        ),
    ],
)
def test_a_wrong_field_is_one_clear_sentence(fields, kind, message):
    with pytest.raises(kind) as error:
        Learner(**fields)
    assert str(error.value) == message
    if "no field" not in message:
        with pytest.raises(kind, match="Learner"):
            Learner().replace(**fields)  # a copy is checked as well


def test_fields_inside_are_checked_by_their_own_class():
    with pytest.raises(ValueError, match=r"Memory.length = 0: it must be at least 1"):
        Learner(memory=Memory(length=0))


def test_replace_changes_a_copy_and_nothing_can_be_changed_in_place():
    learner = Learner()
    assert learner.replace(gamma=0.5) == Learner(gamma=0.5) != learner
    with pytest.raises(dataclasses.FrozenInstanceError):
        learner.gamma = 0.5


def test_numbers_are_leaves_and_the_rest_is_structure():
    leaves, structure = jax.tree.flatten(Learner())
    assert leaves == [0.5, 0.9, 0.1]  # memory.decay, gamma, rate
    assert jax.tree.structure(Learner(memory=Memory(decay=0.1), gamma=0.2, rate=0.3)) == structure
    for other in (
        Learner(epochs=5),
        Learner(hidden=(32,)),
        Learner(double=True),
        Learner(rate=None),
        Learner(Memory(9)),
    ):
        assert jax.tree.structure(other) != structure
    assert jax.tree.unflatten(structure, [0.0, 0.25, 1.0]) == Learner(Memory(decay=0.0), gamma=0.25, rate=1.0)


def test_another_float_is_the_same_program_and_another_int_is_not():
    run, compiled = counted(score)
    for gamma, decay in ((0.9, 0.5), (0.5, 0.5), (0.0, 0.25), (1.0, 1.0)):
        np.testing.assert_allclose(run(Learner(Memory(decay=decay), gamma=gamma)), 4 * gamma + 8 * decay, rtol=1e-6)
    assert len(compiled) == 1
    np.testing.assert_allclose(run(Learner(epochs=5)), 5 * 0.9 + 4, rtol=1e-6)
    assert len(compiled) == 2
    np.testing.assert_allclose(run(Learner(Memory(length=2))), 4 * 0.9 + 1, rtol=1e-6)
    assert len(compiled) == 3
    run(Learner(epochs=5, gamma=0.1))
    assert len(compiled) == 3


def test_mapping_over_a_float_equals_a_loop():
    gammas = np.array([0.1, 0.5, 0.9], np.float32)
    mapped = jax.vmap(lambda gamma: score(Learner(gamma=gamma)))(gammas)
    np.testing.assert_allclose(mapped, [score(Learner(gamma=float(gamma))) for gamma in gammas], rtol=1e-6)
    # and so does mapping over algorithms stacked into one
    several = [Learner(Memory(decay=decay), gamma=decay / 2) for decay in (0.2, 0.4, 1.0)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)
    assert isinstance(stacked, Learner)
    np.testing.assert_allclose(jax.vmap(score)(stacked), [score(one) for one in several], rtol=1e-6)


def test_the_gradient_by_hyperparameters_is_shaped_like_them():
    slope = jax.grad(lambda learner: score(learner) ** 2)(Learner())
    # score = 4 * 0.9 + 8 * 0.5 = 7.6; twice it, by gamma times 4, by decay times 8, by rate times 0
    np.testing.assert_allclose((slope.gamma, slope.memory.decay, slope.rate), (60.8, 121.6, 0), rtol=1e-6)
    assert (slope.epochs, slope.hidden) == (4, (64, 64))


def test_a_traced_value_is_not_held_against_its_range():
    assert jax.jit(lambda gamma: Learner(gamma=gamma).gamma)(3.0) == 3.0


def test_a_whole_number_in_a_float_field_is_a_float():
    run, compiled = counted(score)
    run(Learner(gamma=0.9))
    run(Learner(gamma=1))
    assert len(compiled) == 1
    jax.grad(score)(Learner(gamma=1))


def test_tree_functions_may_put_anything_in_the_place_of_a_number():
    axes = jax.tree.map(lambda _: 0, Learner())  # the in_axes of a vmap; 0 is no rate
    assert axes.rate == 0
    assert jax.tree.map(lambda x: -x, Learner()).gamma == -0.9


def test_defaults_of_the_verbs():
    learner = Learner()
    assert learner.greedy("state", "obs", "key", "memory") == ("state", "obs", "memory")  # what `act` does
    assert learner.begin("state", "obs", "key") is None
    for verb in (
        lambda: learner.init(0, 0),
        lambda: learner.update(0, 0, 0),
        lambda: Env().reset(0),
        lambda: Env().spec,
    ):
        with pytest.raises(NotImplementedError):
            verb()
