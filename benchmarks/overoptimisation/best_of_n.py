"""Best-of-n: proxy and gold reward over the distance, from one large pool of answers a held-out prompt."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from bellmax.language.best_of import best_of, expected_of_best, kl_of_best
from bellmax.language.model_rewards import EnsembleReward, ModelReward
from bellmax.language.texts import Pairs, Texts
from bellmax.language.transformer import Transformer
from benchmarks.overoptimisation.gold import HELD_OUT, TRAINED, Gold
from benchmarks.overoptimisation.models import (
    SIZES,
    Effort,
    joined,
    judged,
    labelled,
    policy_before,
    preferences,
    repeated,
    reward_model,
    written,
)

MEMBERS = 5  # of an ensemble
CAUTION = 1.0  # standard deviations that are taken off
FRESH = 16  # answers that the proxy chooses one from, when the gold is asked again
TIMES = 4  # that each fresh label counts for: there are 16 times as many old ones


class Curve(NamedTuple):
    """What optimisation of one proxy brings."""

    n: np.ndarray  # [point]
    distance: np.ndarray  # [point], root of the KL
    proxy: np.ndarray  # [point], what the proxy gained
    gold: np.ndarray  # [point], what the gold reward gained
    by_prompt: np.ndarray  # [prompt, point], the gold reward itself
    agreement: float  # correlation of proxy and gold reward over all answers


class Pool(NamedTuple):
    """Answers of the policy before to held-out prompts, the ones to a prompt beside each other."""

    texts: Texts
    gold: np.ndarray  # [prompt, n]

    def curve(self, reward: Any) -> Curve:
        """Best-of-n by a reward, for n up to all answers there are."""
        size = self.gold.shape[1]
        n = np.unique(np.geomspace(1, size, 24).round().astype(int))
        proxy = judged(reward, self.texts).reshape(self.gold.shape)
        bests = np.stack([expected_of_best(proxy, self.gold, k) for k in n], 1)
        claimed = np.array([expected_of_best(proxy, proxy, k).mean() for k in n])
        gained = bests.mean(0) - bests[:, 0].mean()
        distance = np.sqrt([kl_of_best(int(k)) for k in n])
        agreement = float(np.corrcoef(proxy.ravel(), self.gold.ravel())[0, 1])
        return Curve(n, distance, claimed - claimed[0], gained, bests, agreement)


def pool_of(gold: Gold, policy: Transformer, size: int, seed: int) -> Pool:
    """So many answers to each held-out prompt."""
    texts = written(policy, np.repeat(HELD_OUT, size, axis=0), jax.random.key(1000 + seed))
    return Pool(texts, gold(texts).reshape(len(HELD_OUT), size))


def measured(gold: Gold, policy: Transformer, effort: Effort, seed: int) -> dict[str, Curve]:
    """Three reward models, and what helps without training the policy; by what was optimised."""
    pairs, pool = preferences(gold, policy, effort.pairs, seed), pool_of(gold, policy, effort.pool, seed)
    proxies: dict[str, Any] = {size: reward_model(size, pairs, seed, effort) for size in SIZES}
    for size in ("small", "medium"):
        proxies[f"{size}, ensemble"] = ensemble(size, proxies[size], pairs, seed, effort)
        new = fresh_pairs(gold, policy, proxies[size], effort.pairs // FRESH, seed)
        proxies[f"{size}, fresh labels"] = reward_model(size, joined(pairs, repeated(new, TIMES)), seed, effort)
    as_many = preferences(gold, policy, effort.pairs // FRESH, 3000 + seed)
    proxies["small, as many old labels"] = reward_model("small", joined(pairs, repeated(as_many, TIMES)), seed, effort)
    return {name: pool.curve(reward) for name, reward in (proxies | {"gold": gold}).items()}


def ensemble(size: str, first: ModelReward, pairs: Pairs, seed: int, effort: Effort) -> EnsembleReward:
    """Five reward models of one size that begin differently and read the same pairs in another order."""
    others = [reward_model(size, pairs, 100 * (seed + 1) + i, effort) for i in range(1, MEMBERS)]
    return EnsembleReward([first.scored, *(other.scored for other in others)], CAUTION)


def fresh_pairs(gold: Gold, policy: Transformer, proxy: Any, count: int, seed: int) -> Pairs:
    """Pairs of answers that the proxy likes best among 16 each, labelled by the gold reward."""
    rng = np.random.default_rng([seed, 5])
    prompts = TRAINED[rng.integers(len(TRAINED), size=count)]
    sides = []
    for key in jax.random.split(jax.random.key(2000 + seed), 2):
        texts = written(policy, np.repeat(prompts, FRESH, axis=0), key)
        best = best_of(judged(proxy, texts), FRESH)
        sides.append(Texts(*(x[best] for x in texts)))
    return labelled(gold, *sides, rng)


def stopped_early(curve: Curve) -> dict[str, float]:
    """n chosen by the gold reward of half the prompts; what it and the largest n bring for the other half."""
    half = len(curve.by_prompt) // 2
    seen, unseen = curve.by_prompt[:half].mean(0), curve.by_prompt[half:].mean(0)
    chosen = int(seen.argmax())
    return {
        "n": int(curve.n[chosen]),
        "gold": float(unseen[chosen] - unseen[0]),
        "gold at the end": float(unseen[-1] - unseen[0]),
        "best for that half": float(unseen.max() - unseen[0]),
    }


def part(effort: Effort, seeds: Sequence[int]) -> dict[str, Any]:
    """Everything that is measured, for JSON: by the seed, by what was optimised."""
    gold, policy, found = Gold(), policy_before(effort), {}
    for seed in seeds:
        began = time.perf_counter()
        curves = measured(gold, policy, effort, seed)
        found[str(seed)] = {name: told(curve) for name, curve in curves.items()}
        print(f"best-of-n, seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)
    return found


def told(curve: Curve) -> dict[str, Any]:
    """A curve as plain numbers."""
    said = {name: [round(float(x), 4) for x in getattr(curve, name)] for name in ("n", "distance", "proxy", "gold")}
    return said | {"agreement": round(curve.agreement, 4), "stopped early": stopped_early(curve)}
