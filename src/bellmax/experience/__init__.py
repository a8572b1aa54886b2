"""Where a batch comes from. An algorithm names the experience it eats; the drivers serve it.

On-policy, Monte Carlo, replay and offline are not kinds of algorithm but kinds of food. Every experience has

    length                            steps of every environment in one round of collecting
    updates                           updates an algorithm makes after a round
    whole                             does a round begin with fresh episodes and stop at their end?
    group                             so many neighbouring environments start their episodes alike
    empty(example, num_envs)          -> buffer; `example` is one transition without leading axes
    add(buffer, fresh)                -> buffer; `fresh` is what was just collected, [time, env]
    sample(buffer, fresh, key)        -> batch for `Algorithm.update`
"""

from bellmax.experience.episodes import Episodes
from bellmax.experience.experience import Experience
from bellmax.experience.steps import Steps

__all__ = ["Episodes", "Experience", "Steps"]
