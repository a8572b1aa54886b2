"""What training a language model gives back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.alignment.engine import evaluate
from bellmax.alignment.plan import AlignmentPlan
from bellmax.drivers.evaluate import Evaluation
from bellmax.language.adapters import merged
from bellmax.language.doctor import Finding, diagnose
from bellmax.language.encoding import prompt_of
from bellmax.language.folder import write_model
from bellmax.language.sampler import Sampling
from bellmax.language.tokeniser import Tokeniser
from bellmax.language.writing import answer, keys_of
from bellmax.runs import RunFolder


class AlignmentRun:
    """A language model that was trained, how it went, and what can be done with it."""

    def __init__(
        self,
        plan: AlignmentPlan,
        spec: Any,
        tree: Any,
        meta: dict[str, Any],
        metrics: list[dict[str, Any]],
        evaluations: list[dict[str, Any]],
        timing: dict[str, float],
        folder: RunFolder | None,
    ):
        self.plan, self.spec, self.tree, self.meta, self.folder = plan, spec, tree, meta, folder
        self.metrics, self.evaluations, self.timing = metrics, evaluations, timing

    def __repr__(self) -> str:
        where = f", folder={str(self.folder.path)!r}" if self.folder else ""
        updates = f"{self.meta['taken'][0]:,} updates"
        return f"AlignmentRun({self.plan.algorithm_name} on {self.plan.env_name}, {updates}{where})"

    @property
    def algorithm(self) -> Any:
        """The algorithm, with every hyperparameter it was trained with."""
        return self.plan.algorithm

    @property
    def config(self) -> dict[str, Any]:
        """What the run was asked to do, as in config.json."""
        return self.plan.config(self.spec)

    @property
    def seeds(self) -> list[int]:
        """The seed, in a list."""
        return list(self.plan.seeds)

    @property
    def state(self) -> Any:
        """What the algorithm has learned."""
        return jax.tree.map(lambda x: jnp.asarray(x[0]), self.tree.state)

    @property
    def tokeniser(self) -> Tokeniser:
        """Text to tokens and back; what the run read is as of the day it began, what is asked now as of today."""
        return dataclasses.replace(self.plan.materials.tokeniser, now=None)

    @property
    def model(self) -> Any:
        """The trained model, adapters merged into its weights: a Transformer, or, of a reward model, a Scored."""
        return merged(self.state.model)

    @property
    def samples(self) -> list[dict[str, Any]]:
        """Some of the answers that were written while it was trained: "step", "prompt", "answer", "reward"."""
        return [] if self.folder is None else self.folder.samples()

    @property
    def scores(self) -> np.ndarray:
        """Mean reward of the answers since the row before, [1, row]; NaN where nothing was written."""
        return np.array([[row["score"] for row in self.metrics]], float)

    @property
    def findings(self) -> list[Finding]:
        """What the doctor sees in the metrics: what goes wrong, and what to change."""
        return diagnose(self.metrics)

    def generate(
        self, prompts: str | Sequence[Any], sampling: Sampling | None = None, *, seed: int = 0
    ) -> str | list[str]:
        """Answer a prompt, or several: text, or lists of messages."""
        one = isinstance(prompts, str)
        asked = [prompts] if one else list(prompts)
        tokens = [prompt_of(self.tokeniser, {"prompt": prompt})[0] for prompt in asked]
        written = answer(self.model, self.tokeniser, tokens, keys_of(seed, 0, len(tokens)), sampling or Sampling())
        return written.texts[0] if one else written.texts

    def evaluate(self, episodes: int = 100, *, greedy: bool = True, seed: int | None = None) -> Evaluation:
        """Answers to so many held-out prompts: their rewards, lengths, and which were cut off."""
        return evaluate(self.plan, self.model, episodes, greedy)

    def save(self, path: str | Path) -> Path:
        """Write the model as a folder that transformers and vLLM load."""
        self.tokeniser.write(path)
        return write_model(path, self.model, extra=self.tokeniser.config)

    def watch(self, *_: Any, **__: Any) -> Any:
        """There is nothing to see. Raises ValueError."""
        raise ValueError("a language model is not watched: `bellmax generate`, or run.generate, has it answer.")

    def imagined(self, *_: Any, **__: Any) -> Any:
        """The same. Raises ValueError."""
        return self.watch()

    def export(self, *_: Any, **__: Any) -> Any:
        """Raises ValueError: `save` writes a language model."""
        raise ValueError("a language model is not exported: run.save, or --save, writes a folder that vLLM serves.")

    def plot(self, path: str | Path | None = None, **options: Any) -> Any:
        """Draw the reward over updates, to a PNG if `path` is given -> the path, or the figure."""
        from bellmax.report import plot

        return plot(cast(Any, self), path, **options)
