"""Runs side by side, a line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from bellmax.report import wording
from bellmax.report.curves import Rows, curve, final_score
from bellmax.report.sources import Run, Source, differences, name_all, read_all
from bellmax.report.statistics import bootstrap_interval, iqm, permutation_p_value, probability_of_improvement

_NOTES = {
    "score": "score: a seed's mean over its last 10 % of training episodes; the inter-quartile mean over seeds"
    " [95 % bootstrap interval]",
    "best evaluation": "best evaluation: the highest inter-quartile mean over seeds, and the step it was reached at",
    "better than first": "better than first: how likely a seed scores higher than one of the first run"
    " (p: how often chance alone gives a difference as large)",
}


def compare(
    runs: Run | Sequence[Run], labels: Sequence[str] | None = None, style: Literal["text", "markdown"] = "text"
) -> str:
    """A table with a line for each run: what it was, its final score over seeds, best evaluation, speed and time.

    runs    run folders, their paths, `Run`s or lists of rows
    labels  what to call them; by default the names of their folders
    style   plain aligned text, or Markdown

    Columns that no run has anything for are left out. Raises RunFolderError for a path that is no run.
    """
    lines = [_texts(row) for row in compare_rows(runs, labels)]
    names = [name for name in lines[0] if any(line[name] not in ("", wording.MISSING) for line in lines)]
    cells = [[line[name] or wording.MISSING for name in names] for line in lines]
    notes = [note for name, note in _NOTES.items() if name in names]
    if style == "markdown":
        return "\n".join([wording.markdown(names, cells), "", *(f"* {note}" for note in notes)])
    return "\n".join([wording.aligned(names, cells), "", *notes])


def compare_rows(runs: Run | Sequence[Run], labels: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """What `compare` shows, as numbers: a dict for each run.

    run, algorithm, environment, settings   names, and how the settings differ from the other runs'
    seeds, scored                           how many, and how many of them ended an episode
    steps, least_steps                      environment steps of the seed that got furthest, and least far
    score, low, high                        IQM of `scores` with its 95 % interval (NaN for one seed)
    scores                                  the mean of each seed's last 10 % of training episodes
    evaluation, evaluation_step             the best evaluation (IQM over seeds) and its step
    steps_per_second, time                  environment steps of all seeds together, and the seconds of running
    improvement, p_value                    probability of improvement over the first run and how often chance gives
                                            as much; None for the first and on another environment

    What is not known is None or NaN.
    """
    sources = read_all(runs)
    names = name_all(sources, labels) if labels is not None else _folders(sources)
    rows = [
        {"run": name, "algorithm": source.algorithm, "environment": source.environment, "settings": odd}
        | _progress(source)
        | _score(source.rows)
        | _evaluation(source.evaluations)
        for name, source, odd in zip(names, sources, differences(sources))
    ]
    return [row | (_improvement(row, rows[0]) if row is not rows[0] else _UNKNOWN) for row in rows]


_UNKNOWN: dict[str, Any] = {"improvement": None, "p_value": None}


def _folders(sources: Sequence[Source]) -> list[str]:
    return [source.name or f"run {number}" for number, source in enumerate(sources, 1)]


def _progress(source: Source) -> dict[str, Any]:
    ends: dict[int, float] = {}
    for row in (*source.rows, *source.evaluations):
        seed = int(row.get("seed", 0))
        ends[seed] = max(ends.get(seed, 0), row["step"])
    time = max((row["time"] for row in source.rows if row.get("time") is not None), default=None)
    return {
        "seeds": len(ends) or len(source.config.get("seeds") or ()),
        "steps": int(max(ends.values(), default=0)),
        "least_steps": int(min(ends.values(), default=0)),
        "steps_per_second": sum(ends.values()) / time if time else None,
        "time": time,
    }


def _score(rows: Rows) -> dict[str, Any]:
    scores = final_score(rows)
    known = scores[~np.isnan(scores)]
    if len(known) == 0:
        nothing = {"score": None, "low": np.nan, "high": np.nan}
        return {"scores": scores.tolist(), "scored": 0} | nothing
    low, high = bootstrap_interval(known)
    return {"scores": scores.tolist(), "scored": len(known), "score": float(iqm(known)), "low": low, "high": high}


def _evaluation(rows: Rows) -> dict[str, Any]:
    steps, values = curve(rows, "mean")
    if not np.isfinite(values).any():
        return {"evaluation": None, "evaluation_step": None}
    middle = iqm(values, axis=0)  # NaN where a seed was not evaluated: the best of few seeds is no fair best
    middle = iqm(values, axis=0, skip_nan=True) if np.isnan(middle).all() else middle
    best = int(np.nanargmax(middle))
    return {"evaluation": float(middle[best]), "evaluation_step": int(steps[best])}


def _improvement(row: Mapping[str, Any], first: Mapping[str, Any]) -> dict[str, Any]:
    mine, others = ([x for x in one["scores"] if not np.isnan(x)] for one in (row, first))
    if row["environment"] != first["environment"] or not mine or not others:
        return _UNKNOWN
    chance = probability_of_improvement(mine, others)
    return {"improvement": chance, "p_value": permutation_p_value(mine, others)}


def _texts(row: Mapping[str, Any]) -> dict[str, str]:
    """The cells of one line, by heading; "" where nothing is known."""
    steps = [f"{row['least_steps']:,} to "] if row["least_steps"] != row["steps"] else []
    score = wording.interval(row["score"], row["low"], row["high"]) if row["score"] is not None else ""
    if score and row["scored"] < row["seeds"]:
        score += f" ({row['scored']} of {row['seeds']} seeds)"
    evaluation, chance, speed = row["evaluation"], row["improvement"], row["steps_per_second"]
    return {
        "run": row["run"],
        "algorithm": row["algorithm"],
        "environment": row["environment"],
        "settings": row["settings"],
        "seeds": f"{row['seeds']}",
        "steps": "".join([*steps, f"{row['steps']:,}"]),
        "score": score,
        "best evaluation": "" if evaluation is None else f"{wording.figure(evaluation)} at {row['evaluation_step']:,}",
        "steps/s": "" if speed is None else f"{speed:,.0f}",
        "time": "" if row["time"] is None else wording.duration(row["time"]),
        "better than first": "" if chance is None else f"{chance:.2f} ({_p_value(row['p_value'])})",
    }


def _p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
