"""ONNX through jax2onnx (https://github.com/enpasos/jax2onnx), run with onnxruntime to check it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.export
from jax import Array

from bellmax.export.failed import ExportFailed
from bellmax.export.flat import Flat, Named
from bellmax.export.stablehlo import action_of, example_inputs

FILE = "policy.onnx"
OPSET = 21  # read by onnxruntime 1.18 (May 2024) and later
_MISSING = 'ONNX files need {0}, which is not installed: pip install "bellmax[onnx]", or export StableHLO alone.'


def require() -> None:
    """Raise ImportError, saying what to install, unless the libraries for ONNX are here."""
    for library in ("jax2onnx", "onnxruntime"):
        try:
            __import__(library)
        except ImportError as error:
            raise ImportError(_MISSING.format(library)) from error


def convert(flat: Flat) -> tuple[bytes, dict[str, Any]]:
    """The file's content, and what the manifest says of it."""
    import jax2onnx

    (batch,) = jax.export.symbolic_shape("batch")
    shapes = [jax.ShapeDtypeStruct((batch, *x.shape), x.dtype) for x in flat.inputs.values()]

    def positional(*inputs: Array) -> tuple[Array, ...]:
        return tuple(flat(dict(zip(flat.inputs, inputs)))[name] for name in flat.outputs)

    try:
        with _quiet():
            names = {"input_names": list(flat.inputs), "output_names": list(flat.outputs)}
            model: Any = jax2onnx.to_onnx(positional, shapes, model_name="policy", opset=OPSET, **names)
            content = model.SerializeToString()
    except Exception as error:
        raise ExportFailed(
            f"jax2onnx cannot convert the policy of {flat.owner} ({type(error).__name__}: {error}): "
            'export StableHLO instead, formats=("stablehlo",).'
        ) from error
    return content, {"opset": OPSET, "load": _load_lines(flat)}


def read(path: Path) -> Callable[[Named], Named]:
    """The function in a file: inputs [batch, ...] by name -> outputs [batch, ...] by name."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    wanted = [port.name for port in session.get_inputs()]
    given = [port.name for port in session.get_outputs()]
    return lambda inputs: dict(zip(given, session.run(given, {name: inputs[name] for name in wanted})))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The converter's library warns of shapes it leaves out of the file, which nobody needs."""
    logger = logging.getLogger("onnx_ir")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _load_lines(flat: Flat) -> list[str]:
    return [
        "import json, onnxruntime, numpy as np",
        f'session = onnxruntime.InferenceSession("{FILE}")',
        example_inputs(flat),
        "outputs = dict(zip([x.name for x in session.get_outputs()], session.run(None, inputs)))",
        f"action = {action_of(flat)}",
    ]
