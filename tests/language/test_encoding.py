"""Which tokens there are, and which are learned, by hand. Letters are tokens from 2 on; <end> is 1."""

import dataclasses

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers

from bellmax.language import encoding
from bellmax.language.rows import read_rows
from bellmax.language.tokeniser import Tokeniser

# u: the user's turn; a: the assistant's, which begins with "a" and ends with <end> and a line
TURNS = (
    "{{ tools or '' }}{% for m in messages %}{{ m.role[0] + m.content + eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'a' }}{% endif %}"
)
PLAIN = Tokeniser.characters("abchiu\n")  # a 2, b 3, c 4, h 5, i 6, u 7, line 8
CHATTY = dataclasses.replace(PLAIN, template=TURNS)
USER, HI, MORE, BYE = (
    {"role": role, "content": content}
    for role, content in (("user", "h"), ("assistant", "hi"), ("user", "c"), ("assistant", "b"))
)


def merging(normalizer=None, **special):
    """A tokeniser that makes one token of "ab"."""
    tokens = {token: number for number, token in enumerate(["<end>", "a", "b", "x", "ab", "▁"])}
    rules = Tokenizer(models.BPE(tokens, [("a", "b")]))
    rules.add_special_tokens(["<end>"])
    rules.normalizer = normalizer
    return Tokeniser(rules, end=0, **special)


def told(document):
    return document.tokens.tolist(), document.weight.tolist(), document.prompt


def example(tokeniser, **row):
    (document,) = encoding.examples(read_rows([row], "examples"), tokeniser)
    return told(document)


def test_the_answer_is_learned_with_the_token_that_ends_it():
    assert example(PLAIN, prompt="ab", completion="ca") == ([2, 3, 4, 2, 1], [0, 0, 1, 1, 1], 2)
    unchecked = {"prompt": "ab", "completion": "ca", "messages": None}
    (document,) = encoding.examples([unchecked], PLAIN)
    assert document.tokens.tolist() == [2, 3, 4, 2, 1]
    assert (document.tokens.dtype, document.weight.dtype) == (np.int32, np.float32)


def test_an_end_that_is_there_is_not_put_twice():
    assert example(PLAIN, prompt="ab", completion="ca<end>") == ([2, 3, 4, 2, 1], [0, 0, 1, 1, 1], 2)
    assert example(PLAIN, prompt="ab<end>", completion="") == ([2, 3, 1, 1], [0, 0, 0, 1], 3)
    other = dataclasses.replace(PLAIN, stops=(4,))  # "c" ends answers, too
    assert example(other, prompt="ab", completion="hc") == ([2, 3, 5, 4], [0, 0, 1, 1], 2)


def test_an_end_in_the_middle_is_not_the_end():
    assert example(PLAIN, prompt="a", completion="b<end>c") == ([2, 3, 1, 4, 1], [0, 1, 1, 1, 1], 1)


def test_the_first_token_has_nothing_before_it():
    assert example(PLAIN, text="abc") == ([2, 3, 4, 1], [0, 1, 1, 1], 0)
    begun = dataclasses.replace(PLAIN, begin=8)
    assert example(begun, text="abc") == ([8, 2, 3, 4, 1], [0, 1, 1, 1, 1], 1)
    assert example(begun, prompt="ab", completion="c") == ([8, 2, 3, 4, 1], [0, 0, 0, 1, 1], 3)
    with pytest.raises(ValueError, match="row 2: there is nothing to learn"):
        encoding.examples([{"prompt": "a", "completion": ""}, {"prompt": "", "completion": ""}], PLAIN)


def test_a_token_does_not_reach_over_the_border_of_prompt_and_answer():
    assert example(merging(), prompt="xa", completion="bab") == ([3, 1, 2, 4, 0], [0, 0, 1, 1, 1], 2)
    assert example(merging(), prompt="x", completion="abb") == ([3, 4, 2, 0], [0, 1, 1, 1], 1)


def test_what_a_tokeniser_puts_before_a_text_is_not_put_into_its_middle():
    """As Llama 2's does with its blank: the answer by itself would begin with one."""
    marked = merging(normalizers.Prepend("▁"))
    assert marked.encode("b") == [5, 2]
    assert example(marked, prompt="x", completion="b") == ([5, 3, 2, 0], [0, 0, 1, 1], 2)


def test_of_a_conversation_the_turns_of_the_assistant_are_learned():
    # u h <end> line a | h i <end> | line u c <end> line a | b <end> |; the last line is left out
    tokens = [*[7, 5, 1, 8, 2], *[5, 6, 1], *[8, 7, 4, 1, 8, 2], *[3, 1]]
    weight = [*[0, 0, 0, 0, 0], *[1, 1, 1], *[0, 0, 0, 0, 0, 0], *[1, 1]]
    assert example(CHATTY, messages=[USER, HI, MORE, BYE]) == (tokens, weight, 5)
    assert example(CHATTY, messages=[USER, HI, MORE, BYE, USER]) == (tokens, weight, 5)  # nobody answers the last
    only_last = [0] * 14 + [1, 1]
    assert example(CHATTY, prompt=[USER, HI, MORE], completion=[BYE]) == (tokens, only_last, 14)
    assert example(CHATTY, prompt=[USER], completion=[HI, MORE, BYE]) == (tokens, weight, 5)


def test_a_template_that_ends_turns_with_no_token_of_its_own_gets_one_at_the_last():
    plain = dataclasses.replace(PLAIN, template=TURNS.replace("eos_token", "''"))
    found = example(plain, messages=[USER, HI, MORE, BYE])
    assert found[0] == [*[7, 5, 8, 2], *[5, 6, 8], *[7, 4, 8, 2], *[3, 8, 1]]
    assert found[1] == [*[0, 0, 0, 0], *[1, 1, 1], *[0, 0, 0, 0], *[1, 1, 1]]


