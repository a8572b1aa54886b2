"""Environments by name.

CartPole-v1            Gymnasium's                          find("CartPole-v1")
ALE/Pong-v5            Atari, preprocessed by ALE           find("ALE/Pong-v5", repeat_action_probability=0.0)
bellmax:GridWorld      a world of bellmax's own, in-graph   find("bellmax:GridWorld", size=8)
gymnax:CartPole-v1     Gymnax's, in-graph                   find("gymnax:CartPole-v1")
brax:ant               Brax's, in-graph                     find("brax:ant", backend="spring")
navix:Navix-Empty-5x5-v0      Navix's, in-graph             find("navix:Navix-Empty-5x5-v0")
pgx:tic_tac_toe        a game for two of Pgx, in-graph      find("pgx:tic_tac_toe", planes=True)
mine:Maze              class or function `Maze` of the module `mine`, in the working directory or installed
mine:Maze-v0           a Gymnasium id that importing `mine` registers
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from bellmax.core import Env
from bellmax.envs.adaptors import MissingDependency

if TYPE_CHECKING:
    from bellmax.envs.adaptors.atari import AtariSource
    from bellmax.envs.adaptors.gymnasium import HostedSource

# Packages that add ids to Gymnasium's when imported: how their ids look, the module, what to install.
PLUGINS = (
    (r"ALE/|.*(NoFrameskip|Deterministic)-v", "ale_py", "bellmax[atari]"),
    (r"MiniGrid-|BabyAI-", "minigrid", "bellmax[minigrid]"),
    (r"MiniWorld-", "miniworld", "miniworld"),
    (r"dm_control/", "shimmy", "shimmy[dm-control]"),
    (r"Fetch|HandReach|HandManip|Adroit|PointMaze|AntMaze|FrankaKitchen", "gymnasium_robotics", "bellmax[robotics]"),
)
# Ids that Gymnasium registers without having what they run on: where they live, the module, what to install.
ENGINES = (
    ("gymnasium.envs.box2d", "Box2D", "bellmax[box2d]"),
    ("gymnasium.envs.mujoco", "mujoco", "bellmax[mujoco]"),
)


# Worlds in the graph of other libraries, and the extra that installs each: module, file in `adaptors` and prefix have
# one name.
LIBRARIES = {"gymnax": "gymnax", "brax": "brax", "navix": "navix", "pgx": "games"}
ADAPTORS = "bellmax.envs.adaptors"


class UnknownEnvironment(ValueError):
    """No environment has this name; the message suggests the nearest ones."""


def find(env: Any, *, vectorization: str = "auto", **kwargs: Any) -> Env | HostedSource | AtariSource:
    """The environment that is meant: an in-graph `Env`, or the source of hosted ones.

    `env` is a name (see above), an `Env` or a class of them, or what `HostedSource` takes: a Gymnasium
    class, factory, object or vector environment. `kwargs` go to the constructor. `vectorization` says
    how hosted copies run ("auto", "sync" or "async"). Raises `UnknownEnvironment` or `MissingDependency`.
    """
    if isinstance(env, str):
        return _by_name(env.strip(), vectorization, kwargs)
    if isinstance(env, type) and issubclass(env, Env):
        return env(**kwargs)
    from bellmax.envs.adaptors.atari import AtariSource
    from bellmax.envs.adaptors.gymnasium import HostedSource

    if isinstance(env, Env | HostedSource | AtariSource):
        if kwargs:
            raise TypeError(f"{type(env).__name__} is already made and takes no {', '.join(kwargs)}.")
        return env
    return HostedSource(env, kwargs, vectorization)


def known() -> dict[str, list[str]]:
    """Every name that `find` takes, by source: "bellmax", "gymnasium", and those of `LIBRARIES` that are installed."""
    import gymnasium

    from bellmax.envs import WORLDS

    for _, module, _ in PLUGINS:
        if _installed(module):
            importlib.import_module(module)
    names = {"bellmax": [f"bellmax:{name}" for name in sorted(WORLDS)], "gymnasium": sorted(gymnasium.registry)}
    for library in LIBRARIES:
        if library in sys.modules or f"{ADAPTORS}.{library}" in sys.modules or _installed(library):
            with contextlib.suppress(ImportError):
                adaptor = importlib.import_module(f"{ADAPTORS}.{library}")
                names[library] = [f"{library}:{name}" for name in sorted(adaptor.names())]
    return names


def _by_name(name: str, vectorization: str, kwargs: dict[str, Any]) -> Env | HostedSource | AtariSource:
    source, colon, inner = name.partition(":")
    if colon and source == "bellmax":
        from bellmax.envs import WORLDS

        if inner not in WORLDS:
            raise _unknown(name)
        return WORLDS[inner](**kwargs)
    if colon and source in LIBRARIES:
        return _of_library(name, source, inner, kwargs)
    if not colon:
        return _gymnasium(name, name, vectorization, kwargs)
    thing = _attribute(name, source, inner)
    if thing is not None:
        return find(thing, vectorization=vectorization, **kwargs)
    return _gymnasium(name, inner, vectorization, kwargs)


def _of_library(name: str, library: str, inner: str, kwargs: dict[str, Any]) -> Env:
    try:
        adaptor = importlib.import_module(f"{ADAPTORS}.{library}")
        names = adaptor.names()
    except MissingDependency:
        raise
    except ImportError as error:
        raise MissingDependency(
            f'{name} needs {library} ({error}): pip install "bellmax[{LIBRARIES[library]}]"'
        ) from error
    if inner not in names:
        raise _unknown(name)
    return adaptor.named(inner, kwargs)


def _gymnasium(name: str, identity: str, vectorization: str, kwargs: dict[str, Any]) -> HostedSource | AtariSource:
    import gymnasium

    from bellmax.envs.adaptors.atari import AtariSource, is_atari
    from bellmax.envs.adaptors.gymnasium import HostedSource

    if identity not in gymnasium.registry:
        for pattern, module, package in PLUGINS:
            if re.match(pattern, identity):
                _require(name, module, package)
                importlib.import_module(module)
    if identity not in gymnasium.registry:
        raise _unknown(name)
    _check_robots(name, identity)
    entry = gymnasium.registry[identity].entry_point
    for place, module, package in ENGINES:
        if isinstance(entry, str) and entry.startswith(place):
            _require(name, module, package)
    return (AtariSource if is_atari(identity) else HostedSource)(name, kwargs, vectorization)


def _check_robots(name: str, identity: str) -> None:
    """gymnasium-robotics 1.4 fails with an empty AssertionError where MuJoCo is too new for it."""
    if re.match(r"Fetch|HandReach|HandManip", identity) and _installed("mujoco"):
        found = importlib.metadata.version("mujoco")
        if tuple(int(part) for part in found.split(".")[:2]) >= (3, 12):
            raise MissingDependency(
                f'{name} needs a MuJoCo before 3.12, and {found} is installed: pip install "bellmax[robotics]"'
            )


def _attribute(name: str, module: str, inner: str) -> Any:
    """What a module calls `inner`; None if it has no such thing. The working directory counts as a place to look."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        raise _unknown(name, f"there is no module {module!r} here or installed")
    loaded = importlib.import_module(module)
    return getattr(loaded, inner, None) if inner.isidentifier() else None


