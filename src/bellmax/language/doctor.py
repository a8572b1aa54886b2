"""What usually goes wrong with language models, read off the metrics of a run; each with a remedy.

Everything is judged over windows of rows, and against the noise between rows: one bad row is no finding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Row = Mapping[str, Any]

FEWEST = 8  # rows; from fewer nothing can be said
WINDOW = 10  # rows that are averaged; a quarter of the run if that is shorter, but at least 4
SURE = 3.0  # standard errors: one false alarm in about a thousand
SIGN = 1e-3  # nats below 0: rounding stays within
EXPLODED = (
    10.0  # nats: published runs end near or below it for whole answers (Stiennon et al., 2020), far below for a token
)
GROWTH = 9.0  # times as much within two windows: steady learning grows the KL about linearly
COLLAPSED = (
    0.1  # of the first entropy: what is left draws the same token 9 times out of 10 where it was undecided before
)
ALIKE = 0.8  # of groups without differences: four fifths of the answers were written for nothing
TRUNCATED = 0.5  # of answers that end: below, most rewards are for beginnings
BOTH_FELL = 0.1  # of the chosen answers' first log-probability: more than batches of other texts differ by
CLIPPED = 0.3  # of ratios: below about it PPO's first-order step is trusted; usual are 0.05 to 0.2
SOLVED = 0.9  # of the best score: alike and certain is then what was wanted


class Finding(NamedTuple):
    """Something that goes wrong."""

    name: str
    what: str  # what is seen
    remedy: str  # what to change, by the names of fields
    since_step: int


class Course(NamedTuple):
    """A metric over a run, smoothed over windows."""

    step: np.ndarray  # at the windows' ends, [windows]
    mean: np.ndarray  # [windows]
    error: float  # standard error of a mean
    width: int  # rows of a window

    def rose(self, start: int = 0) -> bool:
        """Is the last window above that number `start`, beyond noise?"""
        return self.change(start) > self.noise()

    def fell(self, start: int = 0) -> bool:
        """Is the last window below that number `start`, beyond noise?"""
        return self.change(start) < -self.noise()

    def change(self, start: int = 0) -> float:
        """By how much the last window is above that number `start`."""
        return float(self.mean[-1] - self.mean[start])

    def noise(self) -> float:
        """What the two windows may differ by for nothing."""
        return SURE * math.sqrt(2) * self.error + 1e-9

    @property
    def luck(self) -> float:
        """By how much the highest of all windows lies above the others for nothing (of normal noise)."""
        return self.error * math.sqrt(2 * math.log(max(len(self.mean) / self.width, 1)))


def diagnose(rows: Sequence[Row], best: float | None = None) -> list[Finding]:
    """What goes wrong at the end of these rows of metrics; nothing for a run that is well, or shorter than 8 rows.

    best  the highest score there can be. None: 1 if all scores are in [0, 1], else unknown: then a score that has risen
          counts as what was wanted
    """
    checks = (
        _negative_kl,
        _exploding_kl,
        lambda rows: _collapsed_entropy(rows, best),
        lambda rows: _groups_alike(rows, best),
        _truncated,
        _clipped,
        _hacked_gold,
        _hacked_length,
        _both_falling,
    )
    return [finding for check in checks if (finding := check(rows)) is not None]


def _negative_kl(rows: Sequence[Row]) -> Finding | None:
    (kl,) = courses(rows, "kl")
    if kl is None:
        return None
    since = _since(kl, kl.mean < -SURE * kl.error - SIGN)
    what = f"the KL from the reference is {kl.mean[-1]:.3g} nats on average, and a KL is never negative"
    remedy = (
        "it must be log pi - log pi_ref of answers that the policy drew itself: look at their order, draw with "
        "`experience.sampling.top_k`, `experience.sampling.top_p` and `experience.sampling.min_p` left out, and at one "
        "`experience.sampling.temperature` everywhere"
    )
    return _found("negative KL", what, remedy, since)


def _exploding_kl(rows: Sequence[Row]) -> Finding | None:
    (kl,) = courses(rows, "kl")
    if kl is None or kl.mean[-1] < EXPLODED:
        return None
    before = kl.mean[np.maximum(np.arange(len(kl.mean)) - 2 * WINDOW, 0)]
    exploded = np.flatnonzero((kl.mean > EXPLODED) & (kl.mean > GROWTH * before))
    since = int(kl.step[exploded[0]]) if len(exploded) else None
    what = f"the KL from the reference has shot up to {kl.mean[-1]:.3g} nats"
    return _found("exploding KL", what, "lower `learning_rate`, raise `kl_weight`, or give PPO a `target_kl`", since)


def _collapsed_entropy(rows: Sequence[Row], best: float | None) -> Finding | None:
    entropy, score = courses(rows, "entropy", "score")
    if entropy is None or score is None or _solved(rows, best):
        return None  # without a score nothing is drawn: where texts are given, to become certain of them is the aim
    since = _since(entropy, entropy.mean < COLLAPSED * entropy.mean[0])
    what = f"the entropy has fallen from {entropy.mean[0]:.3g} to {entropy.mean[-1]:.3g} nats a token; the score is low"
    remedy = "lower `learning_rate`, raise `kl_weight`, or widen `clip_high` (0.28) so that rare tokens can grow"
    return _found("entropy collapse", what, remedy, since)


def _groups_alike(rows: Sequence[Row], best: float | None) -> Finding | None:
    (same,) = courses(rows, "same_rewards")
    if same is None or _solved(rows, best):
        return None
    what = f"in {same.mean[-1]:.0%} of groups all answers get the same reward, and teach nothing"
    remedy = (
        "raise `experience.resample` or `experience.group`, raise `experience.sampling.temperature`, or give prompts "
        "that are sometimes answered well: easier ones, or a reward with partial credit"
    )
    return _found("groups without differences", what, remedy, _since(same, same.mean > ALIKE))


def _truncated(rows: Sequence[Row]) -> Finding | None:
    (ended,) = courses(rows, "ended")
    if ended is None:
        return None
    what = f"only {ended.mean[-1]:.0%} of answers end by themselves; the others are cut off"
    remedy = (
        "raise `experience.sampling.max_tokens`, or give PPO a `missing_end`; train with SFT to write the end first"
    )
    return _found("truncated answers", what, remedy, _since(ended, ended.mean < TRUNCATED))


def _clipped(rows: Sequence[Row]) -> Finding | None:
    (clipped,) = courses(rows, "clip_fraction")
    if clipped is None:
        return None
    what = f"{clipped.mean[-1]:.0%} of ratios are clipped: the policy moves too far in one update"
    remedy = "lower `learning_rate` or `epochs`"
    return _found("steps too long", what, remedy, _since(clipped, clipped.mean > CLIPPED))


def _hacked_gold(rows: Sequence[Row]) -> Finding | None:
    """The score rises from where a held-out gold reward was at its best, and that falls."""
    for name in sorted({name for row in rows for name in row if name.startswith("gold/")}):
        score, gold = courses(rows, "score", name)
        if score is None or gold is None:
            continue
        peak = int(gold.mean.argmax())
        if gold.change(peak) < -gold.noise() - gold.luck and score.rose(peak):
            what = f"the score rises by {score.change(peak):.3g} while {name} falls by {-gold.change(peak):.3g}"
            remedy = (
                f"go back to step {int(gold.step[peak])}; raise `kl_weight`; use an ensemble of reward models with "
                "caution; or train the reward model again on fresh answers"
            )
            return Finding("reward hacking", what, remedy, int(gold.step[peak]))
    return None


def _hacked_length(rows: Sequence[Row]) -> Finding | None:
    """Answers get longer and score more, but less than answers of their length used to."""
    steps, (score, length) = _together(rows, ("score", "length"))
    if len(steps) < FEWEST or not np.ptp(length):
        return None
    # What length by itself pays is seen from one row to the next, where learning changes little.
    pays = np.sum(np.diff(score) * np.diff(length)) / np.sum(np.diff(length) ** 2)
    controlled = _smooth(steps, score - pays * (length - length[0]))
    got, longer = _smooth(steps, score), _smooth(steps, length)
    if not (got.rose() and longer.rose()):
        return None
    what = f"answers grow by {longer.change():.3g} tokens and the score with them; at equal length it falls"
    remedy = "take what length pays out of the reward, raise `kl_weight`, or lower `experience.sampling.max_tokens`"
    fell = controlled.mean < controlled.mean[0] - controlled.noise()
    return _found("reward hacking", what, remedy, _since(controlled, fell))


def _both_falling(rows: Sequence[Row]) -> Finding | None:
    chosen, rejected = courses(rows, "log_prob_chosen", "log_prob_rejected")
    if chosen is None or rejected is None or not (chosen.fell() and rejected.fell()):
        return None
    fallen = -chosen.change(), -rejected.change()
    what = f"chosen answers have become less likely too: by {fallen[0]:.3g} nats, rejected ones by {fallen[1]:.3g}"
    remedy = (
        "lower `learning_rate`, raise `beta`, train with SFT on the chosen answers first, or use ORPO, which keeps them"
    )
    low = chosen.mean < chosen.mean[0] - BOTH_FELL * abs(chosen.mean[0])
    return _found("chosen and rejected both falling", what, remedy, _since(chosen, low))


def courses(rows: Sequence[Row], *names: str) -> list[Course | None]:
    """Metrics over the rows that have all of them; None where there are fewer than 8."""
    steps, values = _together(rows, names)
    return [_smooth(steps, value) if len(steps) >= FEWEST else None for value in values]


def _together(rows: Sequence[Row], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Steps [rows], and metrics [names, rows], of the rows that have them all as finite numbers."""
    found = []
    for place, row in enumerate(rows):
        values = [row.get(name) for name in names]
        if all(isinstance(value, int | float) and math.isfinite(value) for value in values):
            found.append([row.get("step", place), *values])
    table = np.array(found, float).reshape(-1, len(names) + 1).T
    return table[0], table[1:]


