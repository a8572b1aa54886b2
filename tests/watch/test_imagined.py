"""What is imagined beside what happens: an exact model is exact, a wrong one as wrong as it is by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import bellmax as bm
from bellmax.alignment.run import AlignmentRun
from bellmax.core import Algorithm, Decision, Env, Outcome, Spec
from bellmax.envs import CartPole
from bellmax.envs.pixel_cart_pole import PixelCartPole
from bellmax.envs.probes import MatchingReward, Target
from bellmax.experience import Steps
from bellmax.models import Foresees, unrolled
from bellmax.spaces import Box, Discrete, zeros
from bellmax.watch import CannotWatch, imagined
from bellmax.watch.beside import film, stacked
from bellmax.watch.foresight import as_numbers, compare
from bellmax.watch.panel import limits
from bellmax.watch.playing import play
from bellmax.watch.stages import InGraph


@pytest.fixture(autouse=True)
def _no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")


class Stairs(Env):
    """8 steps; an action climbs as many stairs as it says, and a step pays its number."""

    @property
    def spec(self) -> Spec:
        return Spec(Box((1,), 0, 100), Discrete(5))

    def reset(self, key: jax.Array) -> tuple[Any, Any]:
        return (jnp.zeros(1), jnp.int32(0)), jnp.zeros(1)

    def step(self, env_state: Any, action: Any, key: jax.Array) -> tuple[Any, Outcome]:
        place, time = env_state[0] + action, env_state[1] + 1
        return (place, time), Outcome(place, time.astype(jnp.float32), jnp.float32(1), time >= 8)

    def render(self, env_state: Any) -> np.ndarray:
        """As bright as it is high."""
        return np.full((100, 60, 3), 2 * int(env_state[0][0]), np.uint8)

    def state_of(self, obs: Any) -> Any:
        """At any time."""
        return obs, 0


class Climber(Algorithm):
    """Climbs 0, 2, 4, 1, 3, 0, 2, 4; its model puts every step `bias` stairs too high."""

    experience: Steps = Steps(1)
    bias: float = 0.0
    blind: bool = False  # does the model not say what will be seen?

    def begin(self, state: Any, obs: Any, key: jax.Array) -> Any:
        return jnp.int32(0)

    def act(self, state: Any, obs: Any, key: jax.Array, memory: Any = None) -> Decision:
        return Decision(2 * memory % 5, {}, memory + 1)

    def foresee(self, state: Any, obs: Any, memory: Any, actions: Any, key: jax.Array) -> Outcome:
        number = 1 + jnp.arange(len(actions))
        place = obs + (jnp.cumsum(actions) + self.bias * number)[:, None]
        reward = (memory + number).astype(jnp.float32)
        return Outcome(None if self.blind else place, reward, jnp.ones(len(actions)), number > 8)


PLACES = np.array([0, 0, 2, 6, 7, 10, 10, 12, 16])  # by hand: the stairs of `Climber`, one moment after the other


def test_an_exact_model_is_exact_and_a_wrong_one_as_wrong_as_it_is() -> None:
    """Behind 2 steps of 8 there are 6 starts; k steps ahead of the s-th lies s + k, if that is at most 8."""
    exact, wrong = (imagined(Climber(bias=bias), None, Stairs(), context=2, horizon=7) for bias in (0.0, 2.0))
    np.testing.assert_array_equal(exact.starts, [6, 5, 4, 3, 2, 1, 0])
    np.testing.assert_allclose(exact.errors.obs, [0] * 6 + [np.nan], atol=1e-6)
    np.testing.assert_allclose(wrong.errors.obs, [*(4.0 * k * k for k in range(1, 7)), np.nan], atol=1e-4)
    np.testing.assert_allclose(exact.errors.reward, [0] * 6 + [np.nan], atol=1e-6)
    still = [np.mean([(PLACES[s + k] - PLACES[s]) ** 2 for s in range(2, 9 - k)]) for k in range(1, 7)]
    assert still[0] == pytest.approx(46 / 6)  # 16 + 1 + 9 + 0 + 4 + 16
    for found in (exact, wrong):
        np.testing.assert_allclose(found.errors.obs_still[:6], still, rtol=1e-6)
        np.testing.assert_allclose(found.errors.reward_still[:6], [k * k for k in range(1, 7)], rtol=1e-6)


def test_a_table_tells_the_errors() -> None:
    lines = imagined(Climber(bias=2.0), None, Stairs(), context=2, horizon=7).table().splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["1", "4", "7.67", "0", "1", "6"],
        ["2", "16", "18", "0", "4", "5"],
        ["3", "36", "35.2", "0", "9", "4"],
        ["5", "100", "100", "0", "25", "2"],
        ["6", "144", "196", "0", "36", "1"],
    ]
    lost = imagined(Climber(bias=np.inf), None, Stairs(), context=2, horizon=1).table().splitlines()
    assert lost[1].split() == ["1", "inf", "7.67", "0", "1", "6"]  # and not as if it had not been asked
    blind = imagined(Climber(blind=True), None, Stairs(), context=2, horizon=1).table().splitlines()
    assert blind[1].split() == ["1", "-", "-", "0", "1", "6"]


def pictures(bias: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """The real and the imagined picture of every moment of a film, without what is written."""
    stage = InGraph(Stairs(), 0)
    episode = list(play(Climber(bias=bias), None, stage))
    stretch, _ = compare(Climber(bias=bias), None, episode, stage.obs, 2, 15, 0)
    shown = list(film(stretch, stage))
    width = round(60 * 288 / 100)
    return [(each[26:314, :width], each[26:314, width + 4 : 2 * width + 4]) for each in shown]


def test_the_imagined_picture_is_the_real_one_if_the_model_is_exact() -> None:
    exact, wrong = pictures(0.0), pictures(2.0)
    assert len(exact) == 2 + 1 + 6  # the episode ends before the horizon
    for step, ((real, said), (_, other)) in enumerate(zip(exact, wrong)):
        assert (real == 2 * PLACES[step]).all()
        if step > 2:
            assert (said == real).all()
            assert (other == 2 * (PLACES[step] + 2 * (step - 2))).all()
        else:
            assert not (said == real).all()  # nothing is imagined yet


def test_axes_show_what_is_real_however_far_off_the_model_is() -> None:
    real = np.array([1.0, 3.0])
    np.testing.assert_allclose(limits(real, np.array([2.0])), (1 - 0.16, 3 + 0.16))
    np.testing.assert_allclose(limits(real, np.array([4.0, np.nan])), (1 - 0.24, 4 + 0.24))
    np.testing.assert_allclose(limits(real, np.array([np.inf, -1e9])), (-1 - 0.48, 5 + 0.48))  # its span on each side
    np.testing.assert_allclose(limits(np.array([np.nan, 1.0]), np.array([1.0])), (0.95, 1.05))


def test_pictures_of_episodes_of_any_length_are_stacked() -> None:
    wide, narrow = np.full((5, 9, 3), 200, np.uint8), np.full((4, 6, 3), 100, np.uint8)
    both = stacked([wide, narrow])
    assert both.shape == (5 + 4 + 4, 9, 3)  # and a gap
    assert (both[:5] == 200).all()
    assert (both[9:, :6] == 100).all()
    assert (both[9:, 6:] == both[6, 0]).all()


def test_films_and_pictures_are_written(tmp_path: Path) -> None:
    found = imagined(Climber(), None, Stairs(), tmp_path / "new" / "film.gif", episodes=2, context=3, horizon=2)
    assert found.path == tmp_path / "new" / "film.gif"
    with Image.open(found.path) as shown:
        assert (shown.n_frames, shown.info["duration"]) == (2 * 6, 250)
    imagined(Climber(blind=True), None, Stairs(), tmp_path / "row.png", context=3, horizon=2)
    with Image.open(tmp_path / "row.png") as row:
        assert row.size[0] == 3 * 77 + 2 * 4  # now, 1 and 2 ahead: 60 x 100 in a height of 128


class Physicist(Algorithm):
    """Leans where the pole does; its model is CartPole itself, or nearly."""

    experience: Steps = Steps(1)
    world: CartPole = CartPole()

    def act(self, state: Any, obs: Any, key: jax.Array, memory: Any = None) -> Decision:
        return Decision((obs[2] + 0.3 * obs[3] > 0).astype(jnp.int32))

    def foresee(self, state: Any, obs: Any, memory: Any, actions: Any, key: jax.Array) -> Outcome:
        return unrolled(self.world, self.world.state_of(obs), actions, key)


def test_a_hosted_world_is_foreseen_without_being_drawn() -> None:
    known = imagined(Physicist(), None, "CartPole-v1", context=1, horizon=5, most_steps=60)
    wrong = imagined(Physicist(world=CartPole(force=9.0)), None, "CartPole-v1", context=1, horizon=5, most_steps=60)
    assert known.path is None
    assert known.starts.tolist() == [59, 58, 57, 56, 55]
    assert (known.errors.obs < 1e-9).all()
    assert (known.errors.obs_still > 1e-3).all()
    assert (wrong.errors.obs > 1e-5).all()


def test_numbers_of_what_is_seen() -> None:
    space = {"a": Box((2,), -9, 9), "b": Discrete(3), "c": Box((1, 1, 2), 0, 255, "uint8")}
    obs = {"a": np.float32([[1, -4]]), "b": np.int32([2]), "c": np.uint8([[[[0, 51]]]])}
    np.testing.assert_allclose(as_numbers(space, obs), [[1, -4, 0, 0, 1, 0, 0.2]], rtol=1e-6)


def test_what_cannot_be_imagined_says_why() -> None:
    with pytest.raises(CannotWatch, match=r"^ppo has no model of the world: watch without --imagined"):
        imagined(bm.PPO(), None, CartPole())
    with pytest.raises(CannotWatch, match=r"^dqn has no model of the world"):
        imagined(bm.Normalised(bm.DQN()), None, CartPole())
    with pytest.raises(CannotWatch, match=r"the model of mbpo is of what .* shows it, not of the world"):
        imagined(bm.Normalised(MBPO), None, CartPole())
    with pytest.raises(ValueError, match="a language model is not watched"):
        AlignmentRun.imagined(object.__new__(AlignmentRun))
    with pytest.raises(CannotWatch, match="No episode lasted longer than context = 8 steps"):
        imagined(Climber(), None, Stairs(), context=8)
    with pytest.raises(ValueError, match="context = -1 and horizon = 15: at least 0, and at least 1"):
        imagined(Climber(), None, Stairs(), context=-1)
    with pytest.raises(ValueError, match=r"films are written as \.gif or \.mp4"):
        imagined(Climber(), None, Stairs(), "film.avi")


LOOKS = bm.Sequences(64, batch=4, window=3, burn_in=0, length=2, start=16)
DREAMER = bm.DreamerV3(experience=LOOKS)
MBPO = bm.MBPO(bm.DDPG(hidden=(4,)), models=bm.Ensemble(members=2, elites=1, hidden=(8,)))
STRETCHES = bm.PrioritisedSequences(64, batch=4, window=4, burn_in=0, length=2, start=16)
MODELS: dict[str, tuple[Algorithm, Env]] = {
    "dreamer-v3": (DREAMER, Target()),
    "mbpo": (MBPO, Target()),
    "world-models": (bm.WorldModels(experience=LOOKS, latent=2, hidden=4, memory_size=3), PixelCartPole(size=10)),
    "muzero": (bm.MuZero(experience=STRETCHES, hidden=(4,), latent=4, unroll=2, n=2), MatchingReward()),
}


@pytest.mark.parametrize("name", MODELS)
def test_an_action_changes_what_comes_behind_it_and_nothing_before(name: str) -> None:
    algorithm, env = MODELS[name]
    assert isinstance(algorithm, Foresees)
    key = jax.random.key(0)
    state, obs = algorithm.init(key, env.spec), env.reset(key)[1]
    one = jnp.stack([zeros(env.spec.action)] * 4)
    other = one.at[2].set(1)

    @jax.jit
    def foreseen(actions: Any) -> Outcome:
        return algorithm.foresee(state, obs, algorithm.begin(state, obs, key), actions, key)

    first, second = foreseen(one), foreseen(other)
    assert first.reward.shape == first.discount.shape == (4,)
    if name != "muzero":
        assert (first.obs.shape, first.obs.dtype) == ((4, *obs.shape), obs.dtype)
    said, instead = ((x.reward,) if name == "muzero" else (x.obs, x.reward) for x in (first, second))
    for a, b in zip(said, instead):
        np.testing.assert_array_equal(a[:2], b[:2])
    assert any((np.asarray(a)[2] != np.asarray(b)[2]).any() for a, b in zip(said, instead))


def test_the_errors_of_a_dreamer_are_those_of_what_it_foresees() -> None:
    """One start alone: what is stated is the error of what `foresee` says of it, worked out again."""
    env, key = PixelCartPole(size=10), jax.random.key(0)
    state = DREAMER.init(key, env.spec)
    stage = InGraph(env, 0)
    episode = list(play(DREAMER, state, stage, most_steps=4))
    stretch, errors = compare(DREAMER, state, episode, stage.obs, context=2, horizon=2, seed=3)
    assert stretch.foreseen.obs.shape == (2, 10, 10, 1)
    assert stretch.foreseen.obs.dtype == np.uint8
    assert errors.obs.shape == (2, 2)  # 2 and 3 are starts; what is 2 ahead of 3 did not happen
    assert np.isnan(errors.obs[1, 1])
    for ahead in (0, 1):
        real, said = np.asarray(episode[3 + ahead].obs) / 255, stretch.foreseen.obs[ahead] / 255
        assert errors.obs[0, ahead] == pytest.approx(np.mean((said - real) ** 2), rel=1e-4)
        unmoved = np.mean((np.asarray(episode[2].obs) / 255 - real) ** 2)
        assert errors.obs_still[0, ahead] == pytest.approx(unmoved, rel=1e-4)
        assert errors.reward[0, ahead] == pytest.approx((stretch.foreseen.reward[ahead] - 1) ** 2, rel=1e-4)
    assert errors.obs[0, 0] > errors.obs_still[0, 0]  # it knows nothing yet
