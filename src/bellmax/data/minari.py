"""Data sets of Minari (Younis et al., 2024), https://minari.farama.org, from the disk; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bellmax.data.checking import DataError

PREFIX = "minari:"


def is_folder(path: Path) -> bool:
    """Is it the folder of a Minari data set, or the `data` folder within?"""
    return any((folder / "metadata.json").is_file() for folder in (path, path / "data"))


def load(what: str) -> Any:
    """The data set of an id, or of a folder. DataError if it is not on this machine."""
    library = _library(what)
    path = Path(what)
    if is_folder(path):
        return library.MinariDataset(path if (path / "metadata.json").is_file() else path / "data")
    try:
        return library.load_dataset(what)
    except FileNotFoundError as error:
        raise DataError(f"{PREFIX}{what}: it is not on this machine; fetch it: minari download {what}") from error
    except ImportError as error:
        raise ImportError(f'{what}: {error}: pip install "bellmax[minari]"') from error


def columns(dataset: Any) -> dict[str, np.ndarray]:
    """All episodes behind each other. Minari keeps an observation more than steps, so every successor is known."""
    parts: dict[str, list[np.ndarray]] = {}

    def keep(name: str, tree: Any, rows: slice) -> None:
        if isinstance(tree, Mapping | tuple):
            pairs = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
            for key, inner in pairs:
                keep(f"{name}/{key}", inner, rows)
        else:
            parts.setdefault(name, []).append(np.asarray(tree)[rows])

    for episode in dataset.iterate_episodes():
        keep("obs", episode.observations, slice(None, -1))
        keep("next_obs", episode.observations, slice(1, None))
        keep("action", episode.actions, slice(None))
        for name in ("rewards", "terminations", "truncations"):
            keep(name, getattr(episode, name), slice(None))
        if len(episode.rewards) and not (episode.terminations[-1] or episode.truncations[-1]):
            parts["truncations"][-1] = np.arange(len(episode.rewards)) == len(episode.rewards) - 1  # it was broken off
    return {name: np.concatenate(pieces) for name, pieces in parts.items()}


def _library(what: str) -> Any:
    try:
        import minari

        return minari
    except ImportError as error:
        raise ImportError(f'{what}: Minari is not installed: pip install "bellmax[minari]".') from error
