"""Where a batch comes from. An algorithm names the experience it eats; the drivers serve it.

On-policy, Monte Carlo, replay and offline are not kinds of algorithm but kinds of food. Every experience has

    length                            steps of every environment in one round of collecting
    updates                           updates an algorithm makes after a round
    whole                             does a round begin with fresh episodes and stop at their end?
    group                             so many neighbouring environments start their episodes alike
    replays                           are batches drawn from a buffer, in no order?
    logged                            are there all steps before it begins? The offline driver serves it
    weighs                            does it want each batch's priorities back?
    waits(num_envs)                   rounds that only collect, before the first that learns
    empty(example, num_envs)          -> buffer; `example` is one transition without leading axes
    add(buffer, fresh)                -> buffer; `fresh` is what was just collected, [time, env]
    sample(buffer, fresh, key)        -> batch for `Algorithm.update`
    reweigh(buffer, batch, priority)  -> buffer; `priority` [batch] is the algorithm's metric of that name

and what replays has

    bytes(example, num_envs)          the memory that its buffer will take
    interrupt(buffer)                 -> buffer; what is added next does not follow its newest steps

Batches are [time, ...] always: what was collected is [length, env], what is replayed [n, batch], n steps that follow
each other; `fold` makes one transition of them. What is replayed has `extras["steps"]`: environment steps so far.
"""

from bellmax.experience.dataset import Dataset, Log, log
from bellmax.experience.episodes import Episodes
from bellmax.experience.experience import Experience
from bellmax.experience.fold import fold
from bellmax.experience.hindsight import Equal, GoalReward, Hindsight, WithinDistance
from bellmax.experience.prioritised import Prioritised
from bellmax.experience.prioritised_sequences import PrioritisedSequences
from bellmax.experience.replay import Replay
from bellmax.experience.sequences import Sequences
from bellmax.experience.steps import Steps

__all__ = [
    "Dataset",
    "Episodes",
    "Equal",
    "Experience",
    "GoalReward",
    "Hindsight",
    "Log",
    "Prioritised",
    "PrioritisedSequences",
    "Replay",
    "Sequences",
    "Steps",
    "WithinDistance",
    "fold",
    "log",
]
