"""PPO against each reward model, and what helps: a weight of the KL, an ensemble, fresh labels, stopping in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from bellmax.algorithms.language.ppo_lm import PPOLM
from bellmax.drivers.language import Drive, start
from bellmax.language.doctor import diagnose
from bellmax.language.experience import Completions
from bellmax.language.rewards import Rewards
from bellmax.language.sources import Prompt, Writing
from bellmax.language.texts import Pairs
from bellmax.language.transformer import Transformer
from benchmarks.overoptimisation.best_of_n import ensemble
from benchmarks.overoptimisation.gold import HELD_OUT, TOKENISER, TRAINED, Gold, prompt_text
from benchmarks.overoptimisation.models import (
    SAMPLING,
    SIZES,
    Effort,
    joined,
    judged,
    labelled,
    policy_before,
    preferences,
    reward_model,
    written,
)

KL_WEIGHTS = (0.05, 0.2)  # gold and proxy are in nats of preference, so that weights are, too
ROUNDS = 6  # reward models, one behind the other, of the run that asks the gold reward again
FRESH = 2048  # pairs that are labelled each time
EVERY = 5  # updates between two looks at held-out prompts
ASKED = np.repeat(HELD_OUT, 16, axis=0)  # these

Change = Callable[[int, Transformer], Any]


class Course(NamedTuple):
    """A run, an update a row, and the policies it went through."""

    rows: list[dict[str, float]]
    policies: dict[int, Transformer]  # by the update before which it was so, every fifth one
    before: dict[str, float]  # proxy and gold reward of the policy before


def learner(kl_weight: float = 0.0) -> PPOLM:
    """256 answers an update, and small steps: at 3e-4 and two epochs the gold reward is past its peak in four."""
    return PPOLM(
        experience=Completions(prompts=256, group=1, sampling=SAMPLING),
        learning_rate=7e-5,
        critic_learning_rate=1e-3,
        kl_weight=kl_weight,
        epochs=1,
    )


def optimised(
    policy: Transformer,
    proxy: Any,
    gold: Gold,
    effort: Effort,
    seed: int,
    weight: float = 0,
    change: Change | None = None,
) -> Course:
    """PPO, paid by the proxy; the gold reward is watched. `change(update, policy)` may give another proxy, or None."""
    algorithm = learner(weight)
    texts = [prompt_text(prompt) for prompt in TRAINED]
    prompts = [Prompt(TOKENISER.encode(text), text, {"prompt": text}) for text in texts]
    source = Writing(algorithm.experience, TOKENISER, prompts, rewards(proxy, gold), seed)
    drive = Drive(algorithm, source, jax.jit(start)(algorithm, jax.random.key(seed), policy))
    begun = written(policy, np.repeat(TRAINED, 100, axis=0), jax.random.key(6000))
    course = Course([], {}, {"proxy": judged(proxy, begun).mean(), "gold": judged(gold, begun).mean()})
    for update in range(effort.updates):
        now = drive.run.state.model
        if update % EVERY == 0:
            course.policies[update] = jax.tree.map(np.asarray, now)
        other = change(update, now) if change is not None else None
        if other is not None:
            source.rewards = rewards(other, gold)
        found = drive.advance(1, lambda: False)
        names = ("kl", "entropy", "reward/proxy", "gold/gold")
        row = {name: float(found[name]) for name in names}
        course.rows.append(row | {"score": found["score"] / found["episodes"], "step": update})
    return course


def rewards(proxy: Any, gold: Gold) -> Rewards:
    """The proxy pays."""
    return Rewards({"proxy": proxy, "gold": (gold, 0.0)})


def asking_again(gold: Gold, pairs: Pairs, effort: Effort, seed: int) -> Change:
    """Now and then, label answers of the policy of that moment, and train a small reward model anew.

    A third of what it reads is fresh, all of that repeated until it is half as much as there is from the policy before.
    """
    labels: list[Pairs] = []
    every = max(effort.updates // ROUNDS, 1)

    def change(update: int, policy: Transformer) -> Any:
        if update == 0 or update % every:
            return None
        rng = np.random.default_rng([seed, update])
        prompts = TRAINED[rng.integers(len(TRAINED), size=FRESH)]
        sides = [written(policy, prompts, key) for key in jax.random.split(jax.random.key(4000 + update), 2)]
        labels.append(labelled(gold, *sides, rng))
        fresh = jax.tree.map(lambda *x: np.concatenate(x), *labels)
        half = np.arange(effort.pairs // 2) % len(fresh.margin)  # always as many: one program
        return reward_model("small", joined(pairs, jax.tree.map(lambda x: x[half], fresh)), seed, effort)

    return change


def courses(gold: Gold, policy: Transformer, effort: Effort, seed: int) -> dict[str, Course]:
    """All runs, by what is optimised."""
    pairs = preferences(gold, policy, effort.pairs, seed)
    proxies: dict[str, Any] = {size: reward_model(size, pairs, seed, effort) for size in SIZES}
    small = proxies["small"]
    runs: dict[str, tuple[Any, dict[str, Any]]] = {size: (proxy, {}) for size, proxy in proxies.items()}
    runs |= {f"small, KL weight {weight}": (small, {"weight": weight}) for weight in KL_WEIGHTS}
    runs["small, ensemble"] = ensemble("small", small, pairs, seed, effort), {}
    runs["small, fresh labels"] = small, {"change": asking_again(gold, pairs, effort, seed)}
    found = {}
    for name, (proxy, more) in runs.items():
        began = time.perf_counter()
        found[name] = optimised(policy, proxy, gold, effort, seed, **more)
        print(f"ppo, {name}: {time.perf_counter() - began:.0f} s", flush=True)
    return found


def stopped_early(course: Course, gold: Gold) -> dict[str, Any]:
    """Where the doctor and the gold reward of half the held-out prompts would stop; what the other half says of it."""
    key = jax.random.key(5000)
    said = {step: judged(gold, written(policy, ASKED, key)) for step, policy in course.policies.items()}
    first, second = ({step: x.reshape(2, -1)[half].mean() for step, x in said.items()} for half in (0, 1))
    chosen = max(first, key=lambda step: first[step])
    found = {"step": chosen, "gold": second[chosen] - second[0], "gold at the end": second[max(second)] - second[0]}
    told = {"held-out gold": {name: round(float(x), 3) for name, x in found.items()}}
    for rows in range(8, len(course.rows) + 1):
        hacked = [x for x in diagnose(course.rows[:rows]) if x.name == "reward hacking"]
        if hacked:
            back = min(said, key=lambda step: abs(step - hacked[0].since_step))
            gained = round(float(said[back].mean() - said[0].mean()), 3)
            told["doctor"] = {"said after": rows, "back to": hacked[0].since_step, "step": back, "gold": gained}
            break
    return told


def part(effort: Effort, seeds: Sequence[int]) -> dict[str, Any]:
    """Everything that is measured, for JSON: by the seed, by what was optimised."""
    gold, policy, found = Gold(), policy_before(effort), {}
    for seed in seeds:
        found[str(seed)] = {
            name: plain_numbers(course) | ({"stopped early": stopped_early(course, gold)} if name in SIZES else {})
            for name, course in courses(gold, policy, effort, seed).items()
        }
    return found


def plain_numbers(course: Course) -> dict[str, Any]:
    """A run as plain numbers: [update]."""
    names = {"kl": "kl", "reward/proxy": "proxy", "gold/gold": "gold", "entropy": "entropy"}
    rows = {short: [round(row[name], 4) for row in course.rows] for name, short in names.items()}
    return rows | {"before": {name: float(x) for name, x in course.before.items()}}