def _smooth(steps: np.ndarray, values: np.ndarray) -> Course:
    width = int(np.clip(len(values) // 4, 4, WINDOW))
    windows = np.lib.stride_tricks.sliding_window_view(values, width)
    noise = math.sqrt(np.mean(np.diff(values) ** 2) / 2)  # from row to row: what a run learns in between is little
    return Course(steps[width - 1 :], windows.mean(1), noise / math.sqrt(width), width)


def _solved(rows: Sequence[Row], best: float | None) -> bool:
    """Is the score near the best there can be? Where nobody knows that: has it risen?"""
    (score,) = courses(rows, "score")
    if score is None:
        return False
    if best is None and all(0 <= row["score"] <= 1 for row in rows if isinstance(row.get("score"), int | float)):
        best = 1.0
    return score.rose() if best is None else bool(score.mean[-1] >= SOLVED * best)


def _since(course: Course, wrong: np.ndarray) -> int | None:
    """The step since when it has been wrong without a break, to the end; None if it is not."""
    right = np.flatnonzero(~wrong)
    first = right[-1] + 1 if len(right) else 0
    return int(course.step[first]) if first < len(wrong) else None


def _found(name: str, what: str, remedy: str, since: int | None) -> Finding | None:
    return None if since is None else Finding(name, what, remedy, since)
