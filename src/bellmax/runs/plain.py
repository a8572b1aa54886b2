"""What JSON can hold: numbers of every library as Python's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Literal

import jax
import numpy as np


def plain(value: Any, name: str, nonfinite: Literal["null", "keep", "text"] = "null") -> Any:
    """`value` in dicts, lists, text and Python numbers; arrays as lists, paths as text.

    name       what an error calls it
    nonfinite  NaN and infinities become null, or the text "nan", "inf", "-inf", or are kept, which
               Python's JSON reads back and many other readers refuse

    Raises TypeError, naming the entry that is none of these.
    """
    if isinstance(value, float) and not isinstance(value, np.generic):
        return value if math.isfinite(value) else {"null": None, "keep": value, "text": str(value)}[nonfinite]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(inner, f"{name}[{key!r}]", nonfinite) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, f"{name}[{index}]", nonfinite) for index, inner in enumerate(value)]
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return plain(np.asarray(value).tolist(), name, nonfinite)
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"{name} is a {type(value).__name__}, which JSON cannot hold: give numbers, text, lists or dicts.")
