"""Batches against what they must look like, and against slow loops."""

import itertools

import numpy as np
import pytest

from bellmax.language import batching
from bellmax.language.encoding import Document, Judged, Preferred
from bellmax.language.rows import Row


def document(prompt, answer):
    tokens = np.array([*prompt, *answer], np.int32)
    weight = np.array([0] * len(prompt) + [1] * len(answer), np.float32)
    weight[0] = 0
    return Document(tokens, weight, len(prompt))


def of(size, token=5):
    return document([token], [token] * (size - 1))


def told(texts, row=0, size=None):
    return [x[row, :size].tolist() for x in texts]


def test_rows_are_padded_on_the_right_to_a_multiple_of_8():
    texts = batching.texts([document([7, 8], [9]), of(33)], 100)
    assert [x.shape for x in texts] == [(2, 40)] * 3
    assert [x.dtype for x in texts] == [np.int32, np.int32, np.float32]
    assert told(texts) == [[7, 8, 9] + [0] * 37, [1, 1, 1] + [0] * 37, [0, 0, 1] + [0] * 37]
    assert told(texts, 1) == [[5] * 33 + [0] * 7, [1] * 33 + [0] * 7, [0] + [1] * 32 + [0] * 7]


@pytest.mark.parametrize(("longest", "width"), [(1, 8), (8, 8), (9, 16), (33, 40), (49, 50), (50, 50), (51, 50)])
def test_the_width_is_never_more_than_the_length(longest, width):
    assert batching.texts([of(longest)], 50).tokens.shape == (1, width)


def test_too_long_documents_lose_their_beginning():
    texts = batching.texts([document([1, 2, 3], [4, 5])], 4)
    assert told(texts) == [[2, 3, 4, 5], [1, 1, 1, 1], [0, 0, 1, 1]]
    texts = batching.texts([document([1, 2], [3, 4, 5])], 2)
    assert told(texts) == [[4, 5], [1, 1], [0, 1]]  # 4 is the first now: there is nothing to predict it from


def test_documents_are_not_changed():
    long = document([1], [2, 3, 4])
    batching.texts([long], 2)
    assert long.weight.tolist() == [0, 1, 1, 1]


# Packing


def test_documents_that_share_a_row_are_numbered_and_each_has_a_first_token():
    rows = [[document([1], [2, 3]), document([4, 5], [6])], [document([], [7, 8])]]
    texts = batching.packed(rows, 8)
    assert told(texts) == [[1, 2, 3, 4, 5, 6, 0, 0], [1, 1, 1, 2, 2, 2, 0, 0], [0, 1, 1, 0, 0, 1, 0, 0]]
    assert told(texts, 1) == [[7, 8, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]]


def test_the_largest_first_and_where_least_room_is_left():
    assert batching.pack([3, 5, 2, 6, 1], 8) == [(3, 2), (1, 0), (4,)]
    assert batching.pack([6, 5, 2, 3], 8) == [(0, 2), (1, 3)]
    assert batching.pack([5, 6, 2], 8) == [(1, 2), (0,)]  # 2 goes where it fills the row
    assert batching.pack([9, 8, 1], 8) == [(0,), (1,), (2,)]
    assert batching.pack([], 8) == []


def test_packing_loses_nothing_overfills_nothing_and_equals_a_slow_loop():
    draw = np.random.default_rng(0)
    for length in (7, 40):
        sizes = draw.integers(1, length + 3, 200).tolist()
        rows = batching.pack(sizes, length)
        assert sorted(itertools.chain(*rows)) == list(range(200))
        filled = [sum(min(sizes[i], length) for i in row) for row in rows]
        assert max(filled) <= length
        assert sorted(filled) == sorted(slow_best_fit(sizes, length))
        assert sum(filled) > 0.9 * length * len(rows)  # better than in order
        assert batching.pack(sizes, length) == rows


def slow_best_fit(sizes, length):
    rooms = []
    for size in sorted((min(size, length) for size in sizes), reverse=True):
        fitting = [room for room in rooms if room >= size]
        room = min(fitting, default=length)
        if fitting:
            rooms.remove(room)
        rooms.append(room - size)
    return [length - room for room in rooms]


# Pairs, labels, steps


def test_pairs_have_one_shape_and_margins():
    batch = batching.pairs([Preferred(of(3), of(40), 0.5), Preferred(of(5), of(4), 0.0)], 100)
    assert batch.chosen.tokens.shape == batch.rejected.tokens.shape == (2, 40)
    assert told(batch.rejected, 1, 5) == [[5, 5, 5, 5, 0], [1, 1, 1, 1, 0], [0, 1, 1, 1, 0]]
    assert (batch.margin.tolist(), batch.margin.dtype) == ([0.5, 0], np.float32)


def test_both_answers_stand_behind_the_same_part_of_the_prompt():
    pair = Preferred(document([1, 2, 3, 4], [5]), document([1, 2, 3, 4], [6, 7, 8]), 0.0)
    batch = batching.pairs([pair], 5)
    assert told(batch.chosen) == [[3, 4, 5, 0, 0], [1, 1, 1, 0, 0], [0, 0, 1, 0, 0]]
    assert told(batch.rejected) == [[3, 4, 6, 7, 8], [1] * 5, [0, 0, 1, 1, 1]]
    batch = batching.pairs([pair], 2)  # not even the answer
    assert told(batch.chosen)[0] == [5, 0]
    assert told(batch.rejected) == [[7, 8], [1, 1], [0, 1]]


