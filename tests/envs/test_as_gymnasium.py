"""In-graph worlds as Gymnasium environments."""

import warnings

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from bellmax.envs import CartPole, CliffWalking, FrozenLake, GridWorld, RandomWalk
from bellmax.envs.adaptors.as_gymnasium import AsGymnasium, space_of
from bellmax.envs.probes import Combination, Forbidden, Target, TimeLimitChain
from bellmax.spaces import Box, Discrete, MultiBinary, MultiDiscrete

WORLDS = [
    CartPole(),
    FrozenLake(),
    GridWorld(slip=0.2),
    CliffWalking(),
    RandomWalk(),
    Target(),
    Combination(),
    Forbidden(),
]


@pytest.mark.parametrize("env", WORLDS, ids=lambda env: type(env).__name__)
def test_gymnasiums_own_checker_is_content(env):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*(Box action space|action space to be symmetric|infinity).*")
        check_env(AsGymnasium(env), skip_render_check=True)


def test_it_gives_what_the_world_gives():
    # The world is stepped beside it from the same place; FrozenLake on dry ice draws nothing.
    env, world = AsGymnasium(FrozenLake(is_slippery=False)), FrozenLake(is_slippery=False)
    obs, info = env.reset(seed=3)
    state, _ = world.reset(jax.random.key(0))
    assert (obs, info) == (0, {})
    for action in (2, 2, 1, 1, 1, 2):  # right, right, down to the last row, right: the goal
        obs, reward, terminated, truncated, _ = env.step(action)
        state, outcome = world.step(state, jnp.int32(action), jax.random.key(0))
        assert (obs, reward) == (int(outcome.obs), float(outcome.reward))
        assert (terminated, truncated) == (bool(outcome.last), False)
    assert (obs, reward, terminated) == (15, 1.0, True)


def test_a_time_limit_truncates():
    env = AsGymnasium(TimeLimitChain(limit=3))
    env.reset(seed=0)
    assert [env.step(0)[2:4] for _ in range(3)] == [(False, False), (False, False), (False, True)]


def test_cart_pole_terminates_and_truncates_as_gymnasiums_does():
    ours, theirs = AsGymnasium(CartPole(max_steps=30)), gymnasium.make("CartPole-v1", max_episode_steps=30)
    for seed, actions in enumerate(([1] * 30, [0, 1] * 15)):
        obs, _ = ours.reset(seed=seed)
        theirs.reset(seed=seed)
        theirs.unwrapped.state = np.asarray(obs, np.float64)
        for action in actions:
            mine, other = ours.step(action), theirs.step(action)
            np.testing.assert_allclose(mine[0], other[0], atol=1e-5)
            assert mine[1:4] == other[1:4]
            if mine[2] or mine[3]:
                break
        assert mine[2:4] == ((True, False) if seed == 0 else (False, True))


def test_a_seed_fixes_everything_and_another_changes_it():
    def roll(seed):
        env = AsGymnasium(GridWorld(size=8, slip=0.5, random_start=True))
        found = [env.reset(seed=seed)[0]]
        found += [env.step(i % 4)[0] for i in range(30)]
        return [*found, env.reset()[0], *(env.step(2)[0] for _ in range(5))]  # the next episode, without a seed

    assert roll(1) == roll(1) != roll(2)


def test_masks_go_to_the_info():
    env = AsGymnasium(Forbidden())
    assert env.observation_space == gymnasium.spaces.Discrete(3)
    obs, info = env.reset(seed=0)
    expected = [int(action != obs) for action in range(3)]
    assert info["action_mask"].tolist() == expected == env.action_masks().tolist()
    assert info["action_mask"].dtype == np.int8
    _, _, _, _, info = env.step(1)
    assert info["action_mask"].tolist() == expected
    assert AsGymnasium(CartPole()).action_masks() is None


def test_spaces_are_translated():
    space = {"a": Discrete(3), "b": (Box((2,), -1.0, (1.0, 2.0)), MultiDiscrete((2, 5)), MultiBinary(4))}
    spaces = gymnasium.spaces
    box = spaces.Box(np.float32([-1, -1]), np.float32([1, 2]))
    choices = spaces.MultiDiscrete([2, 5], dtype=np.int32)
    inner = spaces.Tuple([box, choices, spaces.MultiBinary(4)])
    assert space_of(space) == spaces.Dict(a=spaces.Discrete(3), b=inner)
    assert space_of(Box((4, 4, 3), 0, 255, "uint8")) == spaces.Box(0, 255, (4, 4, 3), np.uint8)


def test_it_draws_the_world():
    env = AsGymnasium(FrozenLake(), render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((256, 256, 3), np.uint8)
    assert env.metadata["render_fps"] == 4
    assert AsGymnasium(CartPole()).metadata["render_fps"] == 50
    assert AsGymnasium(FrozenLake()).render() is None
    with pytest.raises(ValueError, match="Target has no picture"):
        AsGymnasium(Target(), render_mode="rgb_array")
    with pytest.raises(ValueError, match="render_mode = 'human'"):
        AsGymnasium(CartPole(), render_mode="human")


def test_it_works_in_gymnasiums_vector_environments():
    envs = gymnasium.vector.SyncVectorEnv([lambda: AsGymnasium(CartPole())] * 3)
    obs, _ = envs.reset(seed=0)
    assert obs.shape == (3, 4)
    assert len(np.unique(obs[:, 0])) == 3
    for _ in range(12):
        obs, _, _, truncated, _ = envs.step(np.ones(3, int))
    assert not truncated.any()
    envs.close()


def test_stepping_before_resetting_is_an_error():
    with pytest.raises(RuntimeError, match=r"call reset\(\) first"):
        AsGymnasium(CartPole()).step(0)
