"""How far a run is and how well it goes: what every display shows, kept from the rows it is sent."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from bellmax.display.protocol import Facts

FINEST = 256  # parts that a score history is kept in, however long the run
_WINDOW = 15.0  # seconds: what is left is judged by these last
_STANDARD = ("seed", "step", "score", "length", "episodes", "time", "steps_per_second")


class History:
    """The mean score in each of `FINEST` equal parts of the run."""

    def __init__(self) -> None:
        self.sums, self.counts, self.last = [0.0] * FINEST, [0] * FINEST, -1

    def add(self, part: float, score: float) -> None:
        """A score `part` (0 to 1) of the way through the run."""
        place = min(max(int(part * FINEST), 0), FINEST - 1)
        self.sums[place] += score
        self.counts[place] += 1
        self.last = max(self.last, place)

    def curve(self, width: int) -> list[float | None]:
        """Means in `width` columns up to the last score; a column without one repeats the column before."""
        columns: list[float | None] = []
        for column in range(width):
            begin, end = column * FINEST // width, max((column + 1) * FINEST // width, column * FINEST // width + 1)
            if begin > self.last:
                break
            seen = sum(self.counts[begin:end])
            before = columns[-1] if columns else None
            columns.append(sum(self.sums[begin:end]) / seen if seen else before)
        return columns


class Progress:
    """A run as its rows tell it. Adding a row costs a few dictionary entries."""

    def __init__(self, facts: Facts, clock: Callable[[], float] = time.monotonic) -> None:
        self.facts, self._clock = facts, clock
        self.taken = dict.fromkeys(facts.seeds, facts.taken)
        self.scores: dict[int, float] = {}
        self.latest: dict[int, Mapping[str, Any]] = {}
        self.evaluations: dict[int, Mapping[str, Any]] = {}
        self._rates: dict[int, float] = {}
        self.history = History()
        self.seed_histories = {seed: History() for seed in facts.seeds} if len(facts.seeds) <= 8 else {}
        self.compile_seconds: float | None = None
        self.compiling_since: float | None = None
        self._running_since = clock()
        self._marks: deque[tuple[float, int]] = deque([(self._running_since, self.total)])

    def compiling(self) -> None:
        self.compiling_since = self._clock()

    def compiled(self, seconds: float) -> None:
        self.compile_seconds, self.compiling_since = seconds, None
        self._running_since = self._clock()
        self._marks = deque([(self._running_since, self.total)])

    def row(self, row: Mapping[str, Any]) -> None:
        seed, step, score = row.get("seed", self.facts.seeds[0]), row.get("step", 0), row.get("score")
        self.taken[seed] = step
        self.latest[seed] = row
        if score is not None and score == score:  # NaN is not equal to itself
            self.scores[seed] = score
            part = step / max(self.facts.steps, 1)
            self.history.add(part, score)
            if seed in self.seed_histories:
                self.seed_histories[seed].add(part, score)
        rate = row.get("steps_per_second")
        if rate:
            self._rates[seed] = 0.8 * self._rates.get(seed, rate) + 0.2 * rate
        self._mark()

    def evaluation(self, row: Mapping[str, Any]) -> None:
        self.evaluations[row.get("seed", self.facts.seeds[0])] = row

    def _mark(self) -> None:
        now = self._clock()
        if now - self._marks[-1][0] < 0.25:
            return
        self._marks.append((now, self.total))
        while len(self._marks) > 2 and now - self._marks[1][0] > _WINDOW:
            self._marks.popleft()

    @property
    def total(self) -> int:
        """Steps of all seeds together."""
        return sum(list(self.taken.values()))

    @property
    def goal(self) -> int:
        """Steps of all seeds together when the run is done."""
        return self.facts.steps * len(self.facts.seeds)

    @property
    def fraction(self) -> float:
        """How much of the run is done, from 0 to 1."""
        return min(self.total / max(self.goal, 1), 1.0)

    @property
    def seconds(self) -> float:
        """Seconds of running, without compiling."""
        return 0.0 if self.compiling_since is not None else self._clock() - self._running_since

    @property
    def compiling_for(self) -> float:
        """Seconds since compiling began, while it goes on."""
        return 0.0 if self.compiling_since is None else self._clock() - self.compiling_since

    @property
    def speed(self) -> float | None:
        """Steps that all seeds together take in a second of running, lately."""
        going = [rate for seed, rate in list(self._rates.items()) if self.taken[seed] < self.facts.steps]
        rates = going or list(self._rates.values())
        return sum(rates) if rates else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds by the clock until the run is done, evaluations and all, if it goes on like this."""
        (begin, first), (end, last) = self._marks[0], self._marks[-1]
        if last <= first or end <= begin:
            return None
        left = (self.goal - self.total) * (end - begin) / (last - first)
        return max(left - (self._clock() - end), 0.0)

    @property
    def score(self) -> float | None:
        """The mean over seeds of the latest score."""
        scores = list(self.scores.values())  # a copy: rows come in while another thread draws
        return sum(scores) / len(scores) if scores else None

    @property
    def watched(self) -> tuple[str, float | None]:
        """What to look at, and how high it is: the score, or the loss of a language model that nobody scores."""
        loss = self.metrics.get("loss") if self.facts.driver == "language" else None
        return ("loss", loss) if self.score is None and loss is not None else ("score", self.score)

    @property
    def metrics(self) -> dict[str, float]:
        """The algorithm's own metrics, averaged over the seeds' latest rows."""
        gathered: dict[str, list[float]] = {}
        for row in list(self.latest.values()):
            for name, value in row.items():
                if name not in _STANDARD and isinstance(value, int | float) and not isinstance(value, bool):
                    gathered.setdefault(name, []).append(value)
        return {name: sum(values) / len(values) for name, values in gathered.items()}
