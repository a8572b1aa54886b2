"""The last few steps of every environment, used once."""

from __future__ import annotations

from bellmax.experience.experience import Experience
from bellmax.ranges import Count


class Steps(Experience):
    """On-policy experience: `length` steps of every environment, batch [length, env]."""

    length: Count = 128  # steps of every environment in one round
