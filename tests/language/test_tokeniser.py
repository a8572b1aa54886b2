import importlib.util
import json
import sys
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

from bellmax import language
from bellmax.language.tokeniser import Tokeniser

WORDS = {"<unk>": 0, "<bos>": 1, "<eos>": 2, "<turn>": 3, "hi": 4, "you": 5, "there": 6}


def word_rules(begin=False, padding=False):
    """A tokeniser of words, as a model's folder may have one."""
    rules = Tokenizer(models.WordLevel(WORDS, unk_token="<unk>"))
    rules.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    rules.add_special_tokens([AddedToken(token, special=True) for token in ("<unk>", "<bos>", "<eos>", "<turn>")])
    if begin:
        rules.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    if padding:
        rules.enable_padding(length=9)
        rules.enable_truncation(1)
    return rules


def folder(path, begin=False, config=None, generation=None, **files):
    word_rules(begin, padding=True).save(str(path / "tokenizer.json"))
    config = {"bos_token": {"content": "<bos>"}, "eos_token": "<eos>"} if config is None else config
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    if generation is not None:
        (path / "generation_config.json").write_text(json.dumps(generation))
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text)
    return path


# Characters


def test_every_character_is_a_token():
    tokeniser = Tokeniser.characters("0123456789+= \n")
    assert (tokeniser.vocabulary, tokeniser.pad, tokeniser.end, tokeniser.stops) == (16, 0, 1, (1,))
    assert tokeniser.encode("10 +\n\n2") == [3, 2, 14, 12, 15, 15, 4]
    assert tokeniser.decode([3, 2, 14, 12, 15, 15, 4, 1, 0, 0]) == "10 +\n\n2"
    assert tokeniser.decode([3, 1], special=True) == "1<end>"
    assert tokeniser.encode("") == []


def test_characters_that_the_alphabet_lacks_are_named():
    with pytest.raises(ValueError, match=r"no token for \['x', 'y'\] of '1y x'"):
        Tokeniser.characters("1 ").encode("1y x")


@pytest.mark.parametrize("alphabet", ["", "aba"])
def test_an_alphabet_has_each_character_once(alphabet):
    with pytest.raises(ValueError, match="alphabet = "):
        Tokeniser.characters(alphabet)


@pytest.mark.parametrize("alphabet", ["abc", 'äß€😀"\\<>{}', "\t\n\r '"])
def test_characters_are_written_and_read(tmp_path, alphabet):
    there = Tokeniser.characters(alphabet)
    back = Tokeniser.read(there.write(tmp_path))
    assert (back.end, back.stops, back.pad, back.begin) == (1, (1,), 0, None)
    assert back.encode(alphabet) == there.encode(alphabet) == list(range(2, 2 + len(alphabet)))
    assert back.decode(range(2, 2 + len(alphabet))) == alphabet


# Folders


def test_special_tokens_are_text_or_objects_and_stops_may_be_several(tmp_path):
    read = Tokeniser.read(folder(tmp_path, generation={"eos_token_id": [3, 2], "temperature": 0.5}))
    assert (read.end, read.stops, read.begin, read.pad) == (2, (2, 3), None, None)
    assert read.vocabulary == 7
    assert read.encode("hi you <eos> what") == [4, 5, 2, 0]
    assert read.decode([1, 4, 2]) == "hi"


def test_padding_and_truncation_that_the_rules_ask_for_are_left_out(tmp_path):
    assert Tokeniser.read(folder(tmp_path)).encode("hi you there") == [4, 5, 6]


