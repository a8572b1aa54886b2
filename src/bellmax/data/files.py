"""Columns in .npz and .parquet files. Neither can hold code: files from strangers are safe to read."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bellmax.data.checking import DataError

SUFFIXES = (".npz", ".parquet")


def check_suffix(path: Path) -> Path:
    """The path, if a file of this kind can be written. DataError if not."""
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path}: give a name that ends in {' or '.join(SUFFIXES)}.")
    if path.suffix == ".parquet":
        _arrow(path)
    return path


def read(path: Path) -> dict[str, np.ndarray]:
    """Every column of a file, by name. DataError if it cannot be read."""
    if path.suffix not in SUFFIXES:
        raise DataError(
            f"{path}: it is no run folder, no Minari data set, and does not end in {' or '.join(SUFFIXES)}."
        )
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")
    return _npz(path) if path.suffix == ".npz" else _parquet(path)


def write(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write columns [steps, ...], all or nothing: whoever looks for the file finds it whole or not at all."""
    check_suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part{path.suffix}")
    try:
        np.savez_compressed(part, **dict[str, Any](columns)) if path.suffix == ".npz" else _write_parquet(part, columns)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as file:  # pickles are refused
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: it cannot be read as NumPy's .npz: {error}") from error


def _arrow(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet

        return pyarrow
    except ImportError as error:
        raise ImportError(f'{path}: Parquet needs pyarrow: pip install "bellmax[parquet]", or take .npz.') from error


def _parquet(path: Path) -> dict[str, np.ndarray]:
    arrow = _arrow(path)
    try:
        table = arrow.parquet.read_table(path)
        return {field.name: _array(table.column(field.name), field) for field in table.schema}
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: it cannot be read as Parquet: {error}") from error


def _array(column: Any, field: Any) -> np.ndarray:
    """A column of numbers [steps], or of lists of one length [steps, length]; of any shape, if bellmax wrote it."""
    if column.null_count:
        raise ValueError(f"column {field.name!r} has {column.null_count} gaps; fill them")
    count, values = len(column), column.combine_chunks()
    while hasattr(values, "flatten") and hasattr(values.type, "value_type"):
        values = values.flatten()
    flat = values.to_numpy(zero_copy_only=False)
    shape = json.loads((field.metadata or {}).get(b"shape", b"null"))
    if shape is None:
        if count and flat.size % count:
            raise ValueError(f"column {field.name!r} has lists of several lengths")
        shape = () if not hasattr(field.type, "value_type") else (flat.size // max(count, 1),)
    return flat.reshape(count, *shape)


def _write_parquet(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    arrow, fields, arrays = _arrow(path), [], []
    for name, x in columns.items():
        values = arrow.array(x.reshape(-1))
        if x.ndim > 1:
            values = arrow.FixedSizeListArray.from_arrays(values, int(np.prod(x.shape[1:])))
        arrays.append(values)
        fields.append(arrow.field(name, values.type, metadata={"shape": json.dumps(list(x.shape[1:]))}))
    arrow.parquet.write_table(arrow.table(arrays, schema=arrow.schema(fields)), path)
