"""`bellmax export RUN --output FOLDER`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bellmax.cli.evaluate import chosen
from bellmax.cli.find_run import find_run
from bellmax.cli.flags import RunName, parse
from bellmax.loading import load


@dataclass(frozen=True)
class Export:
    """Write the greedy policy, with its normaliser, in files that need no bellmax. Each is checked against it."""

    run: RunName  # a run folder, the name of one in ./runs, or latest
    output: str  # the folder to write to
    format: Literal["both", "stablehlo", "onnx"] = "both"  # stablehlo is read by jax.export, onnx by onnxruntime
    seed: int | None = None  # which of the run's seeds; the first if left out
    checkpoint: str | None = None  # the file to read, if not the latest


def main(words: list[str]) -> None:
    """Write the files, and say where."""
    asked = parse(Export, words, "export")
    run = load(find_run(asked.run), checkpoint=asked.checkpoint)
    index = 0 if asked.seed is None else run.seeds.index(chosen(run, asked.seed))
    formats = ("stablehlo", "onnx") if asked.format == "both" else (asked.format,)
    for path in run.export(asked.output, seed=index, formats=formats).values():
        print(f"wrote {path}")