def test_one_stop_and_where_else_it_may_stand(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert Tokeniser.read(folder(tmp_path / "a", generation={"eos_token_id": 3})).stops == (2, 3)
    read = Tokeniser.read(folder(tmp_path / "b", config={}, config__json='{"eos_token_id": 3}'))
    assert (read.end, read.stops) == (3, (3,))
    (tmp_path / "b" / "config.json").unlink()
    with pytest.raises(ValueError, match="has no eos_token"):
        Tokeniser.read(tmp_path / "b")


@pytest.mark.parametrize(
    ("begin", "config", "want"),
    [
        (False, {}, None),  # the model has a begin token, and wants none before text
        (True, {}, 1),
        (True, {"add_bos_token": False}, 1),  # transformers looks into the rules alone
        (False, {"add_bos_token": True}, None),
    ],
)
def test_the_begin_token_is_there_where_it_is_wanted_and_once(tmp_path, begin, config, want):
    read = Tokeniser.read(folder(tmp_path, begin, {"bos_token": "<bos>", "eos_token": "<eos>"} | config))
    assert read.begin == want
    first = [] if want is None else [want]
    assert read.encode("hi you") == [4, 5]
    assert read.encode("hi you", begin=True) == [*first, 4, 5]
    assert read.encode("<bos> hi", begin=True) == [1, 4]
    assert read.encode("", begin=True) == first


def test_a_template_in_a_file_hides_the_one_in_the_settings(tmp_path):
    special = {"bos_token": "<bos>", "eos_token": "<eos>"}
    ask = [{"role": "user", "content": "hi"}]
    template = "{{ bos_token + messages[0].content + eos_token }}"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "c").mkdir()
    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": template}]
    several = Tokeniser.read(folder(tmp_path / "a", config=special | {"chat_template": named}))
    assert several.chat.render(ask) == "<bos>hi<eos>"
    hidden = folder(tmp_path / "b", config=special | {"chat_template": "no"}, chat_template__jinja=template)
    assert Tokeniser.read(hidden).chat.render(ask) == "<bos>hi<eos>"
    assert Tokeniser.read(folder(tmp_path / "c", config=special)).chat is None


def test_what_is_read_is_written_with_what_it_does_not_know(tmp_path):
    config = {
        "bos_token": {"content": "<bos>", "lstrip": False},
        "eos_token": "<eos>",
        "pad_token": "<unk>",
        "chat_template": "old",
        "model_max_length": 77,
        "tokenizer_class": "Qwen2TokenizerFast",
    }
    source = tmp_path / "source"
    source.mkdir()
    folder(source, True, config, {"eos_token_id": [2, 3]}, chat_template__jinja="{{ bos_token }}new")
    target = tmp_path / "target"
    target.mkdir()
    (target / "chat_template.jinja").write_text("of another model")
    (target / "generation_config.json").write_text('{"top_k": 5, "eos_token_id": 9}')
    back = Tokeniser.read(Tokeniser.read(source).write(target))
    assert (back.end, back.stops, back.begin, back.pad) == (2, (2, 3), 1, 0)
    assert back.chat.render([]) == "<bos>new"
    assert back.encode("hi there") == [4, 6]
    written = json.loads((target / "tokenizer_config.json").read_text())
    assert (written["model_max_length"], written["tokenizer_class"]) == (77, "Qwen2TokenizerFast")
    generation = json.loads((target / "generation_config.json").read_text())
    assert generation == {"top_k": 5, "eos_token_id": [2, 3], "bos_token_id": 1, "pad_token_id": 0}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("tokenizer.json", "{}", "tokenizer.json: it is not a tokeniser"),
        ("tokenizer_config.json", "{", "tokenizer_config.json: it is not JSON"),
        ("generation_config.json", "[1]", "generation_config.json: it must hold an object, and holds a list"),
        ("tokenizer_config.json", '{"eos_token": "<gone>"}', "eos_token '<gone>' is not among the tokens"),
    ],
)
def test_a_broken_folder_says_which_file(tmp_path, name, text, said):
    folder(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        Tokeniser.read(tmp_path)


def test_a_folder_without_a_tokeniser(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json: there is no such file"):
        Tokeniser.read(tmp_path)


@pytest.mark.parametrize(("module", "library"), [("chat", "jinja2"), ("tokeniser", "tokenizers")])
def test_without_its_library_it_says_what_to_install(monkeypatch, module, library):
    source = Path(language.__path__[0]) / f"{module}.py"
    spec = importlib.util.spec_from_file_location(f"{module}_alone", source)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf'need {library} \(.*\): pip install "bellmax\[language\]"'):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
