"""Updates from rewarded answers are what the papers say: GRPO and its relatives, GSPO, RLOO and REINFORCE, PPO."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.language.grpo import GRPO
from bellmax.algorithms.language.gspo import GSPO
from bellmax.algorithms.language.ppo_lm import PPOLM
from bellmax.algorithms.language.rloo import RLOO
from bellmax.language.adapters import kept
from bellmax.language.experience import Completions
from bellmax.language.learner import AdamW
from bellmax.language.sampler import Sampling
from bellmax.maths.batches import shuffled_minibatches
from bellmax.maths.schedules import Linear
from tests.language import tiny
from tests.paper import language_by_hand as by_hand
from tests.paper.by_hand import explained, quickly, slow_gae, standardised
from tests.paper.language_by_hand import SETTINGS, SlowAdamW, slopes, written

RATE, T = 0.01, 0.7
SAMPLING = Sampling(max_tokens=6, temperature=T)
HOW = {"learning_rate": RATE, "optimiser": AdamW(**SETTINGS._asdict()), "epochs": 2, "minibatches": 2}
REFERENCE = tiny.model(seed=7)
GROUP = 3


def food(group=GROUP):
    return Completions(prompts=6 // group, group=group, sampling=SAMPLING)


def batch_of(model, count=6):
    """Answers that were written by something near the model, so that some ratios are clipped and some are not."""
    empty = tiny.answers(count=count, before=1, after=1)
    noise = 0.3 * np.random.default_rng(5).normal(size=empty.log_prob.shape)
    log_prob = (by_hand.log_probs(model, empty.texts, T) + noise) * (empty.texts.weight > 0)
    return empty._replace(log_prob=np.float32(log_prob))


def pieces(algorithm, key, count=6):
    """The rows of each gradient step, in order."""
    for epoch in jax.random.split(key, algorithm.epochs):
        yield from np.asarray(shuffled_minibatches(epoch, jnp.arange(count), algorithm.minibatches))


def taken(tree, rows):
    return jax.tree.map(lambda x: x[rows], tree)


def slow_update(algorithm, model, batch, loss, key):
    """Steps down loss(log_prob, rows) -> the new model, losses and gradients' lengths of all steps."""
    adam, losses, lengths = SlowAdamW(model), [], []
    for rows in pieces(algorithm, key):
        texts = taken(batch.texts, rows)
        log_prob = by_hand.log_probs(model, texts, T)
        slope = slopes(lambda x, rows=rows: loss(x, rows), log_prob, written(texts))
        grads = by_hand.added(by_hand.weights_by_log_prob(model, texts, T, slope))
        losses.append(loss(log_prob, rows))
        model, length = adam.step(model, grads, RATE)
        lengths.append(length)
    return model, losses, lengths


