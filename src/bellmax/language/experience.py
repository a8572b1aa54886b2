"""Where a language learner's batches come from; the counterpart of `bellmax.experience`.

An update takes one batch. `Examples` and `Preferences` read rows of a data set, `Completions` has the policy answer
prompts and rewards the answers.
"""

from __future__ import annotations

from bellmax.core import Frozen
from bellmax.language.sampler import Sampling
from bellmax.ranges import Count, Whole


class Examples(Frozen):
    """Rows of a data set, each once an epoch, in an order that is new every epoch."""

    batch: Count = 16  # rows in a batch
    length: Count = 512  # tokens in a row; longer examples are cut at their beginning
    packed: bool = False  # as many examples in a row as fit

    @property
    def written(self) -> bool:
        """Are batches written by the policy?"""
        return False


class Preferences(Frozen):
    """Pairs of a data set, each once an epoch, in an order that is new every epoch."""

    batch: Count = 16  # pairs in a batch
    length: Count = 512  # tokens of prompt and answer; longer ones are cut at the prompt's beginning

    @property
    def written(self) -> bool:
        """Are batches written by the policy?"""
        return False


class Completions(Frozen):
    """Prompts of a data set, answered by the policy of this moment, each `group` times."""

    prompts: Count = 32  # in a batch
    group: Count = 8  # answers to each
    sampling: Sampling = Sampling()  # how they are written
    longest: Count = 256  # tokens of a prompt; rows with longer ones are refused
    resample: Whole = 0  # so often, groups whose rewards are all alike are replaced by other prompts' (Yu et al., 2025)

    def __post_init__(self) -> None:
        Frozen.__post_init__(self)
        if self.sampling.restricted:
            raise ValueError(
                "Completions.sampling: top_k, top_p and min_p restrict what is written, and the ratio of updates would "
                "be that of other probabilities; leave them out while training."
            )
        if isinstance(self.sampling.temperature, float | int) and self.sampling.temperature == 0:
            raise ValueError("Completions.sampling.temperature = 0: answers would all be alike; give more than 0.")

    @property
    def written(self) -> bool:
        """Are batches written by the policy?"""
        return True

    @property
    def answers(self) -> int:
        """Rows in a batch."""
        return self.prompts * self.group
