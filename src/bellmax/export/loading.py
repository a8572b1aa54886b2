"""Reading an exported policy back: no algorithm, no training code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bellmax.core import Spec
from bellmax.encode import spec_from_plain
from bellmax.export import stablehlo
from bellmax.export.failed import DamagedPolicy
from bellmax.export.flat import Named, names
from bellmax.export.writing import MANIFEST, VERSION
from bellmax.runs.disk import RunFolderError, explained


class Policy:
    """An exported policy: `action = policy(obs)`, or `action, memory = policy(obs, memory)` if it is `recurrent`.

    `spec` says what it sees and does. Observations are trees as in `spec.obs`, of one environment or with a leading
    batch axis; actions and memories have that axis where the observation has.
    """

    def __init__(self, manifest: dict[str, Any], call: Callable[[Named], Named]):
        """`load` makes policies."""
        self.manifest, self._call = manifest, call
        self.spec: Spec = spec_from_plain(manifest["spec"])
        self.recurrent = bool(manifest["begin"])
        self._inputs = {name: (tuple(x["shape"][1:]), x["dtype"]) for name, x in manifest["inputs"].items()}
        self._action: Any = jax.tree.structure(self.spec.action)

    def __call__(self, obs: Any, memory: Any = None) -> Any:
        """The action; with a memory, the action and the next memory. `memory` None begins an episode.

        Raises ValueError where `obs` or `memory` is not what the policy was exported for.
        """
        given = dict(zip(names(obs, "obs"), jax.tree.leaves(obs)))
        if self.recurrent:
            given |= self.begin(_rows(given, self._inputs)) if memory is None else memory
        inputs, single = self._batch(given)
        outputs = self._call(inputs)
        if single:
            outputs = {name: x[0] for name, x in outputs.items()}
        remember = self.manifest["remember"]
        action = self._action.unflatten([outputs[name] for name in self.manifest["outputs"] if name not in remember])
        if not self.recurrent:
            return action
        return action, {after: outputs[before] for before, after in remember.items()}

    def begin(self, batch: int | None = None) -> Named:
        """The memory to start episodes with, by name: of one environment, or of `batch`."""
        lead = () if batch is None else (batch,)
        begin = self.manifest["begin"].items()
        return {name: np.full((*lead, *self._inputs[name][0]), x, self._inputs[name][1]) for name, x in begin}

    def _batch(self, given: Named) -> tuple[Named, bool]:
        """The inputs with a batch axis, in their dtypes, and whether that axis had to be made."""
        if given.keys() != self._inputs.keys():
            raise ValueError(f"The policy wants {', '.join(self._inputs)}; it was given {', '.join(given)}.")
        inputs = {name: np.asarray(x, self._inputs[name][1]) for name, x in given.items()}
        single = all(x.shape == self._inputs[name][0] for name, x in inputs.items())
        for name, x in inputs.items():
            shape = self._inputs[name][0]
            if not single and (x.shape[1:] != shape or x.ndim != len(shape) + 1):
                raise ValueError(f"{name} has shape {x.shape}: it must be {shape}, or {('batch', *shape)} for many.")
        return ({name: x[None] for name, x in inputs.items()} if single else inputs), single


def load(folder: str | Path) -> Policy:
    """The policy that `export` wrote to `folder`, from its StableHLO file.

    Raises DamagedPolicy where the file is not the one that was checked, RunFolderError where there is none.
    """
    folder = Path(folder)
    manifest = _manifest(folder / MANIFEST)
    entry = manifest["files"].get("stablehlo")
    if entry is None:
        raise RunFolderError(f'{folder} holds no StableHLO file: export it again with formats=("stablehlo",).')
    path = folder / stablehlo.FILE
    with explained(path, "read"):
        content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise DamagedPolicy(f"{path} is not the file that was exported and checked: export the policy again.")
    return Policy(manifest, stablehlo.read(path))


def _manifest(path: Path) -> dict[str, Any]:
    with explained(path, "read"):
        text = path.read_bytes()
    try:
        manifest = json.loads(text)
        known = manifest["version"]
        manifest["files"], manifest["spec"], manifest["begin"], manifest["remember"]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedPolicy(f"{path} is damaged: export the policy again.") from error
    if known != VERSION:
        raise RunFolderError(
            f"{path} has version {known}, this bellmax reads {VERSION}: use the bellmax that wrote it."
        )
    return manifest


def _rows(given: Named, inputs: dict[str, Any]) -> int | None:
    """The size of the observations' batch; None if they are of one environment."""
    for name, x in given.items():
        if name in inputs and np.ndim(x) > len(inputs[name][0]):
            return np.shape(x)[0]
    return None
