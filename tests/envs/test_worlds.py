"""What holds for every world in the graph: purity, shapes, spaces, fields, pictures."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.envs import WORLDS, CartPole, CliffWalking, FrozenLake, GridWorld, RandomWalk
from bellmax.envs.grid import GridState
from bellmax.spaces import Box, MultiBinary, MultiDiscrete, sample, zeros

KEY = jax.random.key(0)
WORLD = GridWorld(layout=("S..", ".#T", "..G"))


def at(cell, time=0):
    return GridState(jnp.int32(cell), jnp.int32(time))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GridWorld(layout=("S..", ".G")), "'.G' has not the length of 'S..'"),
        (lambda: GridWorld(layout=("SxG",)), "'x' in row 'SxG'"),
        (lambda: GridWorld(layout=("..G",)), "draw a start 'S', or set random_start"),
        (lambda: GridWorld(layout=("##G",), random_start=True), "draw a floor cell"),
        (lambda: GridWorld(slip=1.5), r"GridWorld.slip = 1.5: it must be in \[0, 1\]"),
        (lambda: GridWorld(size=1), "GridWorld.size = 1"),
        (lambda: FrozenLake(map_name="5x5"), "FrozenLake.map_name = '5x5': it must be one of 4x4, 8x8"),
        (lambda: FrozenLake(layout=("S.G",)), "'.' in row 'S.G'"),
        (lambda: RandomWalk(states=0), "RandomWalk.states = 0"),
        (lambda: CartPole(gravity=-1.0), "CartPole.gravity = -1.0"),
    ],
)
def test_bad_fields_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_slip_is_traced_and_the_layout_is_not():
    traces = []

    @jax.jit
    def step(env, key):
        traces.append(env)
        return env.step(at(0), jnp.int32(2), key)[1].obs

    for slip in (0.0, 0.5, 1.0):
        step(WORLD.replace(slip=slip), KEY)
    assert len(traces) == 1
    step(GridWorld(), KEY)
    assert len(traces) == 2


@pytest.mark.parametrize("name", WORLDS)
def test_worlds_are_pure_and_keep_their_shapes(name):
    env = WORLDS[name]()
    state, obs = env.reset(KEY)
    action = sample(env.spec.action, KEY)
    plain, jitted = env.step(state, action, KEY), jax.jit(lambda e, s, a, k: e.step(s, a, k))(env, state, action, KEY)
    for a, b, c in zip(*map(jax.tree.leaves, (plain[:1], jitted[:1], state)), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype) == (c.shape, c.dtype)
    for a, b, c in zip(*map(jax.tree.leaves, (plain[1].obs, obs, zeros(env.spec.obs))), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype) == (c.shape, c.dtype)
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(jitted)):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    outcome = plain[1]
    assert (outcome.reward.dtype, outcome.discount.dtype, outcome.last.dtype) == (jnp.float32, jnp.float32, bool)


@pytest.mark.parametrize("name", WORLDS)
def test_vmap_equals_a_loop(name):
    env, keys = WORLDS[name](), jax.random.split(KEY, 5)
    states, obs = jax.vmap(env.reset)(keys)
    actions = jax.vmap(lambda key: sample(env.spec.action, key))(keys)
    together = jax.jit(jax.vmap(env.step))(states, actions, keys)
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    for i in range(5):
        state, first = reset(keys[i])
        for one, many in zip(jax.tree.leaves(first), jax.tree.leaves(obs)):
            np.testing.assert_allclose(one, many[i], rtol=1e-6)
        for one, many in zip(jax.tree.leaves(step(state, actions[i], keys[i])), jax.tree.leaves(together)):
            np.testing.assert_allclose(one, many[i], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", WORLDS)
def test_a_walk_stays_in_its_space(name):
    env = WORLDS[name]()

    def step(state, key):
        action_key, step_key = jax.random.split(key)
        action = sample(env.spec.action, action_key)
        state, outcome = env.step(state, action, step_key)
        new, _ = env.reset(step_key)
        return jax.tree.map(lambda a, b: jnp.where(outcome.last, a, b), new, state), outcome

    _, outcomes = jax.jit(lambda: jax.lax.scan(step, env.reset(KEY)[0], jax.random.split(KEY, 2000)))()
    leaves, spaces = jax.tree.leaves(outcomes.obs), jax.tree.leaves(env.spec.obs)
    for seen, space in zip(leaves, spaces, strict=True):
        low, high = bounds(space)
        assert bool(((low <= seen) & (seen <= high)).all())
    if name not in ENDLESS:
        assert int(outcomes.last.sum()) > 3
    if "Bandit" not in name:  # whose steps have no future, and no end
        assert bool((outcomes.last | (outcomes.discount == 1)).all())  # no termination that is not the last step


ENDLESS = {name for name in WORLDS if "Bandit" in name or "Maze" in name} | {"CliffWalking", "WindyGridWorld"}


def bounds(space):
    """The least and the largest value that an observation may have."""
    if isinstance(space, Box):
        return space.bounds()
    if isinstance(space, MultiBinary):
        return 0, 1
    return 0, np.array(space.counts if isinstance(space, MultiDiscrete) else space.n) - 1


@pytest.mark.parametrize("env", [WORLD, FrozenLake(), CliffWalking(), RandomWalk(), GridWorld(size=60)])
def test_pictures_show_where_the_agent_is(env):
    here, there = env.render(at(1)), env.render(at(2))
    assert here.dtype == np.uint8
    assert here.shape[2] == 3
    side = here.shape[1] // len(env.text(at(1)).split("\n")[0])
    changed = np.argwhere((here != there).any(2))
    # Only cells 1 and 2 of the first row changed, and much of them did.
    assert changed[:, 0].max() < side
    assert side <= changed[:, 1].min()
    assert changed[:, 1].max() < 3 * side
    assert len(changed) > 0.3 * side**2
    np.testing.assert_array_equal(here, env.render(at(1)))  # drawing over a picture leaves no trace


def test_text_shows_where_the_agent_is():
    assert WORLD.text(at(3)) == "S..\n@#T\n..G"
    assert CliffWalking().text(at(36)).split("\n")[3] == "@CCCCCCCCCCG"
    assert RandomWalk().text(at(3)) == "E..@..E"


def test_the_worlds_need_no_other_library():
    code = (
        "import sys, bellmax.envs, bellmax.envs.probes; assert not {'gymnasium', 'gymnax', 'flax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
