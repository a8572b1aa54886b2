"""What runs have shown: statistics over seeds, learning curves, tables, results for the record.

Importing this is cheap; matplotlib is imported when something is drawn.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bellmax.report.curves import curve, final_score, seeds_of, steps_to_reach
    from bellmax.report.plots import plot
    from bellmax.report.results import write_result
    from bellmax.report.sparklines import sparkline
    from bellmax.report.statistics import (
        Interval,
        bootstrap_band,
        bootstrap_interval,
        iqm,
        permutation_p_value,
        probability_of_improvement,
    )
    from bellmax.report.tables import compare, compare_rows

_HOME = {
    "Interval": "statistics",
    "bootstrap_band": "statistics",
    "bootstrap_interval": "statistics",
    "iqm": "statistics",
    "permutation_p_value": "statistics",
    "probability_of_improvement": "statistics",
    "curve": "curves",
    "final_score": "curves",
    "seeds_of": "curves",
    "steps_to_reach": "curves",
    "plot": "plots",
    "compare": "tables",
    "compare_rows": "tables",
    "write_result": "results",
    "sparkline": "sparklines",
}

__all__ = [
    "Interval",
    "bootstrap_band",
    "bootstrap_interval",
    "compare",
    "compare_rows",
    "curve",
    "final_score",
    "iqm",
    "permutation_p_value",
    "plot",
    "probability_of_improvement",
    "seeds_of",
    "sparkline",
    "steps_to_reach",
    "write_result",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"bellmax.report has no {name!r}: it has {', '.join(__all__)}.")
    return getattr(importlib.import_module(f"bellmax.report.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
