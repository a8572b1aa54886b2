"""Atari: what our source shows against ALE's own vector environment in its other mode of resetting."""

import itertools
import pickle

import jax
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("ale_py")
from ale_py.vector_env import AtariVectorEnv

from bellmax.envs.adaptors.atari import AtariSource
from bellmax.envs.adaptors.atari_game import AtariGame
from bellmax.envs.names import UnknownEnvironment, find
from bellmax.spaces import Box, Discrete, is_image

SHORT = {"max_num_frames_per_episode": 100}


def played(source, num_envs, steps, seed=0):
    """Random play -> the observations acted on, and the arrivals, one a step."""
    hosted, rng = source.vector(num_envs, seed), np.random.default_rng(seed)
    rows, obs = [], hosted.reset()
    for _ in range(steps):
        arrival = hosted.step(rng.integers(hosted.spec.action.n, size=num_envs))
        rows.append((obs, arrival))
        obs = arrival.obs
    hosted.close()
    return rows


@pytest.fixture(scope="module")
def pacman():
    """Ms Pacman, whose smallest reward is 10, with all of what only learning wants."""
    return played(find("ALE/MsPacman-v5", episodic_life=True), 2, 700)


def test_names_and_options():
    source = find("ALE/Pong-v5", frameskip=3)
    assert isinstance(source, AtariSource)
    assert find(source) is source
    assert source.kwargs["repeat_action_probability"] == 0.25, "v5 is sticky"
    assert find("PongNoFrameskip-v4").kwargs["repeat_action_probability"] == 0.0
    assert find("ALE/Pong-v5", repeat_action_probability=0.0).kwargs["repeat_action_probability"] == 0.0
    again = find(source.reference, **source.kwargs, vectorization=source.vectorization)
    assert (again.made, again.kwargs) == (source.made, source.kwargs)
    assert again.kwargs["frameskip"] == 3
    assert pickle.loads(pickle.dumps(source)).kwargs == source.kwargs
    assert not isinstance(find("Pong-v4"), AtariSource), "skips frames at random, so it is left as it is"
    with pytest.raises(UnknownEnvironment, match="ALE/Pong-v5"):
        find("ALE/Pog-v5")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame_skip": 4}, "ALE/Pong-v5 has no option 'frame_skip': did you mean 'frameskip'"),
        ({"frameskip": 0}, "frameskip = 0: give a whole number, 1 or more"),
        ({"repeat_action_probability": 2}, "repeat_action_probability = 2: give a probability"),
        ({"episodic_life": 1}, "episodic_life = 1: give True or False"),
        ({"vectorization": "threads"}, "vectorization = 'threads'"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        find("ALE/Pong-v5", **options)


def test_the_spec_is_a_stack_of_frames():
    hosted = find("ALE/Breakout-v5").vector(2, 0)
    assert hosted.spec.obs == Box((4, 84, 84), 0.0, 255.0, "uint8")
    assert is_image(hosted.spec.obs)
    assert hosted.spec.action == Discrete(4)
    assert hosted.reset().dtype == np.uint8
    assert find("ALE/Breakout-v5", full_action_space=True).vector(1, 0).spec.action == Discrete(18)


def test_play_is_that_of_the_mode_that_resets_a_step_later():
    """The vector's NEXT_STEP shows the last observation itself; rewards here are of any size, with sticky actions."""
    source = find("ALE/Breakout-v5", reward_clipping=False)
    hosted = source.vector(1, 3)
    seed = np.random.SeedSequence([3, 0]).generate_state(1) >> 1
    other = AtariVectorEnv("breakout", 1, repeat_action_probability=0.25, reward_clipping=False)
    np.testing.assert_array_equal(hosted.reset(), other.reset(seed=seed.astype(np.int64))[0])
    rng, ends = np.random.default_rng(0), 0
    for _ in range(600):
        action = rng.integers(4, size=1)
        arrival, theirs = hosted.step(action), other.step(action)
        np.testing.assert_array_equal(arrival.next_obs, theirs[0])
        assert arrival.reward == theirs[1]
        assert arrival.discount == 1 - theirs[2]
        assert arrival.weight == 1
        assert arrival.last == (theirs[2] | theirs[3])
        if arrival.last:
            ends += 1
            theirs = other.step(action)  # the reset
        np.testing.assert_array_equal(arrival.obs, theirs[0])
    assert ends > 2


def test_frames_follow_each_other_and_begin_with_black(pacman):
    changed, lost = 0, 0
    for (obs, arrival), (following, _) in itertools.pairwise(pacman):
        np.testing.assert_array_equal(arrival.next_obs[:, :-1], obs[:, 1:])
        np.testing.assert_array_equal(arrival.obs, following)
        np.testing.assert_array_equal(arrival.obs[~arrival.last], arrival.next_obs[~arrival.last])
        for first in arrival.obs[arrival.last]:
            assert not first[:3].any()
            assert first[3].any()
            changed += 1
        lost += int(((arrival.discount == 0) & ~arrival.last).sum())
    assert changed >= 1, "some game came to its end"
    assert lost >= 4, "two lives before it"


def test_a_lost_life_is_the_end_of_the_future_and_not_of_the_game(pacman):
    """ALE's own account of lives, from the same seed and actions."""
    plain = played(find("ALE/MsPacman-v5"), 2, 700)
    games = lives = 0
    for (_, life), (_, game) in zip(pacman, plain):
        np.testing.assert_array_equal(life.next_obs, game.next_obs)  # the same play
        np.testing.assert_array_equal(life.last, game.last)
        games += int((game.discount == 0).sum())
        lives += int((life.discount == 0).sum())
        assert not ((game.discount == 0) & (life.discount == 1)).any()
    assert 3 * games <= lives <= 3 * games + 4, "three lives a game; each copy may be in the middle of one"


def test_rewards_are_clipped_in_training_alone(pacman):
    source = find("ALE/MsPacman-v5", episodic_life=True)
    judged = played(source.for_evaluation, 2, 200)
    clipped = np.stack([arrival.reward for _, arrival in pacman[:200]])
    whole = np.stack([arrival.reward for _, arrival in judged])
    assert set(np.unique(clipped)) == {0.0, 1.0}
    assert whole.max() >= 10
    np.testing.assert_array_equal(np.sign(whole), clipped)
    assert clipped.dtype == whole.dtype == np.float32
    assert all(((arrival.discount == 1) | arrival.last).all() for _, arrival in judged), "and no life ends anything"
    assert source.for_evaluation.kwargs["repeat_action_probability"] == 0.25


def test_a_time_limit_cuts_and_does_not_terminate():
    rows = played(find("ALE/Pong-v5", **SHORT), 2, 60)
    last = np.stack([arrival.last for _, arrival in rows])
    assert all((arrival.discount == 1).all() for _, arrival in rows)
    np.testing.assert_array_equal(last.sum(0), [2, 2])
    np.testing.assert_array_equal(np.diff(last.nonzero()[0][::2]), [25])  # 100 frames, 4 a step


def test_seeds_decide_every_episode():
    source = find("ALE/Pong-v5", **SHORT)
    one, same, other = (played(source, 3, 60, seed) for seed in (0, 0, 1))
    for (_, a), (_, b) in zip(one, same):
        for x, y in zip(a, b):
            np.testing.assert_array_equal(x, y)
    firsts = [obs for rows in (one, other) for obs in rows[20][0]]
    assert len({first.tobytes() for first in firsts}) == 6, "copies and seeds differ"
    hosted = source.vector(4, 0)
    alike = hosted.reset(group=2)
    assert len({obs.tobytes() for obs in alike}) <= 2
    np.testing.assert_array_equal(alike[0], alike[1])
    np.testing.assert_array_equal(alike[2], alike[3])
    with pytest.raises(ValueError, match="num_envs = 4 cannot be split in groups of 3"):
        hosted.reset(group=3)


def test_nothing_that_arrived_is_changed_later(pacman):
    hosted = find("ALE/Pong-v5", **SHORT).vector(2, 0)
    kept = [hosted.step(np.array([2, 3])) for _ in range(40)]
    copies = jax.tree.map(np.copy, kept)
    for _ in range(40):
        hosted.step(np.array([3, 2]))
    jax.tree.map(np.testing.assert_array_equal, kept, copies)


def test_the_game_that_is_watched_is_the_game_that_is_played():
    source = find("ALE/Breakout-v5", reward_clipping=False)
    film = source.to_watch.vector(1, 0, "rgb_array")
    assert film.spec.obs == source.vector(1, 0).spec.obs
    game = AtariGame("breakout", {"repeat_action_probability": 0.25, "reward_clipping": False}, "rgb_array")
    rng, ends, now, before = np.random.default_rng(0), 0, [], []
    obs, _ = game.reset(seed=1)
    for _ in range(200):
        picture = game.render()
        assert (picture.shape, picture.dtype) == ((210, 160, 3), np.uint8)
        grey = np.asarray(Image.fromarray(picture).convert("L").resize((84, 84), Image.Resampling.BOX), int)
        now.append(np.abs(grey - obs[-1]).max())
        before.append(np.abs(grey - obs[-2]).max())
        obs, _, terminated, truncated, _ = game.step(rng.integers(4))
        if terminated or truncated:
            ends += 1
            obs, _ = game.reset()
    assert max(now) < 60, "the same picture, but for how it was shrunk"
    assert np.median(before) > 80, "as a picture of a step ago is not"
    assert ends >= 1
