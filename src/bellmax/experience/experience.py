"""What drivers ask of an experience."""

from __future__ import annotations

from typing import Any

from jax import Array

from bellmax.core import Frozen, Transition


class Experience(Frozen):
    """Collect `length` steps a round; use them once and keep nothing."""

    @property
    def length(self) -> int:
        raise NotImplementedError

    @property
    def updates(self) -> int:
        return 1

    @property
    def whole(self) -> bool:
        return False

    @property
    def group(self) -> int:
        return 1

    @property
    def replays(self) -> bool:
        return False

    @property
    def logged(self) -> bool:
        return False

    @property
    def weighs(self) -> bool:
        return False

    def waits(self, num_envs: int) -> int:
        """How many rounds only collect, before the first that learns."""
        return 0

    def empty(self, example: Transition, num_envs: int) -> Any:
        """The buffer that holds nothing yet. `example`: one transition as shapes, without leading axes."""
        return None

    def add(self, buffer: Any, fresh: Transition) -> Any:
        """The buffer with the collected steps [time, env] in it."""
        return buffer

    def interrupt(self, buffer: Any) -> Any:
        """The buffer of a run that goes on in new episodes: what follows does not belong to its newest steps."""
        return buffer

    def sample(self, buffer: Any, fresh: Transition, key: Array) -> Transition:
        """A batch to learn from."""
        return fresh

    def reweigh(self, buffer: Any, batch: Transition, priority: Array) -> Any:
        """The buffer after a batch was learned from: how much there was to learn of each sample, [batch]."""
        return buffer
