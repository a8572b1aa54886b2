"""Models in folders as Hugging Face has them: config.json, model.safetensors, tokenizer.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from bellmax.language.adapters import merged
from bellmax.language.config import ModelConfig
from bellmax.language.families import read_config, write_config
from bellmax.language.transformer import Transformer
from bellmax.language.weights import fill, named

SHARD = 5 * 10**9  # bytes of weights in one file at most
INDEX = "model.safetensors.index.json"


def read_model(path: str | Path) -> Transformer:
    """The model in a folder, in float32. FileNotFoundError or ValueError says which file is missing or wrong."""
    path = Path(path)
    config = read_config(_json(path / "config.json"))
    return fill(config, _weights(path), str(path))


def write_model(
    path: str | Path, model: Transformer, *, shard: int = SHARD, extra: dict[str, Any] | None = None
) -> Path:
    """Write a folder that transformers and vLLM load, adapters merged into the weights.

    `shard`: bytes of weights in a file at most; `extra` goes into config.json (eos_token_id, ...).
    """
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(write_config(model.config) | (extra or {}), indent=2) + "\n")
    files = _divided(named(merged(model)), shard)
    if len(files) == 1:
        save_file(files[0], path / "model.safetensors", metadata={"format": "pt"})
        (path / INDEX).unlink(missing_ok=True)
        return path
    places: dict[str, str] = {}
    for number, weights in enumerate(files, start=1):
        name = f"model-{number:05d}-of-{len(files):05d}.safetensors"
        save_file(weights, path / name, metadata={"format": "pt"})
        places |= dict.fromkeys(weights, name)
    size = sum(x.nbytes for weights in files for x in weights.values())
    index = {"metadata": {"total_size": size}, "weight_map": places}
    (path / INDEX).write_text(json.dumps(index, indent=2) + "\n")
    return path


def model_config(path: str | Path) -> ModelConfig:
    """The shape of the model in a folder."""
    return read_config(_json(Path(path) / "config.json"))


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: there is no such file; a model's folder has config.json and model.safetensors."
        )
    return json.loads(path.read_text())


def _weights(path: Path) -> dict[str, np.ndarray]:
    """All weights of a folder, whatever number of files they are in, in float32."""
    if (path / INDEX).is_file():
        files = sorted(set(_json(path / INDEX)["weight_map"].values()))
    else:
        files = ["model.safetensors"]
    found: dict[str, np.ndarray] = {}
    for name in files:
        if not (path / name).is_file():
            raise FileNotFoundError(f"{path / name}: there is no such file; its weights are missing.")
        with safe_open(path / name, framework="flax") as file:  # which knows bfloat16
            found |= {key: np.asarray(file.get_tensor(key), np.float32) for key in file.keys()}  # noqa: SIM118
    return found


def _divided(weights: dict[str, np.ndarray], most: int) -> list[dict[str, np.ndarray]]:
    """The weights in files of at most so many bytes, if none of them is larger."""
    files: list[dict[str, np.ndarray]] = [{}]
    for name, x in weights.items():
        if files[-1] and sum(y.nbytes for y in files[-1].values()) + x.nbytes > most:
            files.append({})
        files[-1][name] = x
    return files
