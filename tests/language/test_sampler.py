"""The sampler writes what the model says, and says of it what the trainer says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.language.log_probs import token_scores
from bellmax.language.sampler import Prompts, Sampling, begin, choose, go_on, restrict, sample
from bellmax.language.texts import answers
from tests.language import tiny

FAMILIES = {"llama": tiny.LLAMA, "window": tiny.WINDOW, "gpt2": tiny.GPT2}
STOPS = jnp.array([4, 9])
LENGTHS = (3, 6, 1, 4)
write = jax.jit(sample)


def prompts(lengths=LENGTHS, before=2):
    """Prompts of these lengths, padded left, with so much padding more, which holds a token that matters elsewhere."""
    time = before + max(lengths)
    tokens, segments = np.full((len(lengths), time), 4), np.zeros((len(lengths), time), int)
    for row, length in enumerate(lengths):
        tokens[row, time - length :] = np.random.default_rng(row).integers(1, 20, length)
        segments[row, time - length :] = 1
    return Prompts(jnp.asarray(tokens), jnp.asarray(segments))


def keys(count=4, seed=0):
    return jax.random.split(jax.random.key(seed), count)


@pytest.mark.parametrize("family", FAMILIES)
def test_its_log_probs_are_the_trainers(family):
    model, asked, sampling = tiny.model(FAMILIES[family]), prompts(), Sampling(max_tokens=9, temperature=0.7)
    written = write(model, asked, keys(), STOPS, sampling)
    batch = answers(asked, written, np.zeros(4))
    scores = jax.jit(token_scores)(model, batch.texts.tokens, batch.texts.segments, temperature=0.7)
    there = np.asarray(batch.texts.weight) > 0
    assert there.sum() >= 15
    np.testing.assert_allclose(scores.log_prob[there], batch.log_prob[there], atol=1e-4)
    other = jax.jit(token_scores)(model, batch.texts.tokens, batch.texts.segments)
    assert np.abs(other.log_prob[there] - batch.log_prob[there]).max() > 0.1  # the temperature is in them
    assert (batch.log_prob[~there] == 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompts_answer_does_not_depend_on_the_batch_it_is_in(family):
    model, sampling = tiny.model(FAMILIES[family]), Sampling(max_tokens=9)
    together = write(model, prompts(), keys(), STOPS, sampling)
    whole, key, order = prompts(), keys(), np.array([2, 3, 1, 0])
    turned = write(model, jax.tree.map(lambda x: x[order], whole), key[order], STOPS, sampling)
    np.testing.assert_array_equal(turned.tokens, together.tokens[order])
    alone = Prompts(whole.tokens[:1, -LENGTHS[0] :], whole.segments[:1, -LENGTHS[0] :])  # without padding
    one = write(model, alone, key[:1], STOPS, sampling)
    np.testing.assert_array_equal(one.tokens[0], together.tokens[0])
    np.testing.assert_allclose(one.log_prob[0], together.log_prob[0], atol=1e-5)
    other = write(model, prompts(), keys(seed=1), STOPS, sampling)
    assert (other.tokens != together.tokens).any()


def test_an_answer_ends_with_its_stop_token():
    model, ended = tiny.model(), 0
    several = [write(model, prompts(), keys(seed=seed), STOPS, Sampling(max_tokens=9)) for seed in range(10)]
    written = jax.tree.map(lambda *rows: np.concatenate(rows), *several)
    for tokens, weight, has_ended in zip(written.tokens, written.weight, written.ended):
        stops = [time for time, token in enumerate(tokens) if token in (4, 9)]
        length = stops[0] + 1 if stops else 9
        assert weight.tolist() == [1.0] * length + [0.0] * (9 - length)
        assert (tokens[length:] == 0).all()
        assert has_ended == bool(stops)
        ended += bool(stops)
    assert 0 < ended < 40


def test_writing_ends_once_every_row_has():
    model, asked = tiny.model(), prompts()

    def drafted(stops):
        draft = begin(model, asked, 12)
        return go_on(model, asked, draft, keys(), stops, Sampling(max_tokens=12), 12)

    drafted = jax.jit(drafted)
    every = drafted(jnp.arange(20))
    assert int(every.time) == 1
    assert every.written.weight.sum(1).tolist() == [1.0] * 4
    assert int(drafted(jnp.full(20, -1)).time) == 12


def test_writing_in_pieces_is_writing_at_once():
    model, asked, sampling = tiny.model(tiny.WINDOW), prompts(), Sampling(max_tokens=9)

    @jax.jit
    def in_pieces(model):
        draft = begin(model, asked, 9)
        for until in (2, 3, 9):
            draft = go_on(model, asked, draft, keys(), STOPS, sampling, until)
        return draft.written

    np.testing.assert_array_equal(in_pieces(model).tokens, write(model, asked, keys(), STOPS, sampling).tokens)


def test_greedy_takes_the_likeliest_of_a_whole_forward():
    model, asked, never = tiny.model(tiny.GPT2), prompts(), jnp.array([-1, -1])
    written = write(model, asked, keys(), never, Sampling(max_tokens=9, temperature=0))
    says = jax.jit(lambda model, tokens: model.logits(model(tokens)))
    for row, length in enumerate(LENGTHS[:2]):
        tokens, log_prob = asked.tokens[row, -length:].tolist(), []
        for _ in range(9):
            padded = jnp.array([tokens + [0] * (16 - len(tokens))])
            logits = np.asarray(says(model, padded))[0, len(tokens) - 1]
            tokens.append(int(logits.argmax()))
            log_prob.append(logits.max() - np.log(np.exp(logits).sum()))  # at temperature 1
        assert written.tokens[row].tolist() == tokens[length:]
        np.testing.assert_allclose(written.log_prob[row], log_prob, atol=1e-5)


def slow_allowed(logits, top_k=None, top_p=None, min_p=None):
    """The tokens that may be drawn of one distribution; no two logits are the same."""
    allowed = list(range(len(logits)))
    if top_k is not None:
        allowed = sorted(allowed, key=lambda token: -logits[token])[:top_k]
    if top_p is not None:
        share = np.exp(logits[allowed]) / np.exp(logits[allowed]).sum()
        kept, together = [], 0.0
        for token, p in sorted(zip(allowed, share), key=lambda both: -both[1]):
            kept.append(token)
            together += p
            if together >= top_p:
                break
        allowed = kept
    if min_p is not None:
        most = max(np.exp(logits[token]) for token in allowed)
        allowed = [token for token in allowed if np.exp(logits[token]) >= min_p * most]
    return set(allowed)


@pytest.mark.parametrize(
    "kept",
    [
        {"top_k": 3},
        {"top_k": 99},
        {"top_p": 0.6},
        {"top_p": 1e-6},
        {"min_p": 0.2},
        {"top_k": 7, "top_p": 0.8, "min_p": 0.15},
    ],
    ids=str,
)
def test_restrictions_keep_what_a_slow_loop_keeps(kept):
    logits = np.random.default_rng(0).normal(size=(30, 12)) * 1.5
    restricted = np.asarray(restrict(jnp.asarray(logits), Sampling(**kept)))
    counts = set()
    for row, got in zip(logits, restricted):
        allowed = slow_allowed(row, **kept)
        assert set(np.flatnonzero(got > -np.inf)) == allowed
        np.testing.assert_allclose(got[list(allowed)], row[list(allowed)], rtol=1e-6)
        counts.add(len(allowed))
    assert "top_k" in kept or kept == {"top_p": 1e-6} or len(counts) > 1


def test_draws_have_the_models_frequencies_at_the_temperature():
    logits, count = jnp.array([1.0, 0.0, -1.0, 0.5]), 20_000
    many = jnp.broadcast_to(logits, (count, 4))
    sampling = Sampling(temperature=0.5, top_k=3)
    token, log_prob = choose(many, keys(count), jnp.int32(0), sampling)
    share = np.exp([2.0, 0.0, -np.inf, 1.0])
    share /= share.sum()
    frequency = np.bincount(token, minlength=4) / count
    np.testing.assert_allclose(frequency, share, atol=4 * 0.5 / count**0.5)  # four deviations at the most
    whole = np.exp([2.0, 0.0, -2.0, 1.0])  # the log-probability is that before the restriction
    np.testing.assert_allclose(log_prob, np.log(whole / whole.sum())[token], atol=1e-5)


def test_what_is_drawn_at_one_time_is_not_drawn_again_at_the_next():
    many = jnp.zeros((200, 20))
    first, second = (choose(many, keys(200), jnp.int32(time), Sampling())[0] for time in (0, 1))
    assert (first == second).mean() < 0.2
