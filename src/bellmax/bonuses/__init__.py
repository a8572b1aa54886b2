"""What is worth going to see: bonuses for whatever is new, put around any algorithm by `Curious`. Each has

    init(key, spec)            -> state, a tree of arrays
    observe(state, fresh)      -> state that has looked at steps [time, env], once each, as they are collected
    of(state, batch)           -> the bonus of every step of a batch, as batch.reward is
    learn(state, batch, key)   -> state, metrics: what was seen becomes familiar

A bonus is about where a step leads, or about what was done; `batch` may be collected or replayed.
"""

from bellmax.bonuses.bonus import Bonus
from bellmax.bonuses.hashed_counts import HashedCounts
from bellmax.bonuses.icm import ICM
from bellmax.bonuses.rnd import RND

__all__ = ["ICM", "RND", "Bonus", "HashedCounts"]
