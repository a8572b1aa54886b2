"""Where a policy is watched: a file, a window or the terminal."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import jax
from gymnasium.vector import VectorEnv
from rich.console import Console
from rich.live import Live
from rich.text import Text

from bellmax.core import Algorithm, Env, Spec
from bellmax.envs.adaptors.gymnasium import HostedSource
from bellmax.envs.adaptors.gymnasium_copies import Uncopyable, make, recipe_of
from bellmax.envs.names import find
from bellmax.spaces import Box, is_image
from bellmax.watch.caption import captioned
from bellmax.watch.film import CannotWatch, check_path, write
from bellmax.watch.playing import Moment, play
from bellmax.watch.stages import InGraph, OnHost, Stage
from bellmax.watch.window import Window, has_display


def watch(
    algorithm: Algorithm,
    state: Any,
    env: Any,
    path: str | Path | None = None,
    episodes: int = 1,
    seed: int = 0,
    greedy: bool = True,
    fps: float | None = None,
    most_steps: int = 10_000,
) -> Path | None:
    """Play `episodes` episodes for somebody to see -> the file, if `path` (a .gif or .mp4) asks for one.

    env         what `bellmax.envs.names.find` takes or returns
    fps         steps shown a second; None: as many as the environment says
    most_steps  longer episodes are cut

    Without a path: a window if there is a display and the environment has pictures, else text in the terminal.
    Raises CannotWatch where there is nothing to see or no place to show it, MissingDependency, ValueError (the path).
    """
    if episodes < 1 or (fps is not None and not fps > 0):
        raise ValueError(f"episodes = {episodes} and fps = {fps}: at least 1, and more than 0.")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")  # pygame looks for a sound card, and complains without one
    path = None if path is None else Path(path)
    if path is not None:
        check_path(path)
    with unseen(path), contextlib.closing(stage_of(shown(env), seed, path is not None)) as stage:
        moments = play(algorithm, state, stage, episodes=episodes, seed=seed, greedy=greedy, most_steps=most_steps)
        first = next(moments)
        moments, fps = itertools.chain([first], moments), fps or stage.fps
        if path is not None and first.picture is None:
            raise CannotWatch(f"{stage.name} draws no pictures: leave the path out to see it as text in the terminal.")
        if path is not None:
            return write(path, map(_captioned, moments), fps)
        if first.picture is not None and has_display():
            _window(moments, stage.name, fps)
        elif first.text is not None:
            _terminal(moments, fps)
        elif first.picture is not None:
            raise _no_display(stage.name)
        else:
            _own_window(moments)
    return None


@contextlib.contextmanager
def unseen(path: Path | None) -> Iterator[None]:
    """For a film without a display, tell SDL, which draws many of Gymnasium's worlds, not to look for one."""
    if path is None or has_display():
        yield
        return
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    try:
        yield
    finally:
        os.environ.pop("SDL_VIDEODRIVER", None)


def shown(env: Any) -> Env | HostedSource:
    """What is played where `env` is to be seen: an Atari vector draws nothing, but a game of it does."""
    found: Any = find(env)
    return getattr(found, "to_watch", found)


def stage_of(env: Env | HostedSource, seed: int, filmed: bool) -> Stage:
    """Where `env` is played so that it can be seen: `filmed`, in pictures that are not shown by itself."""
    if isinstance(env, HostedSource):
        return OnHost(env, seed, _mode(env, filmed))
    twin = _twin(env)
    if twin is not None:
        return OnHost(twin, seed, _mode(twin, filmed))
    if not any(getattr(env, way, None) for way in ("render", "text")) and not is_image(env.spec.obs):
        raise CannotWatch(
            f"{getattr(env, 'name', type(env).__name__)} cannot be seen: give its class a render(env_state) that "
            "returns uint8 [height, width, 3], or a text(env_state)."
        )
    return InGraph(env, seed)


def unlit(env: Env | HostedSource, seed: int) -> Stage:
    """Where `env` is played if nobody looks."""
    return OnHost(env, seed, None) if isinstance(env, HostedSource) else InGraph(env, seed)


def _twin(env: Env) -> HostedSource | None:
    """Gymnasium's environment of the same name and spaces, for one that cannot be drawn, such as Gymnax's."""
    name = getattr(env, "name", None)
    if getattr(env, "render", None) is not None or name not in gym.registry:
        return None
    source = HostedSource(name)
    with contextlib.closing(source.vector(1, 0)) as hosted:
        return source if _shapes(hosted.spec) == _shapes(env.spec) else None


def _shapes(spec: Spec) -> list[Any]:
    """The spaces without the bounds of boxes, of which there are several opinions."""
    leaves, tree = jax.tree.flatten((spec.obs, spec.action))
    return [tree, *((leaf.shape, leaf.dtype) if isinstance(leaf, Box) else leaf for leaf in leaves)]


def _mode(source: HostedSource, filmed: bool) -> str:
    """How a hosted environment should draw: for a file, in a window of its own, or as text."""
    if isinstance(source.made, VectorEnv):
        raise CannotWatch(
            f"{source.name} is a ready vector environment: pass the id, class or factory of one to watch."
        )
    known = _render_modes(source)
    if filmed:
        if known and "rgb_array" not in known:
            raise CannotWatch(
                f"{source.name} draws no pictures, only {', '.join(map(repr, known))}: leave the path out to see it."
            )
        return "rgb_array"
    if has_display() and known != ["ansi"]:
        return "human" if "human" in known else "rgb_array"
    if "ansi" in known:
        return "ansi"
    raise _no_display(source.name)


def _render_modes(source: HostedSource) -> list[str]:
    made = source.made
    if not isinstance(made, gym.Env):
        try:
            made = make(recipe_of(made, source.name), source.kwargs, source.name)
        except Uncopyable:
            return []
        made.close()
    return list((made.metadata or {}).get("render_modes") or [])


def _no_display(name: str) -> CannotWatch:
    file = f"{name.rpartition(':')[2].rpartition('/')[2].lower()}.gif"
    return CannotWatch(
        f"There is no display to show {name} on: write a film instead, with --output {file} (in Python: path={file!r})."
    )


def _captioned(moment: Moment) -> Any:
    return captioned(moment.picture, _line(moment))  # type: ignore[arg-type]


def _line(moment: Moment) -> str:
    episode = f"episode {moment.episode + 1}   " if moment.episode else ""
    return f"{episode}score {moment.score:.6g}   step {moment.step}"


def _own_window(moments: Iterator[Moment]) -> None:
    for _ in moments:  # the environment draws as it is stepped
        pass


def _window(moments: Iterator[Moment], name: str, fps: float) -> None:
    with contextlib.closing(Window(f"bellmax: {name}", fps)) as window:
        for moment in moments:
            if not window.show(_captioned(moment)):
                return


def _terminal(moments: Iterator[Moment], fps: float) -> None:
    """Redraw in place on a terminal; elsewhere, one after another and at once."""
    console = Console(highlight=False)
    if not console.is_terminal:
        for moment in moments:
            console.print(_page(moment), end="\n\n")
        return
    with Live(console=console, auto_refresh=False) as live:
        for moment in moments:
            live.update(_page(moment), refresh=True)
            time.sleep(1 / fps)


def _page(moment: Moment) -> Text:
    return Text.from_ansi(f"{_line(moment)}\n{moment.text}")
