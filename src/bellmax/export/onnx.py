"""ONNX through jax2onnx (https://github.com/enpasos/jax2onnx), run with onnxruntime to check it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
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
    """The file's content, and what the manifest says of it.

    The batch axis is free where the converter can do that with this policy; else the file takes one observation.
    """
    failures = []
    for batch in (*jax.export.symbolic_shape("batch"), 1):
        try:
            content = _converted(flat, batch)
        except Exception as error:
            failures.append(error)
        else:
            return content, {"opset": OPSET, "batch": "any" if batch != 1 else 1, "load": _load_lines(flat)}
    raise ExportFailed(
        f"jax2onnx cannot convert the policy of {flat.owner} ({type(failures[-1]).__name__}: {failures[-1]}): "
        'export StableHLO instead, formats=("stablehlo",).'
    ) from failures[-1]


def _converted(flat: Flat, batch: Any) -> bytes:
    import jax2onnx

    shapes = [jax.ShapeDtypeStruct((batch, *x.shape), x.dtype) for x in flat.inputs.values()]
    same = _unnamed(flat)

    def positional(*inputs: Array) -> tuple[Array, ...]:
        outputs = flat(dict(zip(flat.inputs, inputs)))
        return tuple(_again(outputs[name]) if name in same else outputs[name] for name in flat.outputs)

    names: dict[str, Any] = {"input_names": list(flat.inputs), "output_names": list(flat.outputs)}
    with _quiet():
        model: Any = jax2onnx.to_onnx(positional, shapes, model_name="policy", opset=OPSET, **names)
        return model.SerializeToString()


def _unnamed(flat: Flat) -> list[str]:
    """The outputs that are an input or another output as it is: ONNX wants a value of its own for each name."""
    shapes = {name: jax.ShapeDtypeStruct((1, *x.shape), x.dtype) for name, x in flat.inputs.items()}
    jaxpr = jax.make_jaxpr(lambda inputs: [flat(inputs)[name] for name in flat.outputs])(shapes).jaxpr
    known, found = [id(var) for var in jaxpr.invars], []
    for name, var in zip(flat.outputs, jaxpr.outvars):
        if id(var) in known:
            found.append(name)
        known.append(id(var))
    return found


def _again(x: Array) -> Array:
    return x | False if x.dtype == bool else x + jnp.zeros((), x.dtype)


def read(path: Path) -> Callable[[Named], Named]:
    """The function in a file: inputs [batch, ...] by name -> outputs [batch, ...] by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of constants that it drops
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    wanted = [port.name for port in session.get_inputs()]
    given = [port.name for port in session.get_outputs()]

    def call(inputs: Named) -> Named:
        return dict(zip(given, session.run(given, {name: inputs[name] for name in wanted})))

    if session.get_inputs()[0].shape[0] != 1:
        return call

    def one_by_one(inputs: Named) -> Named:
        rows = range(len(inputs[wanted[0]]))
        answers = [call({name: x[row : row + 1] for name, x in inputs.items()}) for row in rows]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in given}

    return one_by_one


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
