"""The half of a round that does not care where the environment lives."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.core import Algorithm, Outcome, Spec, Transition
from bellmax.drivers import traced
from bellmax.experience import Experience
from bellmax.maths.chance import GOLDEN, stir
from bellmax.spaces import zeros

Learned = tuple[Any, Any, dict[str, Array]]


def learn(algorithm: Algorithm, state: Any, buffer: Any, fresh: Transition, key: Array) -> Learned:
    """Observe, and as many updates as the algorithm's experience asks for -> state, buffer, metrics [updates, ...]."""
    experience = eats(algorithm)
    weighs = experience.weighs
    state = algorithm.observe(state, fresh)

    def update(carry: tuple[Any, Any], key: Array) -> tuple[tuple[Any, Any], dict[str, Array]]:
        state, ranked = carry
        sample_key, update_key = jax.random.split(key)
        batch = experience.sample(ranked if weighs else buffer, fresh, sample_key)
        state, metrics = traced.update(algorithm, state, batch, update_key)
        if weighs:
            ranked = experience.reweigh(ranked, batch, priority_in(algorithm, metrics))
        return (state, ranked), {name: x for name, x in metrics.items() if name != "priority"}

    carry, keys = (state, buffer if weighs else None), jax.random.split(key, experience.updates)
    if experience.updates == 1:
        (state, ranked), metrics = update(carry, keys[0])
        metrics = jax.tree.map(lambda x: jnp.asarray(x)[None], metrics)
    else:
        (state, ranked), metrics = jax.lax.scan(update, carry, keys)
    return state, ranked if weighs else buffer, metrics


def priority_in(algorithm: Algorithm, metrics: dict[str, Array]) -> Array:
    """How much there was to learn of each sample, [batch]. ValueError where an algorithm does not say."""
    if "priority" not in metrics:
        raise ValueError(
            f"{type(algorithm).__name__}.experience = {type(eats(algorithm)).__name__}(...): it does not say "
            'how much it learned from each sample (it has no metric "priority"); give it Replay.'
        )
    return metrics["priority"]


def learn_or_keep(
    algorithm: Algorithm, state: Any, buffer: Any, fresh: Transition, key: Array
) -> tuple[Any, Any, dict[str, Array], Array]:
    """Learn, unless a metric comes out NaN or infinite: then the state stays -> state, buffer, mean metrics, sound."""
    new, buffer, metrics = learn(algorithm, state, buffer, fresh, key)
    found = means(metrics)
    sound = all_finite(found)
    return jax.tree.map(lambda new, old: jnp.where(sound, new, old), new, state), buffer, found, sound


def means(metrics: dict[str, Array]) -> dict[str, Array]:
    """Each metric as one number."""
    return {name: jnp.mean(jnp.asarray(value, jnp.float32)) for name, value in metrics.items()}


def all_finite(numbers: dict[str, Array]) -> Array:
    """Is none of them NaN or infinite?"""
    return jnp.all(jnp.isfinite(jnp.stack([jnp.float32(0), *(jnp.asarray(x, jnp.float32) for x in numbers.values())])))


def eats(algorithm: Algorithm) -> Experience:
    """The experience that an algorithm names."""
    return algorithm.experience  # type: ignore[attr-defined]


def round_size(algorithm: Algorithm, num_envs: int) -> int:
    """Environment steps in one round of collecting (at most, where a round is whole episodes)."""
    return eats(algorithm).length * num_envs


def example_transition(algorithm: Algorithm, state: Any, spec: Spec) -> Transition:
    """One transition as shapes and dtypes, without leading axes."""

    def make() -> Transition:
        obs, key = zeros(spec.obs), jax.random.key(0)
        decision = traced.act(algorithm, state, obs, key, algorithm.begin(state, obs, key))
        one = jnp.float32(1)
        return Transition(obs, decision.action, one, one, jnp.bool_(False), obs, decision.extras, one)

    return jax.eval_shape(make)


BLOCK = 256  # rounds of a single step share keys in blocks: a hash or two a step instead of ten


class RoundKeys(NamedTuple):
    """The keys of one round. The same in every driver."""

    step: Array  # for its steps, see `step_keys`
    reset: Array  # for its resets, see `reset_keys`
    learn: Array
    first: Array  # the number of its first step among those that share `step` and `reset`


