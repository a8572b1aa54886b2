"""Do the learners of language models find the best policy there is? `python -m benchmarks.language_oracle [ROW ...]`

One prompt has 64 answers of one token, each with a reward r; the policy begins at some pi_ref. Where the KL from pi_ref
costs beta a nat, the best policy is known,

    pi* = pi_ref exp(r / beta) / Z,

and PPO, GRPO (with k2), RLOO and DPO (on pairs whose better answer is drawn with probability sigmoid(r_a - r_b)) are
all to find it, within a total variation of 0.02. Two must not: GRPO with k3, whose gradient is not the KL's, and GRPO
with advantages that are standardised, whose beta is not the one that was asked for.

Answers are drawn from the policy by systematic sampling, which gives every answer its frequency to within one of all
that are drawn, and preferences by a sequence of low discrepancy: what is left of the distance is the learner's. The
table goes to docs/results.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.algorithms.language.dpo import DPO
from bellmax.algorithms.language.grpo import GRPO
from bellmax.algorithms.language.ppo_lm import PPOLM
from bellmax.algorithms.language.rloo import RLOO
from bellmax.language.config import ModelConfig
from bellmax.language.experience import Completions
from bellmax.language.sampler import Sampling
from bellmax.language.texts import Answers, Pairs, Texts
from bellmax.language.transformer import Transformer
from bellmax.maths.schedules import Linear

RESULTS = Path("docs/results/language_oracle")
NEAR = 0.02  # total variation
ANSWERS = 64
CONFIG = ModelConfig(ANSWERS, width=8, layers=1, heads=1, hidden=8, max_positions=2, tied=False)
FIRST, SECOND = np.triu_indices(ANSWERS, 1)
GOLDEN = (5**0.5 - 1) / 2


def beginning(seed: int) -> Transformer:
    """pi_ref: logits of deviation 1."""
    model = Transformer(jax.random.key(seed), CONFIG)
    weight = jax.random.normal(jax.random.key(seed + 100), (CONFIG.width, ANSWERS)) / CONFIG.width**0.5
    return jax.tree.unflatten(
        jax.tree.structure(model), [weight if x is model.head.weight else x for x in jax.tree.leaves(model)]
    )


def rewards(seed: int) -> Array:
    """Of the answers, in [-2, 2]."""
    return jax.random.uniform(jax.random.key(seed + 200), (ANSWERS,), minval=-2.0, maxval=2.0)


def log_policy(model: Transformer) -> Array:
    """log pi of all answers."""
    return jax.nn.log_softmax(model.logits(model(jnp.zeros((1, 1), jnp.int32)))[0, 0])


def best(model: Transformer, reward: Array, beta: float) -> Array:
    """pi*."""
    return jax.nn.softmax(log_policy(model) + reward / beta)


def texts(answer: Array) -> Texts:
    """Rows of the prompt and an answer, [batch, 2]."""
    there = jnp.ones_like(answer)
    prompt = jnp.zeros_like(answer)
    return Texts(jnp.stack([prompt, answer], 1), jnp.stack([there, there], 1), jnp.stack([prompt, there], 1) * 1.0)


def answered(model: Transformer, reward: Array, key: Array, step: Array, count: int) -> Answers:
    """Answers drawn from the policy: the ones at (u + i) / count of its cumulative distribution."""
    log_prob = log_policy(model)
    places = (jax.random.uniform(key) + jnp.arange(count)) / count
    answer = jnp.minimum(jnp.searchsorted(jnp.cumsum(jnp.exp(log_prob)), places), ANSWERS - 1)
    said = jnp.stack([jnp.zeros(count), log_prob[answer]], 1)
    return Answers(texts(answer), said, reward[answer], jnp.ones(count, bool))


def preferred(model: Transformer, reward: Array, key: Array, step: Array, count: int) -> Pairs:
    """All pairs of answers, the better one drawn by Bradley and Terry."""
    start = jax.random.uniform(jax.random.key(0), FIRST.shape)
    wins = (start + step * GOLDEN) % 1 < jax.nn.sigmoid(reward[FIRST] - reward[SECOND])
    chosen, rejected = jnp.where(wins, FIRST, SECOND), jnp.where(wins, SECOND, FIRST)
    return Pairs(texts(chosen), texts(rejected), jnp.zeros(len(FIRST)))


class Row(NamedTuple):
    """One learner: what it is with this beta, its batches, and for how long."""

    make: Callable[[float, dict[str, Any]], Any]
    steps: int
    rate: float  # falls to 0
    serve: Any = answered
    count: int = 512
    control: bool = False  # must not find it


def food(count: int, group: int) -> Completions:
    """Answers of one token."""
    return Completions(prompts=count // group, group=group, sampling=Sampling(max_tokens=1))


def grpo(beta: float, how: dict[str, Any], **more: Any) -> GRPO:
    """All answers are one group, and k2 is the penalty, if nothing else is said."""
    settings = {"kl": "k2", "standardised": False} | more
    return GRPO(experience=food(512, 512), kl_weight=beta, **settings, **how)


ROWS = {
    "ppo": Row(
        lambda beta, how: PPOLM(experience=food(512, 1), kl_weight=beta, epochs=2, minibatches=1, **how), 300, 0.03
    ),
    "grpo": Row(grpo, 300, 0.03),
    "rloo": Row(lambda beta, how: RLOO(experience=food(512, 512), kl_weight=beta, **how), 300, 0.03),
    "dpo": Row(lambda beta, how: DPO(beta=beta, **how), 800, 0.03, preferred),
    "grpo with k3": Row(lambda beta, how: grpo(beta, how, kl="k3"), 300, 0.03, control=True),
    "grpo, standardised": Row(lambda beta, how: grpo(beta, how, standardised=True), 300, 0.03, control=True),
}
BETAS = (0.1, 1.0, 5.0)


class Found(NamedTuple):
    """Where a learner got to."""

    distance: float  # total variation from pi*
    begun: float  # that of pi_ref
    reward_error: float  # the largest of |beta log pi / pi_ref - r| up to a constant, over all answers


@functools.partial(jax.jit, static_argnums=(0, 1))
def train(row: Row, steps: int, algorithm: Any, model: Transformer, reward: Array, key: Array) -> Transformer:
    """The policy after so many updates."""

    def step(state: Any, now: tuple[Array, Array]) -> tuple[Any, None]:
        number, key = now
        batch = row.serve(state.model, reward, key, number, row.count)
        return algorithm.update(state, batch, key)[0], None

    state = algorithm.init(key, model)
    return jax.lax.scan(step, state, (jnp.arange(steps), jax.random.split(key, steps)))[0].model


def find(row: Row, beta: float, seed: int, steps: int | None = None) -> Found:
    """Train, and look how far it is."""
    steps = steps or row.steps
    algorithm = row.make(beta, {"learning_rate": Linear(row.rate, 0.0, float(steps))})
    model, reward = beginning(seed), rewards(seed)

    new, goal = train(row, steps, algorithm, model, reward, jax.random.key(seed + 300)), best(model, reward, beta)
    ratio = beta * (log_policy(new) - log_policy(model)) - reward
    distances = (0.5 * jnp.abs(jnp.exp(log_policy(x)) - goal).sum() for x in (new, model))
    return Found(*map(float, distances), float(jnp.abs(ratio - ratio.mean()).max()))


def main(names: list[str]) -> None:
    """All rows, or those that are named, with every beta, over three seeds."""
    from bellmax.report import write_result

    seeds, table = (0, 1, 2), []
    for name in names or ROWS:
        row = ROWS[name]
        for beta in BETAS[:2] if row.control else BETAS:  # at 5 pi* is near pi_ref, and so is everything
            began = time.perf_counter()
            found = [find(row, beta, seed) for seed in seeds]
            distances = [round(x.distance, 4) for x in found]
            line = {"learner": name, "beta": beta, "updates": row.steps, "begun": round(max(x.begun for x in found), 3)}
            line |= {"distances": distances, "reward_error": round(max(x.reward_error for x in found), 3)}
            line |= {"target": f"> {NEAR}" if row.control else f"<= {NEAR}"}
            line |= {"met": min(distances) > NEAR if row.control else max(distances) <= NEAR}
            table.append(line | {"seconds": round(time.perf_counter() - began, 1)})
            print(table[-1], flush=True)
    if not names:
        notes = [" ".join(part.split()) for part in __doc__.split("\n\n")[1:]]
        write_result(
            RESULTS,
            "Learners of language models against the best policy",
            table,
            COLUMNS,
            notes,
            seeds=seeds,
            command=COMMAND,
        )


COMMAND = "python -m benchmarks.language_oracle"
COLUMNS = {
    "learner": "learner",
    "beta": "beta",
    "updates": "updates",
    "begun": "pi_ref's distance",
    "distances": "distance from pi*, a seed each",
    "reward_error": "largest error of the implicit reward",
    "target": "wanted",
    "met": "met",
}

if __name__ == "__main__":
    main(sys.argv[1:])