def assert_same_update(algorithm, batch, loss, key, state):
    """The library's update of the state against the slow one."""
    model, losses, lengths = slow_update(algorithm, state.model, batch, loss, key)
    state, metrics = quickly(algorithm.update)(state, batch, key)
    np.testing.assert_allclose(np.ravel(metrics["loss"]), losses, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(np.ravel(metrics["grad_norm"]), lengths, rtol=2e-3)
    by_hand.assert_same_model(state.model, model, absolute=1e-4)
    assert int(state.steps) == 1
    return metrics


# --- GRPO -------------------------------------------------------------------------------------------------------------


def advantages(a, reward, group=GROUP):
    """Shao et al., section 4.1.2: against the group's mean, in units of its deviation."""
    out = []
    for start in range(0, len(reward), group):
        rewards = [float(r) for r in reward[start : start + group]]
        mean = sum(rewards) / group
        deviation = (sum((r - mean) ** 2 for r in rewards) / (group - 1)) ** 0.5
        out += [(r - mean) / (deviation + 1e-4 if a.standardised else 1.0) for r in rewards]
    return out


def grpo_token(a, new, old, reference, advantage, clip):
    """Shao et al., eqs. 3 and 4: what one token adds."""
    ratio, high = np.exp(new - old), clip if a.clip_high is None else a.clip_high
    held = min(max(ratio, 1 - clip), 1 + high)
    x = new - reference
    kl = {"k1": x, "k2": x**2 / 2, "k3": np.exp(-x) - 1 + x}[a.kl]
    return min(ratio * advantage, held * advantage) - (a.kl_weight or 0.0) * kl


def grpo_loss(a, batch, reference, clip=0.2):
    advantage = advantages(a, batch.reward)

    def loss(log_prob, rows):
        times, total = written(taken(batch.texts, rows)), 0.0
        tokens = sum(len(answer) for answer in times)
        for i, row in enumerate(rows):
            divisor = {"grpo": len(times[i]) * len(rows), "dapo": tokens, "dr-grpo": 6 * len(rows)}[a.reduction]
            for time in times[i]:
                given = log_prob[i, time], batch.log_prob[row, time], reference[row, time]
                total += grpo_token(a, *given, advantage[row], clip) / divisor
        return -total

    return loss


VARIANTS = {
    "GRPO": {"kl_weight": 0.3},
    "DAPO": {"reduction": "dapo", "clip_high": 0.5, "kl_weight": None},
    "Dr. GRPO": {"reduction": "dr-grpo", "standardised": False, "kl_weight": None},
    "k1": {"kl": "k1", "kl_weight": 0.3, "reduction": "dapo"},
    "k2": {"kl": "k2", "kl_weight": 0.3, "standardised": False},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_grpo(name):
    algorithm, model, key = GRPO(experience=food(), **HOW | VARIANTS[name]), tiny.model(), jax.random.key(2)
    batch, state = batch_of(model), algorithm.init(jax.random.key(0), model)
    if algorithm.kl_weight is not None:
        state = state._replace(before=kept(REFERENCE))
    reference = by_hand.log_probs(REFERENCE, batch.texts, T)
    metrics = assert_same_update(algorithm, batch, grpo_loss(algorithm, batch, reference), key, state)
    assert 0 < np.mean(metrics["clip_fraction"]) < 1
    assert ("kl" in metrics) == (algorithm.kl_weight is not None)


def test_what_grpo_tells_of_its_first_step():
    """Means over tokens: the entropy, how far it is from what wrote; over answers: their KL from the reference."""
    algorithm = GRPO(experience=food(), **HOW | {"minibatches": 1, "epochs": 1, "clip": Linear(0.2, 0.1, 10.0)})
    model, batch = tiny.model(), batch_of(tiny.model())
    state = algorithm.init(jax.random.key(0), model)._replace(before=kept(REFERENCE), steps=jnp.int32(5))
    metrics = quickly(algorithm.update)(state, batch, jax.random.key(0))[1]
    ours, theirs = by_hand.log_probs(model, batch.texts, T), by_hand.log_probs(REFERENCE, batch.texts, T)
    entropy, rows, kl = by_hand.entropies(model, batch.texts, T), [], []
    for i, times in enumerate(written(batch.texts)):
        kl.append(sum(batch.log_prob[i, t] - theirs[i, t] for t in times))
        for t in times:
            ratio, old = np.exp(ours[i, t] - batch.log_prob[i, t]), ours[i, t] - batch.log_prob[i, t]
            rows.append((entropy[i, t], abs(ratio - 1) > 0.15, np.exp(old) - 1 - old))
    np.testing.assert_allclose(metrics["kl"], np.mean(kl), rtol=1e-3)
    for name, x in zip(("entropy", "clip_fraction", "old_kl"), np.mean(rows, axis=0)):
        np.testing.assert_allclose(metrics[name].item(), x, rtol=1e-3, err_msg=name)


# --- GSPO -------------------------------------------------------------------------------------------------------------


def test_gspo():
    """Zheng et al., eqs. 5 to 7: the ratio of an answer is the geometric mean of its tokens'."""
    algorithm = GSPO(experience=food(), clip=0.1, clip_high=0.2, **HOW)
    model, key = tiny.model(), jax.random.key(2)
    batch = batch_of(model)
    advantage = advantages(GRPO(), batch.reward)

    def loss(log_prob, rows):
        total = 0.0
        for i, times in enumerate(written(taken(batch.texts, rows))):
            product, a = 1.0, advantage[rows[i]]
            for time in times:
                product *= np.exp(log_prob[i, time] - batch.log_prob[rows[i], time])
            ratio = product ** (1 / len(times))
            total += min(ratio * a, min(max(ratio, 0.9), 1.2) * a) / len(rows)
        return -total

    metrics = assert_same_update(algorithm, batch, loss, key, algorithm.init(jax.random.key(0), model))
    assert 0 < np.mean(metrics["clip_fraction"]) < 1


# --- RLOO and REINFORCE -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", [3, 1])
def test_rloo(group):
    """Ahmadian et al., eq. 8; of one answer to a prompt, the baseline is the mean of all rewards before."""
    algorithm = RLOO(experience=food(group), kl_weight=0.2, **HOW)
    model, key = tiny.model(), jax.random.key(2)
    batch, state = batch_of(model), algorithm.init(jax.random.key(0), model)
    state = state._replace(before=kept(REFERENCE))
    seen = state.seen._replace(count=jnp.float32(2), mean=jnp.float32(0.7))
    reference, times = by_hand.log_probs(REFERENCE, batch.texts, T), written(batch.texts)
    old = [sum(batch.log_prob[i, t] for t in times[i]) for i in range(6)]
    kl = [old[i] - sum(reference[i, t] for t in times[i]) for i in range(6)]
    reward = [batch.reward[i] - 0.2 * kl[i] for i in range(6)]

    def advantage(i):
        if group == 1:
            return reward[i] - 0.7
        others = [reward[j] for j in range(6) if j // group == i // group and j != i]
        return reward[i] - sum(others) / len(others)

    def loss(log_prob, rows):
        new = [sum(log_prob[i, t] for t in times[row]) for i, row in enumerate(rows)]
        return -sum(np.exp(new[i] - old[row]) * advantage(row) for i, row in enumerate(rows)) / len(rows)

    metrics = assert_same_update(algorithm, batch, loss, key, state._replace(seen=seen))
    np.testing.assert_allclose(metrics["kl"], np.mean(kl), rtol=1e-4)
    after = quickly(algorithm.update)(state._replace(seen=seen), batch, key)[0].seen
    np.testing.assert_allclose(after.mean, (2 * 0.7 + sum(reward)) / 8, rtol=1e-4)


# --- PPO --------------------------------------------------------------------------------------------------------------

PPO = PPOLM(
    experience=food(1),
    gamma=0.9,
    gae_lambda=0.8,
    clip_value=0.1,
    value_weight=0.5,
    kl_weight=0.3,
    target_kl=2.0,
    missing_end=-1.5,
    critic_learning_rate=0.02,
    **HOW,
)


def judged(batch, value):
    """Advantages and returns of all tokens that were written, by loops over each answer; KL of the answers."""
    reference = by_hand.log_probs(REFERENCE, batch.texts, T)
    advantage, target, kl = np.zeros(value.shape), np.zeros(value.shape), []
    for i, times in enumerate(written(batch.texts)):
        each = [batch.log_prob[i, t] - reference[i, t] for t in times]
        reward = [-0.3 * x for x in each]
        reward[-1] += batch.reward[i] if batch.ended[i] else -1.5
        before = [value[i, t - 1] for t in times]  # what the critic says when it has read all before the token
        after = [*before[1:], 99.0]  # nothing comes behind the last
        last = [False] * (len(times) - 1) + [True]
        discount = [0.9] * (len(times) - 1) + [0.0]
        advantage[i, times] = slow_gae(reward, discount, before, after, last, 0.8)
        target[i, times] = advantage[i, times] + before
        kl.append(sum(each))
    return advantage, target, kl


def slow_ppo(model, critic, batch, key):
    value = by_hand.said(critic, batch.texts)
    advantage, target, kl = judged(batch, value)
    adams, log = (SlowAdamW(model), SlowAdamW(critic)), []
    for rows in pieces(PPO, key):
        texts = taken(batch.texts, rows)
        places = [(i, t) for i, times in enumerate(written(texts)) for t in times]
        of_piece = [advantage[rows[i], t] for i, t in places]
        scaled = standardised(np.array(of_piece), np.ones(len(places)))

        def surrogate(log_prob, rows=rows, places=places, scaled=scaled):
            total = 0.0
            for (i, t), a in zip(places, scaled):
                ratio = np.exp(log_prob[i, t] - batch.log_prob[rows[i], t])
                total += min(ratio * a, min(max(ratio, 0.8), 1.2) * a)
            return -total / len(places)

        def error(said, rows=rows, places=places):
            total = 0.0
            for i, t in places:
                old, goal = value[rows[i], t - 1], target[rows[i], t]
                near = old + min(max(said[i, t - 1] - old, -0.1), 0.1)
                total += max((said[i, t - 1] - goal) ** 2, (near - goal) ** 2) / 2
            return total / len(places)

        log_prob, said = by_hand.log_probs(model, texts, T), by_hand.said(critic, texts)
        policy_slope = slopes(surrogate, log_prob, written(texts))
        before = [[t - 1 for t in times] for times in written(texts)]
        value_slope = 0.5 * slopes(error, said, before)
        grads = by_hand.added(by_hand.weights_by_log_prob(model, texts, T, policy_slope))
        value_grads = by_hand.added(by_hand.weights_by_said(critic, texts, value_slope))
        log.append([surrogate(log_prob), error(said)])
        (model, length), (critic, value_length) = (
            adams[0].step(model, grads, RATE),
            adams[1].step(critic, value_grads, 0.02),
        )
        log[-1] += [length, value_length]
    return model, critic, np.array(log).T, kl, (value, target)


def test_ppo():
    model, critic, key = tiny.model(), tiny.critic(), jax.random.key(2)
    batch = batch_of(model)
    expected, expected_critic, log, kl, (value, target) = slow_ppo(model, critic, batch, key)
    state = PPO.init(jax.random.key(0), model, critic)._replace(before=kept(REFERENCE))
    state, metrics = quickly(PPO.update)(state, batch, key)
    by_hand.assert_same_model(state.model, expected, absolute=1e-4)
    by_hand.assert_same_model(state.both.critic, expected_critic, absolute=1e-4)
    for name, x in zip(("surrogate", "value_error", "grad_norm", "critic_grad_norm"), log):
        sign = -1 if name == "surrogate" else 1
        np.testing.assert_allclose(np.ravel(metrics[name]), sign * x, rtol=2e-3, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(metrics["kl"], np.mean(kl), rtol=1e-4)
    np.testing.assert_allclose(metrics["ended"], batch.ended.mean())
    np.testing.assert_allclose(metrics["kl_weight"], 0.3, rtol=1e-6)
    error = min(max(np.mean(kl) / 2.0 - 1, -0.2), 0.2)  # Ziegler et al., section 2.2
    np.testing.assert_allclose(state.kl_weight, 0.3 * (1 + 0.1 * error), rtol=1e-5)
    there = batch.texts.weight > 0
    before = np.concatenate([value[:, :1], value[:, :-1]], axis=1)
    expected = explained(before[there], target[there], np.ones(there.sum()))
    np.testing.assert_allclose(metrics["explained_variance"], expected, rtol=1e-3, atol=1e-4)
