"""Writing a policy: convert, write, read back, compare, and only then give the file its name."""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from bellmax.core import Algorithm, Spec
from bellmax.encode import spec_to_plain
from bellmax.export import agreement, onnx, stablehlo
from bellmax.export.failed import ExportFailed
from bellmax.export.flat import Flat, Named, flatten
from bellmax.runs.disk import explained, make_folder, replace
from bellmax.runs.provenance import version

MANIFEST = "policy.json"
VERSION = 1  # of the manifest


class Format(NamedTuple):
    """A kind of file."""

    file: str
    require: Callable[[], None]  # raises ImportError where a library is missing
    convert: Callable[[Flat], tuple[bytes, dict[str, Any]]]  # -> content, what the manifest says of it
    read: Callable[[Path], Callable[[Named], Named]]


FORMATS = {
    "stablehlo": Format(stablehlo.FILE, lambda: None, stablehlo.convert, stablehlo.read),
    "onnx": Format(onnx.FILE, onnx.require, onnx.convert, onnx.read),
}


def export(
    algorithm: Algorithm,
    state: Any,
    spec: Spec,
    folder: str | Path,
    formats: Sequence[str] = ("stablehlo", "onnx"),
) -> dict[str, Path]:
    """Write the greedy policy of `algorithm` for use without it -> the files by format, and "manifest".

    Normalisers and action bounds are part of each file; a recurrent policy takes and gives its memory. Every file is
    read back and compared with the policy on 64 random observations before it takes its name, so a file that is
    there is right. `policy.json` says how to use them.

    Raises ExportFailed, ImportError (no `bellmax[onnx]`), ValueError (an unknown format) or RunFolderError (the disk).
    """
    for name in formats:
        if name not in FORMATS:
            raise ValueError(f"formats = {tuple(formats)!r}: {name!r} is none; choose from {', '.join(FORMATS)}.")
        FORMATS[name].require()
    folder = make_folder(Path(folder), parents=True)
    manifest = folder / MANIFEST
    with _exactly(), _unchecked(folder, formats) as drafts:
        flat = flatten(algorithm, jax.device_put(state, _processor()), spec)
        entries = {name: _write(flat, spec, drafts[name], FORMATS[name]) for name in formats}
        for name, draft in drafts.items():
            with explained(folder / FORMATS[name].file):
                draft.replace(folder / FORMATS[name].file)
    if any(entry["random"] for entry in entries.values()):
        warnings.warn(
            f"The greedy policy of {flat.owner} draws at random; a file draws the same every time.", stacklevel=2
        )
    replace(manifest, [json.dumps(_manifest(flat, spec, entries), indent=2).encode()])
    return {name: folder / FORMATS[name].file for name in formats} | {"manifest": manifest}


@contextlib.contextmanager
def _unchecked(folder: Path, formats: Sequence[str]) -> Iterator[dict[str, Path]]:
    """Where files wait until all of them are checked; what is still there in the end is removed."""
    drafts = {name: folder / f".unchecked-{FORMATS[name].file}" for name in formats}
    try:
        yield drafts
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


def _write(flat: Flat, spec: Spec, draft: Path, format: Format) -> dict[str, Any]:
    """One file, written and checked -> its entry in the manifest."""
    content, about = format.convert(flat)
    replace(draft, [content])
    random = agreement.check(flat, spec, _read(format, draft), format.file)
    return {"file": format.file, "sha256": hashlib.sha256(content).hexdigest(), "random": random, **about}


def _read(format: Format, path: Path) -> Callable[[Named], Named]:
    try:
        return format.read(path)
    except Exception as error:
        raise ExportFailed(f"{format.file} was written but cannot be read back: {error}") from error


def _manifest(flat: Flat, spec: Spec, entries: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": "bellmax policy",
        "version": VERSION,
        "algorithm": flat.owner,
        "spec": spec_to_plain(spec),
        "inputs": {name: _about(x) for name, x in flat.inputs.items()},
        "outputs": {name: _about(x) for name, x in flat.outputs.items()},
        "begin": {name: _short(x) for name, x in flat.begin.items()},
        "remember": {f"next_{name}": name for name in flat.begin},
        "files": entries,
        "checked": {"observations": agreement.OBSERVATIONS, "tolerance": agreement.TOLERANCE},
        "versions": {name: version(name, None) for name in ("bellmax", "jax", "jaxlib", "numpy", "jax2onnx")},
    }


def _about(x: jax.ShapeDtypeStruct) -> dict[str, Any]:
    return {"shape": ["batch", *x.shape], "dtype": str(x.dtype)}


def _short(x: np.ndarray) -> Any:
    """An array as JSON; one number if all of it is that number."""
    return x.flat[0].item() if x.size and (x == x.flat[0]).all() else x.tolist()


@contextlib.contextmanager
def _exactly() -> Iterator[None]:
    """The policy to compare with, in full precision and on the processor, whatever else this machine has."""
    with jax.default_device(_processor()), jax.default_matmul_precision("highest"):
        yield


def _processor() -> jax.Device:
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX was told to leave the processor alone
        return jax.local_devices()[0]
