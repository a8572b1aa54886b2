"""Where the batches of a run come from: rows that are read, or answers that the policy writes and rewards judge.

A batch is a pure function of the seed, the number of the step, and the policy: a run that goes on gets the batches that
it would have got.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from bellmax.language.batching import batch_indices, prompt_width
from bellmax.language.experience import Completions
from bellmax.language.rewards import Rewards
from bellmax.language.sampler import Sampling
from bellmax.language.texts import Answers, answers
from bellmax.language.tokeniser import Tokeniser
from bellmax.language.transformer import Transformer
from bellmax.language.writing import Answered, answer, keys_of

Row = Mapping[str, Any]


class Served(NamedTuple):
    """A batch, and what is to be told of it."""

    batch: Any
    tally: dict[str, float]  # episodes, score, length: sums; everything else: means
    samples: list[dict[str, Any]]  # a few answers, to be read


class Prompt(NamedTuple):
    """A row of a data set: its prompt's tokens, its text, and everything it says."""

    tokens: list[int]
    text: str
    row: Row


class Writing:
    """Batches of answers that the policy writes."""

    def __init__(
        self,
        experience: Completions,
        tokeniser: Tokeniser,
        prompts: Sequence[Prompt],
        rewards: Rewards,
        seed: int,
        dtype: str = "float32",
        place: Callable[[Any], Any] = lambda batch: batch,
    ):
        self.experience, self.tokeniser, self.prompts = experience, tokeniser, prompts
        self.rewards, self.seed, self.dtype, self.place = rewards, seed, jnp.dtype(dtype), place
        self.width = prompt_width(
            [prompt.tokens for prompt in prompts], experience.longest, [prompt.row for prompt in prompts]
        )

    def serve(self, step: int, model: Transformer) -> Served:
        """The batch of step number `step`."""
        chosen = [int(i) for i in batch_indices(self.seed, step, self.experience.prompts, len(self.prompts))]
        answered, judged = self._written(chosen, step, 0, model)
        for attempt in range(1, self.experience.resample + 1):
            same = np.flatnonzero(_all_alike(judged.total, self.experience.group))
            if len(same) == 0:
                break
            chosen, answered, judged = self._replaced(chosen, answered, judged, same, step, attempt, model)
        batch = answers(answered.prompts, answered.written, judged.total)
        return Served(batch, self._tally(batch, judged), self._samples(chosen, answered, judged))

    def _written(self, chosen: list[int], step: int, attempt: int, model: Transformer) -> tuple[Answered, Any]:
        """Answers to these prompts, and their rewards."""
        repeated = [self.prompts[i] for i in chosen for _ in range(self.experience.group)]
        keys = keys_of(self.seed + 1_000_003 * attempt, step, len(repeated))
        tokens = [prompt.tokens for prompt in repeated]
        answered = answer(
            model,
            self.tokeniser,
            tokens,
            keys,
            self.experience.sampling,
            width=self.width,
            dtype=self.dtype,
            place=self.place,
        )
        return answered, self._judge(repeated, answered)

    def _judge(self, prompts: Sequence[Prompt], answered: Answered) -> Any:
        texts = answers(answered.prompts, answered.written, np.zeros(len(prompts))).texts
        return self.rewards([p.text for p in prompts], answered.texts, [p.row for p in prompts], texts)

    def _replaced(
        self, chosen: list[int], answered: Answered, judged: Any, same: Any, step: int, attempt: int, model: Transformer
    ) -> tuple[list[int], Answered, Any]:
        """The groups `same` replaced by those of other prompts, where theirs are not alike too."""
        draw = np.random.default_rng([self.seed, step, attempt])
        others = [int(i) for i in draw.integers(len(self.prompts), size=len(chosen))]  # as many: one program
        fresh, fresh_judged = self._written(others, step, attempt, model)
        better = np.flatnonzero(~_all_alike(fresh_judged.total, self.experience.group))
        rows, group = np.arange(len(chosen) * self.experience.group), self.experience.group
        take = np.arange(len(chosen))
        swapped = list(zip(same, better))
        for old, new in swapped:
            take[old] = len(chosen) + new
        index = (take[:, None] * group + rows[:group]).reshape(-1)

        def both(old: Any, new: Any) -> Any:
            return jnp.concatenate([jnp.asarray(old), jnp.asarray(new)])[index]

        everything = chosen + others
        texts = answered.texts + fresh.texts
        prompts = type(answered.prompts)(*map(both, answered.prompts, fresh.prompts))
        written = type(answered.written)(*map(both, answered.written, fresh.written))
        merged = Answered(prompts, written, [texts[i] for i in index])
        return [everything[i] for i in take], merged, judged.merged(fresh_judged, index)

    def _tally(self, batch: Answers, judged: Any) -> dict[str, float]:
        length = np.asarray(batch.texts.weight).sum(1)
        tally = {"episodes": len(length), "score": float(judged.total.sum()), "length": float(length.sum())}
        tally |= {"ended": float(np.asarray(batch.ended).mean()), "reward_deviation": float(judged.total.std())}
        for name, values in judged.parts.items():  # what has no weight is only watched
            watched = self.rewards.weights[name] == 0
            tally[f"{'gold' if watched else 'reward'}/{name}"] = float(values.mean())
        return tally | {f"failed/{name}": float(count) for name, count in judged.failures.items() if count}

    def _samples(self, chosen: list[int], answered: Answered, judged: Any) -> list[dict[str, Any]]:
        group = self.experience.group
        return [
            {
                "prompt": self.prompts[i].text,
                "answer": answered.texts[k * group],
                "reward": float(judged.total[k * group]),
            }
            for k, i in enumerate(chosen[:4])
        ]

    def judged(self, model: Transformer, prompts: Sequence[Prompt], sampling: Sampling, seed: int = 0) -> Any:
        """Rewards of one answer to each of these prompts, for evaluation -> (answers, what rewards said)."""
        keys = keys_of(self.seed + 7_368_787, seed, len(prompts))
        tokens = [prompt.tokens for prompt in prompts]
        answered = answer(model, self.tokeniser, tokens, keys, sampling, width=self.width, dtype=self.dtype)
        return answered, self._judge(prompts, answered)


def _all_alike(reward: np.ndarray, group: int) -> np.ndarray:
    """Of each group: are its rewards all the same?"""
    grouped = np.asarray(reward).reshape(-1, group)
    return (grouped == grouped[:, :1]).all(1)