def round_keys(key: Array, round: Array, length: int) -> RoundKeys:
    """The keys of round number `round`, which has `length` steps."""
    whole, part = (round // BLOCK, round % BLOCK) if length == 1 else (round, jnp.int32(0))
    step_key, reset_key, learn_key = jax.random.split(jax.random.fold_in(key, whole), 3)
    return RoundKeys(step_key, reset_key, jax.random.fold_in(learn_key, part) if length == 1 else learn_key, part)


def step_keys(step_key: Array, t: Array, num_envs: int) -> Array:
    """The keys of step `t`, [2, env]: to act with, and for the environments.

    Stirred rather than hashed: no two are alike, and a hash each would cost more than a step of a table's learner.
    """
    words = jax.random.key_data(step_key)
    if words.shape != (2,):  # a generator of another kind
        numbers = t * 2 * num_envs + jnp.arange(2 * num_envs)
        return jax.vmap(jax.random.fold_in, (None, 0))(step_key, numbers).reshape(2, num_envs)
    numbers = (jnp.uint32(t) * 2 * num_envs + jnp.arange(1, 2 * num_envs + 1, dtype=jnp.uint32)) * jnp.uint32(GOLDEN)
    first = stir(words[0] + numbers)
    return jax.random.wrap_key_data(jnp.stack([first, stir(words[1] + first)], -1).reshape(2, num_envs, 2))


def begin_all(algorithm: Algorithm, state: Any, obs: Any, key: Array) -> Any:
    """The memories to start episodes with, one an environment; obs: [env, ...]."""
    num_envs = jax.tree.leaves(obs)[0].shape[0]
    return jax.vmap(algorithm.begin, (None, 0, 0))(state, obs, jax.random.split(key, num_envs))


def hear_all(algorithm: Algorithm, state: Any, memory: Any, outcome: Outcome) -> Any:
    """The memories with what came of the last step, one an environment; every leaf of `outcome` is [env, ...]."""
    if not jax.tree.leaves(memory):
        return memory
    reward, discount = (jnp.asarray(x, jnp.float32) for x in (outcome.reward, outcome.discount))
    told = Outcome(outcome.obs, reward, discount, jnp.asarray(outcome.last, bool))
    return jax.vmap(algorithm.hear, (None, 0, 0))(state, memory, told)


def where(mask: Array, new: Any, old: Any) -> Any:
    """Environment by environment, `new` where mask [env] is True, else `old`."""

    def choose(new: Array, old: Array) -> Array:
        if jnp.issubdtype(old.dtype, jax.dtypes.prng_key):
            return jnp.where(mask, new, old)
        return jnp.where(mask.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    return jax.tree.map(choose, new, old)


def diagnose(
    algorithm: Algorithm, state: Any, buffer: Any, fresh: Transition, key: Array
) -> tuple[Transition, dict[str, Any]]:
    """Go through an unsound round again -> the batch that broke it, and a report that says what broke first.

    The report: "quantity" (names, of the batch if that was broken already, else of metrics), "update" (which of the
    round's updates) and "gradient_step" (the index within it).
    """
    metrics = {name: np.asarray(x) for name, x in jax.jit(learn)(algorithm, state, buffer, fresh, key)[2].items()}
    broken = {name: np.argmin(np.isfinite(x).ravel()) / x.size for name, x in metrics.items() if not _finite(x)}
    first = min(broken.values(), default=0.0)
    updates = eats(algorithm).updates
    update = min(int(first * updates), updates - 1)
    sample_key = jax.random.split(jax.random.split(key, updates)[update])[0]
    batch = jax.device_get(eats(algorithm).sample(buffer, fresh, sample_key))
    in_batch = [name for name in batch._fields if not all(_finite(x) for x in jax.tree.leaves(getattr(batch, name)))]
    in_metrics = [name for name, when in broken.items() if when == first]
    in_metrics.sort(key=lambda name: (-metrics[name].size, name == "grad_norm"))
    steps = max((metrics[name].size for name in in_metrics), default=1)
    quantity = ", ".join(in_batch) + " of the batch" if in_batch else ", ".join(in_metrics)
    return batch, {
        "quantity": quantity,
        "update": update,
        "gradient_step": int(first * steps) % max(steps // updates, 1),
    }


def _finite(x: Any) -> bool:
    x = np.asarray(x)
    return bool(np.isfinite(x).all()) if np.issubdtype(x.dtype, np.floating) else True