def test_turns_that_are_written_anew_are_documents_of_their_own():
    forgetful = TURNS.replace("m.content", "(m.content if loop.last else m.content[-1])")
    tokeniser = dataclasses.replace(PLAIN, template=forgetful)
    documents = encoding.examples(read_rows([{"messages": [USER, HI, MORE, BYE]}], "examples"), tokeniser)
    assert [told(document) for document in documents] == [
        ([7, 5, 1, 8, 2, 5, 6, 1], [0, 0, 0, 0, 0, 1, 1, 1], 5),
        ([7, 5, 1, 8, 2, 6, 1, 8, 7, 4, 1, 8, 2, 3, 1], [0] * 13 + [1, 1], 13),
    ]
    with pytest.raises(ValueError, match="row 1: the chat template writes the turns of its completion anew"):
        encoding.examples(read_rows([{"prompt": [USER], "completion": [HI, MORE, BYE]}], "examples"), tokeniser)


def test_templates_are_told_what_the_row_says_for_them():
    assert encoding.prompt_of(CHATTY, {"prompt": [USER], "tools": "bb"}) == ([3, 3, 7, 5, 1, 8, 2], "bbuh<end>\na")
    row = {"prompt": [USER], "chat_template_kwargs": {"tools": "c"}}
    assert encoding.prompt_of(CHATTY, row)[1] == "cuh<end>\na"


def test_messages_need_a_template():
    with pytest.raises(ValueError, match="row 1: it has messages, and the tokeniser has no chat template"):
        encoding.examples([{"messages": [USER, HI]}], PLAIN)


def test_preferences():
    rows = read_rows([{"prompt": "a", "chosen": "b", "rejected": "cc", "margin": 0.5}], "preferences")
    ((chosen, rejected, margin),) = encoding.preferences(rows, PLAIN)
    assert told(chosen) == ([2, 3, 1], [0, 1, 1], 1)
    assert told(rejected) == ([2, 4, 4, 1], [0, 1, 1, 1], 1)
    assert margin == 0.5
    rows = read_rows([{"chosen": [USER, HI], "rejected": [USER, BYE]}], "preferences")
    ((chosen, rejected, margin),) = encoding.preferences(rows, CHATTY)
    assert told(chosen) == ([7, 5, 1, 8, 2, 5, 6, 1], [0, 0, 0, 0, 0, 1, 1, 1], 5)
    assert told(rejected) == ([7, 5, 1, 8, 2, 3, 1], [0, 0, 0, 0, 0, 1, 1], 5)
    assert encoding.preferences([{"prompt": "a", "chosen": "b", "rejected": "c"}], PLAIN)[0].margin == 0


def test_labelled():
    rows = read_rows([{"prompt": "a", "completion": "b", "label": label} for label in (True, False)], "labelled")
    good, bad = encoding.labelled(rows, PLAIN)
    assert told(good.document) == told(bad.document) == ([2, 3, 1], [0, 1, 1], 1)
    assert (good.label, bad.label) == (1, 0)


def test_a_step_is_judged_at_its_last_token():
    rows = read_rows([{"prompt": "a", "completions": ["bb", "c"], "labels": [True, False]}], "steps")
    (judged,) = encoding.steps(rows, PLAIN)
    assert told(judged.document) == ([2, 3, 3, 8, 4, 8], [0, 0, 0, 1, 0, 1], 1)
    assert judged.label.tolist() == [0, 0, 0, 1, 0, 0]
    (judged,) = encoding.steps(rows, PLAIN, separator="")
    assert told(judged.document) == ([2, 3, 3, 4], [0, 0, 1, 1], 1)
    assert judged.label.tolist() == [0, 0, 1, 0]


def test_prompts_stop_where_the_answer_begins():
    rows = read_rows([{"prompt": "ab"}, {"prompt": [USER, HI, MORE]}], "prompts")
    assert encoding.prompts(rows, CHATTY) == [
        ([2, 3], "ab"),
        ([7, 5, 1, 8, 2, 5, 6, 1, 8, 7, 4, 1, 8, 2], "uh<end>\nahi<end>\nuc<end>\na"),
    ]
    begun = dataclasses.replace(PLAIN, begin=8)
    assert encoding.prompt_of(begun, {"prompt": ""}) == ([8], "")
    with pytest.raises(ValueError, match="row 2: its prompt is empty"):
        encoding.prompts([{"prompt": "a"}, {"prompt": ""}], PLAIN)
    with pytest.raises(ValueError, match="the row: its prompt is empty"):
        encoding.prompt_of(PLAIN, {"prompt": ""})


def test_an_answer_is_learned_behind_the_tokens_that_it_will_be_asked_with():
    for row in ({"prompt": "ab", "completion": "c"}, {"prompt": [USER, HI, MORE], "completion": "b"}):
        for tokeniser in (CHATTY, dataclasses.replace(CHATTY, begin=8)):
            (document,) = encoding.examples(read_rows([row], "examples"), tokeniser)
            assert document.tokens[: document.prompt].tolist() == encoding.prompt_of(tokeniser, row)[0]


def test_errors_say_which_row(tmp_path):
    (tmp_path / "data.jsonl").write_text('{"prompt": "a", "completion": "b"}\n\n{"prompt": "a", "completion": "z"}\n')
    with pytest.raises(ValueError, match=r"data.jsonl line 3: the tokeniser has no token for \['z'\]"):
        encoding.examples(read_rows(tmp_path / "data.jsonl", "examples"), PLAIN)
