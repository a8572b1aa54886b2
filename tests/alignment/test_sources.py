"""Where batches come from: groups, keys, rewards, and groups without differences that are replaced."""

import numpy as np
import pytest

import bellmax as bm
from bellmax.language import encoding
from bellmax.language.reading import Reading
from bellmax.language.sources import Prompt, Writing
from tests.alignment.small import TOKENISER, made_model

ROWS = [{"prompt": f"{letter * size}=", "flat": letter in "abcdef"} for letter in "abcdefgh" for size in (1, 2, 5)]
GROUP = 4


def paid(prompt, completion, row):
    """Nothing to learn from most prompts; from the others, how many different letters an answer has."""
    return 0.5 if row["flat"] else float(len(set(completion)))


def writing(**changes):
    experience = bm.Completions(prompts=6, group=GROUP, sampling=bm.Sampling(max_tokens=5)).replace(**changes)
    encoded = encoding.prompts(ROWS, TOKENISER)
    prompts = [Prompt(tokens, text, row) for (tokens, text), row in zip(encoded, ROWS)]
    return Writing(experience, TOKENISER, prompts, bm.Rewards({"paid": paid}), seed=4)


def told(source, batch):
    """Each row as text again: prompt, answer."""
    out = []
    for tokens, segments, weight in zip(*(np.asarray(x) for x in batch.texts)):
        there = segments > 0
        out.append((TOKENISER.decode(tokens[there & (weight == 0)]), TOKENISER.decode(tokens[weight > 0])))
    return out


def is_alike(batch):
    grouped = np.asarray(batch.reward).reshape(-1, GROUP)
    return (grouped == grouped[:, :1]).all(1)


def test_answers_to_one_prompt_stand_together_and_are_paid_for_what_they_say():
    source, model = writing(), made_model()
    batch = source.serve(3, model).batch
    rows = {row["prompt"]: row for row in ROWS}
    pairs = told(source, batch)
    for group in range(6):
        assert len({prompt for prompt, _ in pairs[group * GROUP : (group + 1) * GROUP]}) == 1
    assert len({answer for _, answer in pairs}) > 12, "each has a key of its own"
    for (prompt, answer), reward in zip(pairs, np.asarray(batch.reward)):
        assert reward == pytest.approx(paid(prompt, answer, rows[prompt]))
    again = writing().serve(3, model).batch
    np.testing.assert_array_equal(batch.texts.tokens, again.texts.tokens)
    assert (np.asarray(writing().serve(4, model).batch.texts.tokens) != np.asarray(batch.texts.tokens)).any()


def test_every_prompt_has_its_turn_before_any_comes_again():
    source, model = writing(group=1), made_model()
    seen = [prompt for step in range(4) for prompt, _ in told(source, source.serve(step, model).batch)]
    assert sorted(seen) == sorted(row["prompt"] for row in ROWS)


def test_groups_that_teach_nothing_are_replaced():
    model, rows = made_model(), {row["prompt"]: row for row in ROWS}
    for step in range(3):
        plain = writing().serve(step, model).batch
        served = writing(resample=4).serve(step, model)
        assert is_alike(plain).sum() >= 3 > is_alike(served.batch).sum()
        pairs = told(None, served.batch)
        for (prompt, answer), reward in zip(pairs, np.asarray(served.batch.reward)):
            assert reward == pytest.approx(paid(prompt, answer, rows[prompt])), "rewards stay with their answers"
        kept = ~is_alike(plain).repeat(GROUP)
        np.testing.assert_array_equal(
            np.asarray(served.batch.texts.tokens)[kept], np.asarray(plain.texts.tokens)[kept], "and the others stay"
        )
        assert served.samples[0]["prompt"] == pairs[0][0]
        assert served.samples[0]["answer"] == pairs[0][1]


def test_stop_strings_end_an_answer_with_the_token_that_completes_them():
    source = writing(sampling=bm.Sampling(max_tokens=40, stop=("a", "bc")))
    batch = source.serve(0, made_model()).batch
    ended = 0
    for (_, answer), by_itself in zip(told(source, batch), np.asarray(batch.ended)):
        cut = [answer[: end + 1] for end in range(len(answer)) if answer[: end + 1].endswith(("a", "bc"))]
        assert not cut or answer == cut[0]
        ended += bool(cut)
        assert by_itself or not cut
    assert ended > 12
    assert (np.asarray(batch.log_prob)[np.asarray(batch.texts.weight) == 0] == 0).all()


def test_what_is_read_is_packed_or_a_row_each_and_all_of_it_is_read():
    rows = [{"prompt": f"{c}=", "completion": c * n} for c in "abcd" for n in (1, 3, 6)]
    single, packed = (
        Reading(bm.Examples(batch=2, length=24, packed=packed), TOKENISER, rows, "examples", 0)
        for packed in (False, True)
    )
    assert len(packed.items) < len(single.items) == 12
    weights = [
        sum(float(source.serve(step, None).batch.weight.sum()) for step in range(len(source.items) // 2))
        for source in (single, packed)
    ]
    assert weights[0] == sum(len(row["completion"]) + 1 for row in rows)
    if len(packed.items) % 2 == 0:
        assert weights[1] == weights[0]


@pytest.mark.parametrize(
    ("sampling", "said"), [({"top_k": 2}, "top_k, top_p and min_p"), ({"temperature": 0.0}, "temperature = 0")]
)
def test_what_would_spoil_the_ratio_is_refused(sampling, said):
    with pytest.raises(ValueError, match=said):
        bm.Completions(sampling=bm.Sampling(**sampling))
