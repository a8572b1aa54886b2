"""Whole episodes, for Monte Carlo methods."""

from __future__ import annotations

from bellmax.experience.experience import Experience
from bellmax.ranges import Count


class Episodes(Experience):
    """One episode of every environment, from its start, padded to `length` with weight 0: batch [length, env].

    An episode that is longer is cut at `length` (its last step gets `last`, and keeps its discount).
    Neighbouring environments start alike in groups of `group`.
    """

    length: Count = 500  # longer episodes are cut here
    group: Count = 1  # so many neighbouring environments start alike

    @property
    def whole(self) -> bool:
        return True
