"""The mazes of chapter 8: their shortest ways, and what changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.envs import grid
from bellmax.envs.maze import DYNA, OPEN_BOTH, OPEN_LEFT, OPEN_RIGHT, blocking_maze, dyna_maze, enlarged, shortcut_maze


def shortest(layout):
    """Steps from the start to the nearest goal, by walking everywhere at once."""
    entered, goals = grid.moves(layout).cell, set(grid.find(layout, "G").tolist())
    reached, steps = set(grid.find(layout, "S").tolist()), 0
    while not reached & goals:
        reached |= {int(new) for cell in reached for new in entered[cell]}
        steps += 1
        assert steps < 1000
    return steps


def test_the_shortest_ways():
    # Figure 8.2: 14. Figure 8.4, right: 5 to the right and 5 up; left: 3 to the left, 5 up, 8 to the right.
    assert {name: shortest(x) for name, x in (("dyna", DYNA), ("right", OPEN_RIGHT), ("left", OPEN_LEFT))} == {
        "dyna": 14, "right": 10, "left": 16,
    }  # fmt: skip
    assert shortest(OPEN_BOTH) == 10


def test_the_dyna_maze_has_the_books_47_states():
    assert (grid.letters(DYNA) != "#").sum() == 47


@pytest.mark.parametrize("scale", [2, 3])
def test_an_enlarged_maze_has_the_same_shape(scale):
    big, small = (np.array([list(row) for row in layout]) for layout in (enlarged(DYNA, scale), DYNA))
    assert big.shape == (6 * scale, 9 * scale)
    for letter in "#G":
        np.testing.assert_array_equal(big == letter, np.kron(small == letter, np.ones((scale, scale))) > 0)
    assert (big == "S").sum() == 1
    assert big[2 * scale, 0] == "S"
    # From the top left of the start's block, 14 old cells away, the ways along walls are `scale` times as long, give or
    # take what the blocks of start and goal are wide.
    assert abs(shortest(enlarged(DYNA, scale)) - 14 * scale) <= 2 * scale


def test_the_mazes_pay_one_at_the_goal_alone_and_do_not_end_before():
    env = dyna_maze()
    state, obs = env.reset(jax.random.key(0))
    assert int(obs) == 18
    key = jax.random.key(0)
    _, outcome = env.step(state._replace(cell=jnp.int32(17)), jnp.int32(3), key)  # up to the goal in the corner
    assert (float(outcome.reward), float(outcome.discount), bool(outcome.last)) == (1, 0, True)
    _, outcome = env.step(state._replace(time=jnp.int32(10**8)), jnp.int32(3), key)
    assert (float(outcome.reward), float(outcome.discount), bool(outcome.last)) == (0, 1, False)


def test_what_changes_is_a_wall():
    assert blocking_maze().layout == OPEN_RIGHT
    assert blocking_maze(blocked=True).layout == shortcut_maze().layout == OPEN_LEFT
    assert shortcut_maze(opened=True).layout == OPEN_BOTH
    assert blocking_maze().spec == blocking_maze(blocked=True).spec


def test_a_scale_below_one_is_refused():
    with pytest.raises(ValueError, match="scale = 0"):
        enlarged(DYNA, 0)
    assert dyna_maze(max_steps=5).max_steps == 5
