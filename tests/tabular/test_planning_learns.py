"""Dyna-Q, Dyna-Q+ and prioritised sweeping find the exact values, and are what they should be in special cases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.tabular.dyna_q import DynaQ
from bellmax.algorithms.tabular.dyna_q_plus import DynaQPlus
from bellmax.algorithms.tabular.prioritised_sweeping import PrioritisedSweeping
from bellmax.algorithms.tabular.q_learning import QLearning
from bellmax.drivers import ingraph
from bellmax.envs.maze import dyna_maze
from bellmax.maths.exploration import EpsilonGreedy
from tests.tabular.planning_worlds import GAMMA, World, exact_q, random_world

ALWAYS = {"gamma": GAMMA, "exploration": EpsilonGreedy(1.0)}
PLANNERS = {
    "dyna-q": DynaQ(**ALWAYS, learning_rate=0.5),
    "dyna-q-plus": DynaQPlus(**ALWAYS, learning_rate=0.5, kappa=0.0),
    "prioritised-sweeping": PrioritisedSweeping(**ALWAYS, theta=1e-6),
}


@pytest.mark.parametrize(("num_envs", "seed"), [(1, 1), (3, 2)])
@pytest.mark.parametrize("name", PLANNERS)
def test_planning_finds_the_exact_values(name, num_envs, seed):
    world = random_world(seed)
    run, _ = jax.jit(lambda key: ingraph.train(PLANNERS[name], world, key, steps=800, num_envs=num_envs))(
        jax.random.key(seed)
    )
    q, live = exact_q(world)
    np.testing.assert_allclose(run.state.q[live], q[live], atol=2e-3)


def test_with_a_bonus_the_values_are_higher_than_exact():
    """The control: a kappa that is not 0 is at work."""
    world = random_world(1)
    doubting = PLANNERS["dyna-q-plus"].replace(kappa=0.1)
    run, _ = jax.jit(lambda key: ingraph.train(doubting, world, key, steps=800))(jax.random.key(1))
    q, live = exact_q(world)
    higher = (np.asarray(run.state.q) - q)[live]
    assert (higher > 0.01).all(), "little where an action that ends the episode was tried a moment ago"
    assert higher.mean() > 1


def test_dyna_without_planning_is_q_learning():
    settings = {"gamma": 0.95, "learning_rate": 0.3, "exploration": EpsilonGreedy(0.2)}
    world = dyna_maze()

    def trained(algorithm):
        return jax.jit(lambda key: ingraph.train(algorithm, world, key, steps=800, num_envs=2))(jax.random.key(5))

    plain, _ = trained(QLearning(**settings))
    for kind in (DynaQ, DynaQPlus):
        run, _ = trained(kind(**settings, planning_steps=0))
        np.testing.assert_array_equal(run.state.q, plain.state.q)
        np.testing.assert_array_equal(run.state.count, plain.state.count)
        assert float(run.state.q.max()) > 0.01
    planning, _ = trained(DynaQ(**settings, planning_steps=1))
    assert float(jnp.abs(planning.state.q - plain.state.q).max()) > 0.01, "the control"


def test_without_doubt_and_with_everything_tried_dyna_q_plus_is_dyna_q():
    world = random_world(3)
    settings = {**ALWAYS, "planning_steps": 7}
    start = jax.jit(lambda key: ingraph.train(DynaQ(**settings), world, key, steps=200)[0])(jax.random.key(0))
    live = ~np.array(world.terminal)
    assert start.state.model.tried[live].all()
    state = start.state
    batch = jax.jit(ingraph.last_batch)(DynaQ(**settings), world, start)[0]
    plain, _ = jax.jit(DynaQ(**settings).update)(state, batch, jax.random.key(9))
    for kappa, same in ((0.0, True), (0.1, False)):
        plus = DynaQPlus(**settings, kappa=kappa)
        begun = plus.init(jax.random.key(0), world.spec)._replace(
            q=state.q, count=state.count, model=state.model, steps=state.steps
        )
        after, _ = jax.jit(plus.update)(begun, batch, jax.random.key(9))
        assert np.array_equal(after.q, plain.q) == same


def test_only_dyna_q_plus_finds_the_shortcut_that_opens():
    """Example 8.3, smaller: action 0 leads to the goal in 4 steps, action 1 back to the start, and then to the goal."""

    def world(shortcut):
        successor = ((1, shortcut), (2, 0), (3, 0), (4, 0), (4, 4))
        paid = tuple(tuple(float(new == 4) for new in row) for row in successor)
        return World(successor=successor, reward=paid, terminal=(False,) * 4 + (True,), start=0)

    def late_score(algorithm):
        def alone(key):
            run = ingraph.start(algorithm, world(0), key)
            run, _ = jax.lax.scan(lambda run, _: ingraph.tick(algorithm, world(0), run), run, length=300)
            return jax.lax.scan(lambda run, _: ingraph.tick(algorithm, world(4), run), run, length=300)[1]["score"]

        return float(jax.jit(alone)(jax.random.key(0))[-100:].sum())

    settings = {"gamma": 0.95, "learning_rate": 0.5, "exploration": EpsilonGreedy(0.0)}
    assert late_score(DynaQ(**settings)) == 25, "one in four steps, as before"
    assert late_score(DynaQPlus(**settings, kappa=0.01)) > 50


def test_sweeping_stops_when_nothing_is_left_to_learn():
    world = random_world(2)
    sweeping = PLANNERS["prioritised-sweeping"].replace(theta=1e-3)
    _, metrics = jax.jit(lambda key: ingraph.train(sweeping, world, key, steps=1500))(jax.random.key(1))
    backups = np.asarray(metrics["backups"])
    assert backups[:50].sum() > 50
    assert backups[-500:].sum() == 0