def _require(name: str, module: str, package: str) -> None:
    if not _installed(module):
        raise MissingDependency(f'{name} needs {module}, which is not installed: pip install "{package}"')


def _installed(module: str) -> bool:
    return module in sys.modules or importlib.util.find_spec(module) is not None


def _unknown(name: str, reason: str = "") -> UnknownEnvironment:
    near = nearest(name)
    module, colon, inner = name.partition(":")
    if colon and not reason and module not in ("bellmax", *LIBRARIES):
        held = [word for word, thing in vars(sys.modules[module]).items() if callable(thing)]
        near = [f"{module}:{word}" for word in difflib.get_close_matches(inner, held, 2)] + near
    choices = " or ".join(filter(None, [", ".join(near[:3][:-1]), *near[:3][-1:]]))
    hint = f"did you mean {choices}?" if near else "`bellmax envs` lists them all."
    return UnknownEnvironment(f"no environment is called {name!r}{f' ({reason})' if reason else ''}: {hint}")


def nearest(name: str, count: int = 4) -> list[str]:
    """The known names most like `name`, best first; case, version and source count little."""
    wanted, source = _stem(name), name.partition(":")[0] if ":" in name else ""
    likeness = {each: _likeness(wanted, _stem(each)) for names in known().values() for each in names}

    def rank(candidate: str) -> tuple[Any, ...]:
        version = re.search(r"-v(\d+)$", candidate)
        elsewhere = candidate.partition(":")[0] != source if source else ":" in candidate
        far = "/" in candidate and "/" not in name and not candidate.startswith("ALE/")
        return source and elsewhere, -likeness[candidate], far, elsewhere, -int(version[1]) if version else 0

    best: dict[str, str] = {}  # only the newest version of each
    for candidate in sorted((each for each in likeness if likeness[each] >= 0.7), key=rank):
        best.setdefault(re.sub(r"-v\d+$", "", candidate), candidate)
    return list(best.values())[:count]


def _likeness(wanted: str, stem: str) -> float:
    """1 for the same, above 0.7 for what may have been meant; a beginning is as good as a slip of the finger."""
    if len(wanted) > 2 and stem.startswith(wanted) and stem != wanted:
        return 0.85
    return difflib.SequenceMatcher(None, wanted, stem).ratio()


def _stem(name: str) -> str:
    """The part of a name that people remember: no source, namespace, version, case or punctuation."""
    return re.sub(r"(-v\d+)$|[^a-z0-9]", "", name.rpartition(":")[2].rpartition("/")[2].lower())
