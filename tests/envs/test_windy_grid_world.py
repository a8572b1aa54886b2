"""WindyGridWorld by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.core import Env
from bellmax.envs.windy_grid_world import GOAL, START, WIND, WindyGridWorld

LEFT, DOWN, RIGHT, UP, DOWN_LEFT, DOWN_RIGHT, UP_RIGHT, UP_LEFT, REST = range(9)


def go(row, column, action, uniform=0.0, **fields):
    cell, reward, terminated = WindyGridWorld(moves=9, **fields).move(
        jnp.int32(10 * row + column), jnp.int32(action), jnp.float32(uniform)
    )
    assert float(reward) == -1
    assert bool(terminated) == (int(cell) == GOAL)
    return divmod(int(cell), 10)


def test_the_map_is_the_books():
    assert divmod(START, 10) == (3, 0)
    assert divmod(GOAL, 10) == (3, 7)
    assert WIND.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 1, 0]


@pytest.mark.parametrize(
    ("start", "action", "end"),
    [
        ((3, 8), LEFT, (2, 7)),  # the book's own: right of the goal, left takes you to just above it
        ((3, 0), RIGHT, (3, 1)),  # no wind
        ((3, 2), RIGHT, (3, 3)),  # the wind of the column that is left counts
        ((3, 3), RIGHT, (2, 4)),
        ((3, 6), UP, (0, 6)),  # one up and two by the wind
        ((1, 6), UP, (0, 6)),  # the edge stops it
        ((6, 7), DOWN, (5, 7)),  # step and wind are one move: to row 7, two up
        ((3, 7), DOWN, (2, 7)),
        ((0, 0), LEFT, (0, 0)),
        ((3, 9), RIGHT, (3, 9)),
        ((6, 0), DOWN, (6, 0)),
        ((5, 8), DOWN_LEFT, (5, 7)),
        ((4, 6), DOWN_RIGHT, (3, 7)),
        ((4, 3), UP_RIGHT, (2, 4)),
        ((4, 1), UP_LEFT, (3, 0)),
        ((5, 7), REST, (3, 7)),
    ],
)
def test_moves_by_hand(start, action, end):
    assert go(*start, action) == end


def test_stochastic_wind_is_weaker_or_stronger_in_a_third_of_the_steps_each():
    assert [go(4, 3, RIGHT, u, stochastic=True) for u in (0.1, 0.5, 0.9)] == [(4, 4), (3, 4), (2, 4)]
    assert [go(4, 6, RIGHT, u, stochastic=True) for u in (0.1, 0.5, 0.9)] == [(3, 7), (2, 7), (1, 7)]
    assert [go(4, 1, RIGHT, u, stochastic=True) for u in (0.1, 0.5, 0.9)] == [(4, 2)] * 3, "where there is none"
    env = WindyGridWorld(stochastic=True)
    state = env.reset(jax.random.key(0))[0]._replace(cell=jnp.int32(43))
    step = jax.jit(jax.vmap(lambda key: env.step(state, jnp.int32(RIGHT), key)[1].obs))
    rows = np.asarray(step(jax.random.split(jax.random.key(0), 3000))) // 10
    # A third of 3,000 each, with deviation sqrt(3,000 x 1/3 x 2/3) = 26.
    np.testing.assert_allclose(np.bincount(rows, minlength=5)[2:], 1000, atol=110)


@pytest.mark.parametrize(("moves", "shortest"), [(4, 15), (8, 7), (9, 7)])
def test_the_shortest_ways_are_those_of_the_example_and_the_exercise(moves, shortest):
    env = WindyGridWorld(moves=moves)
    cells, actions = (x.reshape(-1) for x in np.meshgrid(np.arange(70), np.arange(moves), indexing="ij"))
    entered = np.asarray(jax.vmap(env.move, (0, 0, None))(cells, actions, jnp.float32(0))[0]).reshape(70, moves)
    reached, steps = {START}, 0
    while GOAL not in reached:
        reached |= {int(new) for cell in reached for new in entered[cell]}
        steps += 1
    assert steps == shortest


def test_the_episode_ends_at_the_goal_and_is_cut_by_a_limit():
    env = WindyGridWorld(max_steps=2)
    state, obs = env.reset(jax.random.key(0))
    assert int(obs) == START
    first, outcome = env.step(state, jnp.int32(LEFT), jax.random.key(0))
    assert not bool(outcome.last)
    _, outcome = env.step(first, jnp.int32(LEFT), jax.random.key(0))
    assert bool(outcome.last)
    assert float(outcome.discount) == 1
    _, outcome = env.step(state._replace(cell=jnp.int32(57)), jnp.int32(UP), jax.random.key(0))
    assert int(outcome.obs) == 27, "blown past it"
    _, outcome = env.step(state._replace(cell=jnp.int32(47)), jnp.int32(DOWN), jax.random.key(0))
    assert (int(outcome.obs), float(outcome.discount), bool(outcome.last)) == (GOAL, 0, True)
    free = WindyGridWorld()
    assert isinstance(free, Env)
    assert not bool(free.step(first._replace(time=jnp.int32(10**6)), jnp.int32(LEFT), jax.random.key(0))[1].last)


def test_only_the_moves_of_the_book_can_be_had():
    with pytest.raises(TypeError, match="4 or 8 or 9"):
        WindyGridWorld(moves=5)
    assert [WindyGridWorld(moves=n).spec.action.n for n in (4, 8, 9)] == [4, 8, 9]


def test_the_text_shows_the_wind():
    text = WindyGridWorld().text(WindyGridWorld().reset(jax.random.key(0))[0]).splitlines()
    assert text[3] == "@......G.."
    assert text[-1] == "0001112210"
    assert WindyGridWorld().render(WindyGridWorld().reset(jax.random.key(0))[0]).shape == (448, 640, 3)
