"""Films that can be read back, windows, terminals, and clear words where none of them will do."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from bellmax.core import Algorithm, Decision, Env, Outcome, Spec
from bellmax.envs import CartPole, GridWorld
from bellmax.envs.names import find
from bellmax.experience import Steps
from bellmax.spaces import Box, Discrete
from bellmax.watch import CannotWatch, watch
from bellmax.watch.caption import captioned, strip
from bellmax.watch.film import write
from bellmax.watch.showing import _twin
from bellmax.watch.window import Window, has_display

FFMPEG = importlib.util.find_spec("imageio_ffmpeg") is not None
PYGAME = importlib.util.find_spec("pygame") is not None
needs_ffmpeg = pytest.mark.skipif(not FFMPEG, reason='MP4 needs pip install "bellmax[watch]"')
needs_pygame = pytest.mark.skipif(not PYGAME, reason='drawing needs pip install "bellmax[watch]"')
WORLD = GridWorld(layout=("S.G",))


class Constant(Algorithm):
    """A policy made for these tests: always the same."""

    experience: Steps = Steps(1)
    action: int = 2

    def act(self, state: Any, obs: Any, key: jax.Array, memory: Any = None) -> Decision:
        return Decision(jnp.int32(self.action))


@pytest.fixture(autouse=True)
def _no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")


def frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as film:
        pictures = []
        for index in range(film.n_frames):
            film.seek(index)
            pictures.append(np.asarray(film.convert("RGB")))
        return pictures


def test_a_gif_has_a_frame_for_the_start_and_for_every_step(tmp_path: Path) -> None:
    path = watch(Constant(), None, WORLD, tmp_path / "new" / "film.gif", episodes=2)
    assert path == tmp_path / "new" / "film.gif"
    pictures = frames(path)
    assert len(pictures) == 2 * 3
    with Image.open(path) as film:
        assert film.info["duration"] == 250  # GridWorld shows 4 pictures a second
        assert film.info["loop"] == 0
    state, _ = WORLD.reset(jax.random.key(0))
    for index, picture in enumerate(pictures):
        want = np.repeat(np.repeat(WORLD.render(state._replace(cell=jnp.int32(index % 3))), 2, 0), 2, 1)
        shown = picture[: want.shape[0]].astype(int)  # the caption is below
        assert np.abs(shown - want).mean() < 3  # 256 colours a frame
        other = np.repeat(np.repeat(WORLD.render(state._replace(cell=jnp.int32((index + 1) % 3))), 2, 0), 2, 1)
        assert np.abs(shown - other).mean() > 6
    assert sorted(os.listdir(tmp_path / "new")) == ["film.gif"]


def test_frames_in_which_nothing_moves_are_frames_too(tmp_path: Path) -> None:
    """Against the wall for 5 steps: Pillow would merge frames that are alike, but the step counter tells them apart."""
    path = watch(Constant(action=0), None, GridWorld(layout=("S.G",), max_steps=5), tmp_path / "film.gif", fps=10)
    assert path is not None
    assert len(frames(path)) == 6
    with Image.open(path) as film:
        assert film.info["duration"] == 100


@needs_ffmpeg
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning")  # JAX's, of every subprocess; here, of the reader's
def test_an_mp4_has_as_many(tmp_path: Path) -> None:
    import imageio_ffmpeg

    pictures = [np.full((33, 47, 3), 40 * i, np.uint8) for i in range(6)]  # odd sides
    path = write(tmp_path / "film.mp4", pictures, fps=5)
    count, seconds = imageio_ffmpeg.count_frames_and_secs(str(path))
    assert count == 6
    assert seconds == pytest.approx(6 / 5, abs=0.05)
    reader = imageio_ffmpeg.read_frames(str(path))
    assert next(reader)["size"] == (48, 34)
    brightness = [float(np.frombuffer(frame, np.uint8).mean()) for frame in reader]
    np.testing.assert_allclose(brightness, [0, 40, 80, 120, 160, 200], atol=4)


@needs_pygame
def test_a_gymnasium_environment_is_filmed(tmp_path: Path) -> None:
    path = watch(Constant(action=0), None, find("CartPole-v1"), tmp_path / "film.gif", seed=3)
    assert path is not None
    pictures = frames(path)
    assert 9 <= len(pictures) <= 12  # pushed left all the time, the pole falls after 8 to 10 steps
    assert pictures[0].shape[1:] == (600, 3)
    dark = [np.flatnonzero((picture[290] < 40).all(-1)).mean() for picture in pictures]  # a row through the cart
    assert dark[0] == pytest.approx(300, abs=15)  # the cart begins in the middle
    assert dark[-1] < dark[0]  # and is last seen further left, not back in the middle
    assert "SDL_VIDEODRIVER" not in os.environ


def test_a_failure_half_way_leaves_the_old_film(tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    path.write_bytes(b"old")

    def pictures() -> Iterator[np.ndarray]:
        yield np.zeros((8, 8, 3), np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, pictures(), 10)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["film.gif"]


def test_the_caption_hides_nothing_and_says_something() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    one, two = captioned(picture, "score 1   step 1"), captioned(picture, "score 2   step 1")
    np.testing.assert_array_equal(one[:300], picture)
    assert one.shape == two.shape == (324, 400, 3)
    assert (one != two).any()
    tiny = captioned(np.eye(10, dtype=np.uint8)[..., None].repeat(3, -1) * 255, "x")
    assert tiny.shape[1] == 240
    assert (tiny[:24, :24] == 255).all()
    letters = strip("score 123.4   step 500", 240, 12)
    lit = np.flatnonzero((letters > 128).any((0, 2)))
    assert lit.max() < 235  # a long line fits even below the smallest picture
    assert lit.max() > 100


def test_without_a_display_text_goes_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert watch(Constant(), None, WORLD) is None
    shown = capsys.readouterr().out.split("\n\n")
    assert [page.split("\n") for page in shown[:3]] == [
        ["score 0   step 0", "@.G"],
        ["score 0   step 1", "S@G"],
        ["score 1   step 2", "S.@"],
    ]


def test_without_a_display_or_text_the_remedy_is_a_file() -> None:
    with pytest.raises(CannotWatch, match=r"no display to show CartPole on: .* --output cartpole.gif"):
        watch(Constant(action=0), None, CartPole())
    with pytest.raises(CannotWatch, match=r"no display to show CartPole-v1 on: .* --output cartpole-v1.gif"):
        watch(Constant(action=0), None, "CartPole-v1")


@needs_pygame
def test_a_window_shows_pictures_until_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    import pygame

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    assert has_display()
    window, picture = Window("a test", 1000), np.zeros((20, 30, 3), np.uint8)
    picture[3, 7] = (10, 20, 30)
    assert window.show(picture)
    assert tuple(pygame.display.get_surface().get_at((7, 3)))[:3] == (10, 20, 30)
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert not window.show(picture)
    window.close()
    assert watch(Constant(), None, WORLD, fps=1000) is None


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"path": "film.avi"}, ValueError, "written as .gif or .mp4"),
        ({"episodes": 0}, ValueError, "episodes = 0"),
        ({"fps": 0}, ValueError, "fps = 0"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        watch(Constant(), None, WORLD, **arguments)


class Twinned(Env):
    """A world that cannot be drawn itself; Gymnasium has one of the same name."""

    name: str = "CartPole-v1"
    size: int = 4

    @property
    def spec(self) -> Spec:
        return Spec(Box((self.size,)), Discrete(2))

    def reset(self, key: jax.Array) -> tuple[Any, Any]:
        return jnp.int32(0), jnp.zeros(self.size)

    def step(self, env_state: Any, action: Any, key: jax.Array) -> tuple[Any, Outcome]:
        raise AssertionError("the twin is played, not this")


def test_a_world_without_pictures_is_played_in_its_twin() -> None:
    twin = _twin(Twinned())
    assert twin is not None
    assert twin.name == "CartPole-v1"
    assert _twin(Twinned(size=3)) is None  # the same name, but other observations
    assert _twin(Twinned(name="Elsewhere-v9")) is None
    assert _twin(CartPole()) is None  # it can be drawn
    with pytest.raises(CannotWatch, match=r"Elsewhere-v9 cannot be seen: give its class a render"):
        watch(Constant(), None, Twinned(name="Elsewhere-v9"))


def test_text_cannot_be_filmed_and_vectors_cannot_be_watched(tmp_path: Path) -> None:
    class Written(gym.Env):
        metadata = {"render_modes": ["ansi"]}
        observation_space = action_space = gym.spaces.Discrete(2)

        def __init__(self, render_mode: str | None = None):
            self.render_mode = render_mode

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            return 0, {}

        def step(self, action: Any) -> Any:
            return 1, 1.0, True, False, {}

        def render(self) -> Any:
            return "a [bold] \x1b[41mword\x1b[0m"

    with pytest.raises(CannotWatch, match="draws no pictures, only 'ansi'"):
        watch(Constant(action=1), None, Written, tmp_path / "film.gif")
    vector = gym.make_vec("CartPole-v1", 2)
    with pytest.raises(CannotWatch, match="ready vector environment"):
        watch(Constant(action=1), None, vector, tmp_path / "film.gif")
    vector.close()


def test_text_of_a_hosted_environment(capsys: pytest.CaptureFixture[str]) -> None:
    if not PYGAME:
        pytest.skip("FrozenLake needs pygame even for text")
    assert watch(Constant(), None, find("FrozenLake-v1", is_slippery=False), most_steps=2) is None
    shown = capsys.readouterr().out
    assert "score 0   step 2" in shown
    assert "FFFH" in shown
