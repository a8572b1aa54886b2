"""What must not matter to what is learned: padding, packing, pieces, what is remembered. And how it all begins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.language.dpo import DPO
from bellmax.algorithms.language.grpo import GRPO
from bellmax.algorithms.language.ppo_lm import PPOLM
from bellmax.algorithms.language.sft import SFT
from bellmax.language.learner import Compute
from bellmax.language.sampler import Prompts, Sampling, sample
from bellmax.language.texts import Texts, answers
from bellmax.maths.reductions import evenly
from tests.language import tiny
from tests.language.learners import ALONE, CASES, FOOD, HOW, begun
from tests.paper.by_hand import by_name, quickly


def updated(case, batch, **compute):
    algorithm = case.algorithm.replace(compute=Compute(**compute))
    return quickly(algorithm.update)(begun(case), batch, jax.random.key(1))


def assert_same(one, other, absolute=2e-5):
    for (name, x), y in zip(by_name(one).items(), by_name(other).values()):
        np.testing.assert_allclose(y, x, rtol=1e-4, atol=absolute, err_msg=name)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"IPO", "conservative DPO", "SimPO", "REINFORCE", "Dr. GRPO"}))
def test_neither_padding_nor_pieces_nor_memory_matter(name):
    """The whole update, metrics too, against one with all of it at once: padded left, two rows a time, nothing kept."""
    case = CASES[name]
    state, metrics = updated(case, case.batch())
    moved = [np.abs(x - y).max() for x, y in zip(jax.tree.leaves(state.model), jax.tree.leaves(begun(case).model))]
    assert np.median(moved) > 1e-4  # there is something to compare
    other = updated(case, case.batch(before=3, left=True), rows=2, remember=False)
    assert_same((state, metrics), other)


@pytest.mark.parametrize("change", ["right", "rows", "remember"])
def test_each_of_these_by_itself(change):
    case = CASES["SFT"]
    whole = updated(case, case.batch())
    compute = {"rows": {"rows": 1}, "remember": {"remember": False}}.get(change, {})
    assert_same(whole, updated(case, case.batch(after=3 * (change == "right")), **compute))


def test_what_would_matter_shows():
    """The same test on what is not the same: padding that is taken for text."""
    case = CASES["SFT"]
    whole, padded = case.batch(), case.batch(before=3, left=True)
    seen = padded._replace(segments=np.ones_like(padded.segments))
    with pytest.raises(AssertionError):
        assert_same(updated(case, whole), updated(case, seen))


@pytest.mark.parametrize("config", [tiny.WINDOW, tiny.GPT2], ids=["window", "gpt2"])
def test_examples_that_share_a_row_do_not_see_each_other(config):
    """Supervised loss and gradient of four examples in two rows, with padding between and behind, and one a row."""
    rows, model = tiny.rows(), tiny.model(config)
    apart = tiny.texts(rows)
    together = Texts(np.full((2, 24), 7), np.zeros((2, 24), int), np.zeros((2, 24), np.float32))
    for number, (prompt, answer) in enumerate(rows):
        row, start = number // 2, 0 if number % 2 == 0 else int((together.segments[number // 2] > 0).sum())
        start += row  # the second row has padding in front
        end = start + len(prompt) + len(answer)
        together.tokens[row, start:end] = prompt + answer
        together.segments[row, start:end] = number % 2 + 1
        together.weight[row, start + len(prompt) : end] = 1
    assert together.weight.sum() == apart.weight.sum()

    @jax.jit
    def learned(texts):
        sft = SFT()
        return sft.compute.gradient(sft.loss, model, (texts, evenly(texts.weight)))

    assert_same(learned(apart), learned(together))
    merged = together._replace(segments=np.minimum(together.segments, 1))
    with pytest.raises(AssertionError):
        assert_same(learned(apart), learned(merged))


def test_rows_that_do_not_divide_the_batch_are_refused():
    with pytest.raises(ValueError, match=r"compute.rows = 3: it must divide the 4 rows of a gradient step"):
        updated(CASES["SFT"], CASES["SFT"].batch(), rows=3)


def test_half_precision_is_near_and_keeps_the_weights_whole():
    case = CASES["SFT"]
    metrics = updated(case, case.batch())[1]
    half, other = updated(case, case.batch(), dtype="bfloat16")
    assert {x.dtype.name for x in jax.tree.leaves(half.model)} == {"float32"}
    np.testing.assert_allclose(other["loss"], metrics["loss"], rtol=0.03)
    assert other["loss"] != metrics["loss"]


# --- where everything begins ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_dpo_begins_at_log_2(smoothing):
    a = DPO(beta=0.7, smoothing=smoothing, **HOW)
    metrics = quickly(a.update)(a.init(jax.random.key(0), tiny.model()), tiny.pairs(), jax.random.key(1))[1]
    np.testing.assert_allclose(metrics["loss"], np.log(2), rtol=1e-6)
    assert metrics["reward_chosen"] == metrics["reward_rejected"] == 0
    assert metrics["grad_norm"] > 0.1


def test_ipo_begins_at_the_square_of_half_of_beta_turned_over():
    a = DPO(beta=0.25, form="ipo", **HOW)  # (0 - 1 / (2 * .25))^2 = 4
    metrics = quickly(a.update)(a.init(jax.random.key(0), tiny.model()), tiny.pairs(), jax.random.key(1))[1]
    np.testing.assert_allclose(metrics["loss"], 4.0, rtol=1e-6)


ON_POLICY = {
    "GRPO": GRPO(experience=FOOD, clip=1e-3, **HOW),
    "RLOO": CASES["RLOO"].algorithm,
    "PPO": PPOLM(experience=ALONE, clip=1e-3, **HOW | {"epochs": 1, "minibatches": 1}),
}


@pytest.mark.parametrize("name", ON_POLICY)
def test_the_ratio_is_1_at_the_first_step_and_the_gradient_is_not_0(name):
    """The answers are the sampler's own; nothing is clipped though the clip is a thousandth."""
    a, model = ON_POLICY[name], tiny.model()
    asked = Prompts(jnp.array([[0, 5], [0, 5], [7, 3], [7, 3]]), jnp.array([[0, 1], [0, 1], [1, 1], [1, 1]]))
    keys, stops = jax.random.split(jax.random.key(0), 4), jnp.array([4])
    written = jax.jit(sample)(model, asked, keys, stops, Sampling(max_tokens=6, temperature=0.7))
    batch = answers(asked, written, np.array([1.0, 0.0, 0.3, 0.6]))
    metrics = quickly(a.update)(a.init(jax.random.key(0), model), batch, jax.random.key(1))[1]
    assert (metrics["grad_norm"] > 0.1).all()
    if "ratio" in metrics:
        np.testing.assert_allclose(metrics["ratio"], 1, rtol=1e-5)
    else:
        assert (metrics["clip_fraction"] == 0).all()
        assert (np.abs(metrics["old_kl"]) < 1e-6).all()
    np.testing.assert_allclose(metrics["kl"], 0, atol=1e-4)  # the reference is the policy itself


def test_groups_whose_rewards_are_alike_are_counted_and_teach_nothing():
    case = CASES["DAPO"]
    batch = case.batch()._replace(reward=np.array([0.3, 0.3, 0.3, 0.3], np.float32))
    state, metrics = updated(case, batch)
    assert metrics["same_rewards"] == 1
    assert (metrics["grad_norm"] == 0).all()
    assert_same(state.model, begun(case).model, absolute=0)
    half = batch._replace(reward=np.array([0.3, 0.3, 0.3, 0.4], np.float32))
    assert updated(case, half)[1]["same_rewards"] == 0.5
