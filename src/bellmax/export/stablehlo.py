"""StableHLO through `jax.export`: one file for processors and NVIDIA's accelerators, any batch size.

https://docs.jax.dev/en/latest/export/export.html
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.export

from bellmax.export.failed import ExportFailed
from bellmax.export.flat import Flat, Named

FILE = "policy.stablehlo"
PLATFORMS = ("cpu", "cuda")


def convert(flat: Flat) -> tuple[bytes, dict[str, Any]]:
    """The file's content, and what the manifest says of it. Products are taken in full precision on every platform."""
    (batch,) = jax.export.symbolic_shape("batch")
    shapes = {name: jax.ShapeDtypeStruct((batch, *x.shape), x.dtype) for name, x in flat.inputs.items()}
    make = jax.export.export(jax.jit(lambda inputs: flat(inputs)), platforms=PLATFORMS)
    try:
        with jax.default_matmul_precision("highest"):
            exported = make(shapes)
            content = bytes(exported.serialize())
    except ExportFailed:
        raise
    except Exception as error:
        raise ExportFailed(f"jax.export cannot convert the policy of {flat.owner}: {error}") from error
    return content, {
        "platforms": list(exported.platforms),
        "calling_convention": exported.calling_convention_version,
        "load": _load_lines(flat),
    }


def read(path: Path) -> Callable[[Named], Named]:
    """The function in a file: inputs [batch, ...] by name -> outputs [batch, ...] by name.

    The file is data (a flatbuffer with StableHLO inside), no code runs by reading it.
    """
    return jax.jit(jax.export.deserialize(bytearray(path.read_bytes())).call)


def example_inputs(flat: Flat) -> str:
    """A line of Python that makes inputs of the right names, shapes and dtypes, for one environment."""

    def value(name: str, x: jax.ShapeDtypeStruct) -> str:
        shape, dtype = (1, *x.shape), str(x.dtype)
        if name in flat.begin:
            return f'np.full({shape}, begin["{name}"], "{dtype}")'
        return f'np.{"ones" if dtype == "bool" else "zeros"}({shape}, "{dtype}")'

    parts = ", ".join(f'"{name}": {value(name, x)}' for name, x in flat.inputs.items())
    begin = 'begin = json.load(open("policy.json"))["begin"]; ' if flat.begin else ""
    return f"{begin}inputs = {{{parts}}}"


def _load_lines(flat: Flat) -> list[str]:
    return [
        "import json, jax, jax.export, numpy as np",
        f'policy = jax.export.deserialize(bytearray(open("{FILE}", "rb").read()))',
        example_inputs(flat),
        "outputs = policy.call(inputs)",
        f"action = {action_of(flat)}",
    ]


def action_of(flat: Flat) -> str:
    """The Python expression that takes the action out of `outputs`."""
    parts = [name for name in flat.outputs if name.split(".")[0] == "action"]
    return 'outputs["action"]' if parts == ["action"] else "[" + ", ".join(f'outputs["{p}"]' for p in parts) + "]"
