"""The worlds on grids, against Gymnasium's own tables and against cases derived by hand."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.envs import CartPole, CliffWalking, FrozenLake, GridWorld, RandomWalk
from bellmax.envs.grid import GridState

KEY = jax.random.key(0)
DRAWS = (np.arange(300, dtype=np.float32) + 0.5) / 300  # midpoints: 1/300 of the probability each
LEFT, DOWN, RIGHT, UP = range(4)
step = jax.jit(lambda env, state, action, key=KEY: env.step(state, jnp.int32(action), key))
reset_many = jax.jit(lambda env, keys: jax.vmap(env.reset)(keys), static_argnums=0)


def at(cell, time=0):
    return GridState(jnp.int32(cell), jnp.int32(time))


def table(env, cells):
    """{(cell, action): {(next cell, reward, terminated): probability}} of `env`, by enumerating its draw."""
    cell, action, draw = (x.ravel() for x in np.meshgrid(np.arange(cells), np.arange(4), DRAWS, indexing="ij"))
    moved = [np.asarray(x) for x in jax.jit(jax.vmap(env.move))(cell, action, draw)]
    found = {}
    for i in range(len(cell)):
        row = found.setdefault((cell[i], action[i]), {})
        outcome = tuple(x[i].item() for x in moved)
        row[outcome] = row.get(outcome, 0) + 1 / len(DRAWS)
    return found


def gymnasium_table(name, **kwargs):
    found = {}
    for cell, actions in gymnasium.make(name, **kwargs).unwrapped.P.items():
        for action, outcomes in actions.items():
            row = found.setdefault((cell, action), {})
            for probability, entered, reward, terminated in outcomes:
                outcome = (int(entered), float(reward), bool(terminated))
                row[outcome] = row.get(outcome, 0) + probability
    return found


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for place, row in theirs.items():
        assert ours[place] == pytest.approx(row, abs=1e-6), place


@pytest.mark.parametrize("map_name", ["4x4", "8x8"])
@pytest.mark.parametrize(("is_slippery", "success_rate"), [(True, 1 / 3), (True, 0.7), (False, 1 / 3)])
def test_frozen_lake_has_gymnasiums_table(map_name, is_slippery, success_rate):
    fields = {"map_name": map_name, "is_slippery": is_slippery, "success_rate": success_rate}
    env = FrozenLake(**fields)
    assert_same(table(env, env.spec.obs.n), gymnasium_table("FrozenLake-v1", **fields))


@pytest.mark.parametrize("is_slippery", [False, True])
def test_cliff_walking_has_gymnasiums_table(is_slippery):
    theirs = gymnasium_table("CliffWalking-v1", is_slippery=is_slippery)
    assert_same(table(CliffWalking(is_slippery=is_slippery), 48), theirs)


def test_the_comparison_of_tables_can_fail():
    theirs = gymnasium_table("FrozenLake-v1", is_slippery=True)
    with pytest.raises(AssertionError):
        assert_same(table(FrozenLake(success_rate=0.32), 16), theirs)
    turned = {(cell, (action + 1) % 4): row for (cell, action), row in table(FrozenLake(), 16).items()}
    with pytest.raises(AssertionError):
        assert_same(turned, theirs)


def test_steps_draw_from_the_table():
    # From cell 6 (row 1, column 2) DOWN goes to 10 and slips to 5 (a hole) or 7 (a hole), a third each.
    # Of 9,000 draws each gets 3,000, standard deviation sqrt(9000 * 1/3 * 2/3) = 44.7; five of them are 224.
    env = FrozenLake()
    _, outcome = jax.jit(jax.vmap(lambda key: env.step(at(6), jnp.int32(DOWN), key)))(jax.random.split(KEY, 9000))
    cells, counts = np.unique(outcome.obs, return_counts=True)
    assert cells.tolist() == [5, 7, 10]
    assert np.abs(counts - 3000).max() < 224
    np.testing.assert_array_equal(outcome.last, outcome.obs != 10)
    np.testing.assert_array_equal(outcome.discount, outcome.obs == 10)


@pytest.mark.parametrize(
    ("env", "name"),
    [(FrozenLake(), "FrozenLake-v1"), (FrozenLake(map_name="8x8"), "FrozenLake8x8-v1"), (CartPole(), "CartPole-v1")],
)
def test_time_limits_are_gymnasiums(env, name):
    limit = gymnasium.spec(name).max_episode_steps
    state, _ = env.reset(KEY)
    before, at_limit = (step(env, state._replace(time=jnp.int32(t)), 0)[1] for t in (limit - 2, limit - 1))
    assert (bool(before.last), float(before.discount)) == (False, 1)
    assert (bool(at_limit.last), float(at_limit.discount)) == (True, 1)


def test_the_end_at_the_time_limit_is_a_termination():
    _, outcome = step(FrozenLake(is_slippery=False), at(14, 99), RIGHT)
    assert (bool(outcome.last), float(outcome.discount), float(outcome.reward)) == (True, 0, 1)


def test_cliff_walking_has_no_time_limit_unless_asked_for():
    assert gymnasium.spec("CliffWalking-v1").max_episode_steps is None
    for env, last in ((CliffWalking(), False), (CliffWalking(max_steps=10_000), True)):
        assert bool(step(env, at(36, 99_999), 0)[1].last) is last


# GridWorld. The map, with the numbers of its cells:   S . .    0 1 2
#                                                      . # T    3 4 5
#                                                      . . G    6 7 8
WORLD = GridWorld(layout=("S..", ".#T", "..G"), step_reward=-0.1, goal_reward=2.0, trap_reward=-3.0, max_steps=7)


@pytest.mark.parametrize(
    ("cell", "action", "entered", "reward", "terminated"),
    [
        (0, RIGHT, 1, -0.1, False),
        (0, LEFT, 0, -0.1, False),  # the edge
        (0, UP, 0, -0.1, False),
        (1, DOWN, 1, -0.1, False),  # the wall, from three sides
        (3, RIGHT, 3, -0.1, False),
        (7, UP, 7, -0.1, False),
        (2, DOWN, 5, -3.0, True),  # the trap
        (7, RIGHT, 8, 2.0, True),  # the goal
        (6, DOWN, 6, -0.1, False),
        (5, LEFT, 5, 0.0, True),  # nothing happens after the end
        (8, UP, 8, 0.0, True),
    ],
)
def test_grid_world_moves(cell, action, entered, reward, terminated):
    state, outcome = step(WORLD, at(cell), action)
    assert (int(state.cell), int(outcome.obs), int(state.time)) == (entered, entered, 1)
    assert float(outcome.reward) == pytest.approx(reward)
    assert (float(outcome.discount), bool(outcome.last)) == (1 - terminated, terminated)


def test_grid_world_slips_to_both_sides():
    # slip 0.4: RIGHT from 0 arrives at 1 with 0.6; perpendicular are DOWN (to 3) and UP (the edge: 0), 0.2 each.
    found = table(WORLD.replace(slip=0.4), 9)[0, RIGHT]
    step = pytest.approx(-0.1)
    assert {entered: p for (entered, reward, _), p in found.items() if reward == step} == pytest.approx(
        {1: 0.6, 3: 0.2, 0: 0.2}
    )


def test_grid_world_time_limit():
    _, outcome = step(WORLD, at(0, 6), RIGHT)
    assert (bool(outcome.last), float(outcome.discount)) == (True, 1)
    assert not step(WORLD, at(0, 5), RIGHT)[1].last


def test_grid_world_of_a_size_is_open():
    env = GridWorld(size=3)
    assert env.spec.obs.n == 9
    assert int(env.reset(KEY)[1]) == 0
    path = [RIGHT, RIGHT, DOWN, DOWN]
    state, rewards = at(0), []
    for action in path:
        state, outcome = step(env, state, action)
        rewards.append(float(outcome.reward))
    assert (int(state.cell), rewards, float(outcome.discount)) == (8, [0, 0, 0, 1], 0)


def test_starts_are_drawn_evenly_from_where_one_may_stand():
    # Three floor cells and one start: 8,000 draws, 2,000 each, standard deviation 38.7; five of them are 194.
    layout = ("S#.", "#G#", ".#.")
    anywhere = GridWorld(layout=layout, random_start=True)
    cells, counts = np.unique(reset_many(anywhere, jax.random.split(KEY, 8000))[1], return_counts=True)
    assert cells.tolist() == [0, 2, 6, 8]
    assert np.abs(counts - 2000).max() < 194
    assert int(GridWorld(layout=layout).reset(KEY)[1]) == 0
    two = FrozenLake(layout=("SFS", "FFG"))
    assert np.unique(reset_many(two, jax.random.split(KEY, 100))[1]).tolist() == [0, 2]


@pytest.mark.parametrize("env", [RandomWalk(), RandomWalk(states=19, left_reward=-1.0)])
def test_random_walk_has_the_books_values(env):
    # Example 6.2: v = 1/6 .. 5/6. Example 7.1: v = -0.9 .. 0.9. Mean undiscounted return of 1,000 walks from each
    # state: a return lies in an interval of width w = right - left, so its deviation is at most w / 2 and that of the
    # mean w / 2 / sqrt(1000) = w * 0.0158; five of them are w * 0.079. With 19 states the walks that go on shrink by
    # cos(pi / 20) = 0.988 a step, to 1e-8 after 1,500; with 5 by cos(pi / 6) = 0.866, to 1e-9 after 150.
    width = float(env.right_reward - env.left_reward)
    starts = jnp.repeat(jnp.arange(1, env.states + 1), 1000)

    def walk(carry, key):
        state, total, alive = carry
        state, outcome = jax.vmap(lambda s, k: env.step(s, jnp.int32(0), k))(state, jax.random.split(key, len(starts)))
        total = total + alive * outcome.reward
        return (state, total, alive * outcome.discount), None

    first = GridState(starts, jnp.zeros_like(starts)), jnp.zeros(len(starts)), jnp.ones(len(starts))
    steps = 1500 if env.states == 19 else 150
    (_, total, alive), _ = jax.jit(lambda: jax.lax.scan(walk, first, jax.random.split(KEY, steps)))()
    assert float(alive.sum()) == 0
    np.testing.assert_allclose(total.reshape(-1, 1000).mean(1), env.values()[1:-1], atol=0.079 * width)
    expected = np.arange(1, 6) / 6 if env.states == 5 else np.arange(-9, 10) / 10
    np.testing.assert_allclose(env.values()[1:-1], expected, atol=1e-12)


def test_random_walk_ends():
    env = RandomWalk(right=1.0, left_reward=-1.0)
    state, obs = env.reset(KEY)
    assert int(obs) == 3  # the middle of 1 .. 5
    for place, reward, last in ((4, 0, False), (5, 0, False), (6, 1, True)):
        state, outcome = step(env, state, 0)
        assert (int(outcome.obs), float(outcome.reward), bool(outcome.last)) == (place, reward, last)
        assert float(outcome.discount) == 1 - last
    _, outcome = step(env.replace(right=0.0), at(1), 0)
    assert (int(outcome.obs), float(outcome.reward), float(outcome.discount)) == (0, -1, 0)