def test_labels():
    batch = batching.labelled([Judged(of(3), np.float32(1)), Judged(of(2), np.float32(0))], 8)
    assert (batch.label.tolist(), batch.label.dtype) == ([1, 0], np.float32)
    assert told(batch.texts, 1) == [[5, 5, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]]


def judged(prompt, answer, label=1):
    return Judged(document(prompt, answer), np.float32(label))


def test_each_prompt_with_the_answer_of_the_row_before():
    texts = batching.mismatched([judged([1], [2]), judged([3, 4], [5, 6]), judged([7], [8])], 4)
    assert told(texts, 0) == [[1, 8, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0]]
    assert told(texts, 1) == [[3, 4, 2, 0], [1, 1, 1, 0], [0, 0, 1, 0]]
    assert told(texts, 2) == [[7, 5, 6, 0], [1, 1, 1, 0], [0, 1, 1, 0]]


def test_an_answer_to_the_same_prompt_is_no_mismatch():
    texts = batching.mismatched([judged([1], [2]), judged([3], [4]), judged([3], [5])], 2)
    assert texts.tokens.tolist() == [[1, 5], [3, 2], [3, 2]]
    texts = batching.mismatched([judged([3], [4]), judged([3], [5])], 2)  # there is no other
    assert texts.tokens.tolist() == [[3, 5], [3, 4]]
    with pytest.raises(ValueError, match="batch = 1: KTO compares rows"):
        batching.mismatched([judged([1], [2])], 4)


def test_labels_of_steps_stand_where_the_steps_end():
    steps = Document(np.arange(1, 7, dtype=np.int32), np.float32([0, 0, 1, 0, 1, 1]), 1)
    label = np.float32([0, 0, 1, 0, 0, 1])
    batch = batching.steps([Judged(steps, label)], 8)
    assert told(batch.texts) == [[1, 2, 3, 4, 5, 6, 0, 0], [1] * 6 + [0, 0], [0, 0, 1, 0, 1, 1, 0, 0]]
    assert batch.label.tolist() == [[0, 0, 1, 0, 0, 1, 0, 0]]
    batch = batching.steps([Judged(steps, label)], 4)
    assert told(batch.texts)[0] == [3, 4, 5, 6]
    assert told(batch.texts)[2] == [1, 0, 1, 1]  # what ends at the first token can be judged there
    assert batch.label.tolist() == [[1, 0, 0, 1]]


# Prompts


def test_prompts_are_padded_on_the_left():
    prompts = batching.prompt_rows([[1, 2, 3], [4]], 4)
    assert prompts.tokens.tolist() == [[0, 1, 2, 3], [0, 0, 0, 4]]
    assert prompts.segments.tolist() == [[0, 1, 1, 1], [0, 0, 0, 1]]
    assert batching.prompt_rows([[1] * 41]).tokens.shape == (1, 48)
    with pytest.raises(ValueError, match="prompt 2 has 3 tokens, and the rows have 2"):
        batching.prompt_rows([[1], [1, 2, 3]], 2)


def test_prompts_that_are_too_long_are_named():
    assert batching.prompt_width([[1], [1] * 33], 40) == 40
    assert batching.prompt_width([[1], [1] * 33], 100) == 40
    assert batching.prompt_width([[1]], 100) == 8
    assert batching.prompt_width([[1] * 65], 100) == 96
    rows = [Row({}, "data.jsonl line 1"), Row({}, "data.jsonl line 7")]
    with pytest.raises(ValueError, match=r"data\.jsonl line 7: its prompt has 33 tokens, and longest = 32"):
        batching.prompt_width([[1], [1] * 33], 32, rows)
    with pytest.raises(ValueError, match="row 2: its prompt has 33 tokens"):
        batching.prompt_width([[1], [1] * 33], 32)


# Order


def test_every_epoch_has_every_row_once_in_an_order_of_its_own():
    orders = [batching.order(seed, epoch, 50).tolist() for seed in (0, 1) for epoch in (0, 1, 2)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 6
    assert batching.order(0, 1, 50).tolist() == orders[1]
    batching.order.cache_clear()
    assert batching.order(0, 1, 50).tolist() == orders[1]


def test_the_order_is_this_one_for_ever():
    """A run that goes on with another version reads the same rows: these numbers never change."""
    assert batching.order(7, 3, 8).tolist() == [7, 1, 6, 0, 4, 2, 3, 5]


def test_all_orders_are_equally_likely():
    """6 orders of 3 rows, 3000 times: chi-squared with 5 degrees of freedom is over 20.5 once in a thousand."""
    counts = dict.fromkeys(itertools.permutations(range(3)), 0)
    for epoch in range(3000):
        counts[tuple(batching.order(0, epoch, 3).tolist())] += 1
    assert sum((count - 500) ** 2 / 500 for count in counts.values()) < 20.5


def test_nobody_changes_the_order():
    with pytest.raises(ValueError, match="read-only"):
        batching.order(0, 0, 5)[0] = 1


@pytest.mark.parametrize(("batch", "count"), [(4, 10), (3, 3), (7, 3), (1, 5)])
def test_batches_follow_each_other_through_the_epochs(batch, count):
    steps = 2 * count
    rows = np.concatenate([batching.batch_indices(5, step, batch, count) for step in range(steps)])
    epochs = [batching.order(5, epoch, count) for epoch in range(2 * batch)]
    assert rows.tolist() == np.concatenate(epochs).tolist()


def test_a_batch_of_nothing():
    with pytest.raises(ValueError, match="count = 0"):
        batching.batch_indices(0, 0, 4, 0)
