"""Training a language model, with the face that a session asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.alignment.finding import config_of, fresh
from bellmax.alignment.plan import AlignmentPlan
from bellmax.core import Spec
from bellmax.drivers import language
from bellmax.drivers.evaluate import Evaluation
from bellmax.language import encoding, sharding
from bellmax.language.adapters import adapted
from bellmax.language.config import ModelConfig
from bellmax.language.doctor import diagnose
from bellmax.language.experience import Completions
from bellmax.language.reading import Reading
from bellmax.language.sampler import Sampling
from bellmax.language.scored import Scored
from bellmax.language.sources import Prompt, Writing
from bellmax.spaces import Discrete

Totals = dict[str, Any]


def begun(plan: AlignmentPlan, key: Any) -> language.Run:
    """The run that has learned nothing yet."""
    model_key, critic_key, adapter_key, start_key = jax.random.split(key, 4)
    materials = plan.materials
    model = fresh(model_key, materials.model)
    if materials.adapters is not None:
        model = adapted(adapter_key, model, materials.adapters)
    if materials.critic is None:
        return language.start(plan.algorithm, start_key, model)
    critic = materials.critic
    if isinstance(critic, ModelConfig):
        critic = Scored(critic_key, fresh(critic_key, critic))
    return language.start(plan.algorithm, start_key, model, critic)


def template(plan: AlignmentPlan) -> Any:
    """The shapes of the tree that a checkpoint of this plan holds; one seed, as a leading axis."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    run = jax.eval_shape(lambda key: begun(plan, key), key)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype), run)


class Language:
    """One seed of a plan."""

    def __init__(self, plan: AlignmentPlan, tree: Any = None):
        self.plan, materials, seed = plan, plan.materials, plan.seeds[0]
        space = Discrete(config_of(materials.model).vocabulary)
        self.spec = Spec(space, space, plan.num_envs)
        if tree is None:
            run = jax.jit(lambda key: begun(plan, key))(jax.random.key(seed))
        else:
            run = jax.tree.map(lambda x: jnp.asarray(x[0]), tree)
        place: Any = lambda batch: batch
        if plan.devices is not None:
            over = sharding.mesh(*plan.devices)
            run = jax.device_put(run, sharding.of_state(run, over))
            place = lambda batch: jax.device_put(batch, sharding.of_batch(batch, over))
        self.source = source(plan, seed, place)
        self._drive = language.Drive(plan.algorithm, self.source, run, place)
        self._said: set[str] = set()
        self.keep_sample: Callable[[dict[str, Any]], Any] | None = None  # where answers that may be read are kept

    def compile(self) -> None:
        """Compiled with the first step: which shapes there are the data say."""

    def advance(self, most_steps: Sequence[int], stop: Callable[[], bool]) -> list[Totals]:
        total = self._drive.advance(most_steps[0], stop)
        if self.keep_sample is not None:
            for sample in self._drive.samples:
                self.keep_sample({"seed": self.plan.seeds[0], "step": int(self._drive.run.step), **sample})
        return [total]

    def rescued(self) -> list[Totals]:
        return []

    def tree(self) -> Any:
        return jax.tree.map(lambda x: x[None], self._drive.run)

    def state(self, index: int) -> Any:
        return self._drive.run.state

    def evaluate(self, index: int, episodes: int) -> Evaluation:
        """Greedy answers to held-out prompts, and what rewards say of them."""
        return evaluate(self.plan, self._drive.run.state.model, episodes)

    def sound(self) -> list[bool]:
        return [bool(self._drive.run.sound)]

    def diagnose(self, index: int) -> tuple[Any, dict[str, Any]]:
        run, batch = self._drive.run, self._drive.batch
        metrics = jax.jit(lambda a, run, batch: a.update(run.state, batch, jax.random.fold_in(run.key, run.step))[1])(
            self.plan.algorithm, run, batch
        )
        broken = [name for name, x in metrics.items() if not np.isfinite(np.asarray(x)).all()]
        return batch, {"quantity": ", ".join(broken), "update": 0, "gradient_step": 0}

    def remarks(self, rows: Sequence[dict[str, Any]]) -> list[str]:
        """What the doctor sees in the rows of metrics and has not said yet."""
        fresh = [finding for finding in diagnose(rows) if finding.name not in self._said]
        self._said.update(finding.name for finding in fresh)
        return [f"{x.name}, since step {x.since_step}: {x.what}. {x.remedy}" for x in fresh]

    def close(self) -> None:
        """Nothing is open."""


def source(plan: AlignmentPlan, seed: int, place: Callable[[Any], Any]) -> Any:
    """Where the batches of a plan come from; `place` puts a batch on the devices that share it."""
    materials, algorithm = plan.materials, plan.algorithm
    if not algorithm.experience.written:
        return Reading(algorithm.experience, materials.tokeniser, materials.rows, algorithm.reads, seed)
    assert materials.rewards is not None, "the front door asks for rewards"
    prompts = prompts_of(plan, materials.rows)
    dtype = algorithm.compute.dtype
    return Writing(algorithm.experience, materials.tokeniser, prompts, materials.rewards, seed, dtype, place)


def evaluate(plan: AlignmentPlan, model: Any, episodes: int, greedy: bool = True) -> Evaluation:
    """Answers of a model to held-out prompts: their rewards, lengths, and which were cut off.

    ValueError where nobody judges them, or there is nothing to judge.
    """
    materials, experience = plan.materials, plan.algorithm.experience
    if isinstance(model, Scored):
        raise ValueError("a reward model writes nothing that could be judged; its accuracy is in its metrics.")
    if materials.rewards is None:
        raise ValueError(f"{materials.data_name} has no reward, so there is nobody to judge answers.")
    sampling = experience.sampling if experience.written else Sampling()
    prompts = prompts_of(plan, list(materials.held_out or materials.rows)[:episodes])
    longest = experience.longest if experience.written else experience.length
    writing = Writing(Completions(longest=longest), materials.tokeniser, prompts, materials.rewards, plan.seeds[0])
    answered, judged = writing.judged(model, prompts, sampling.replace(temperature=0.0) if greedy else sampling)
    lengths = np.asarray(answered.written.weight).sum(1)
    return Evaluation(np.asarray(judged.total), lengths.astype(int), ~np.asarray(answered.written.ended))


def prompts_of(plan: AlignmentPlan, rows: Any) -> list[Prompt]:
    """Rows as prompts of tokens."""
    encoded = encoding.prompts(rows, plan.materials.tokeniser)
    return [Prompt(tokens, text, row) for (tokens, text), row in zip(encoded, rows)]
