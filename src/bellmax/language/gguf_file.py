"""Models in one file as llama.cpp has them (GGUF): shape, weights, tokeniser and chat template, in float32.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Quantised weights are made whole again by the package `gguf`:
each is then one of the few numbers that its block of 32 could say, and training goes on from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors

from bellmax.language.config import ModelConfig, Rope
from bellmax.language.tokeniser import Tokeniser
from bellmax.language.transformer import Transformer
from bellmax.language.weights import fill

FAMILIES = ("llama", "qwen2", "qwen3")  # Mistral and SmolLM2 call themselves llama
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
CONTROL, USER_DEFINED = 3, 4  # kinds of tokens that are never cut
_NUMBER = r"\p{N}"
_LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def _split(pattern: str) -> Any:
    cut = pre_tokenizers.Split(Regex(pattern), "isolated")
    return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _gpt2() -> Any:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


CUTS: dict[str, Callable[[], Any]] = {  # how text is cut before the merges, by tokenizer.ggml.pre
    "gpt-2": _gpt2,
    "smollm": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _gpt2()]),
    "llama-bpe": lambda: _split(_LLAMA3 % (_NUMBER + "{1,3}")),
    "qwen2": lambda: _split(_LLAMA3 % _NUMBER),
}


def read_gguf(path: str | Path) -> tuple[Transformer, Tokeniser]:
    """The model in a file, and its tokeniser. FileNotFoundError or ValueError says what is missing or not ours."""
    try:
        import gguf
    except ImportError as error:
        raise ImportError(f'{path} needs gguf ({error}): pip install "bellmax[gguf]"') from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    try:
        reader = gguf.GGUFReader(path)
    except ValueError as error:
        raise ValueError(f"{path}: it is not a GGUF file: {error}") from error
    said = {name: field.contents() for name, field in reader.fields.items()}
    weights = {x.name: np.asarray(gguf.dequantize(x.data, x.tensor_type), np.float32) for x in reader.tensors}
    config = _config(said, weights, str(path))
    return fill(config, _renamed(weights, config, said), str(path)), _tokeniser(said, str(path))


def _under(said: dict[str, Any], prefix: str) -> Callable[..., Any]:
    """What the file says of one thing: get(name, default)."""
    return lambda name, default=None: said.get(f"{prefix}.{name}", default)


def _config(said: dict[str, Any], weights: dict[str, np.ndarray], where: str) -> ModelConfig:
    family = said.get("general.architecture")
    if family not in FAMILIES:
        raise ValueError(f"{where}: general.architecture = {family!r}: bellmax reads {', '.join(FAMILIES)}.")
    get = _under(said, family)
    scaling = get("rope.scaling.type", "none")
    if "rope_freqs.weight" in weights or scaling not in ("none", "linear"):
        raise ValueError(
            f"{where}: its rotary positions are scaled in a way ({scaling}) that bellmax reads from config.json only; "
            "give the Hugging Face folder."
        )
    theta, heads = float(get("rope.freq_base", 10_000.0)), get("attention.head_count")
    return ModelConfig(
        vocabulary=len(weights["token_embd.weight"]),
        width=get("embedding_length"),
        layers=get("block_count"),
        heads=heads,
        key_heads=get("attention.head_count_kv", heads),
        head_size=get("attention.key_length", 0),
        hidden=get("feed_forward_length"),
        max_positions=get("context_length"),
        norm_epsilon=float(str(np.float32(get("attention.layer_norm_rms_epsilon")))),  # 1e-5, as it was meant
        rope=Rope(theta, "linear", float(get("rope.scaling.factor", 1.0))) if scaling == "linear" else Rope(theta),
        query_bias="blk.0.attn_q.bias" in weights,
        output_bias="blk.0.attn_output.bias" in weights,
        head_norm="blk.0.attn_q_norm.weight" in weights,
        tied="output.weight" not in weights,
    )


def _renamed(weights: dict[str, np.ndarray], config: ModelConfig, said: dict[str, Any]) -> dict[str, np.ndarray]:
    """By Hugging Face's names, and with each head's numbers in Hugging Face's order."""
    found = {}
    turned = {"attn_q": config.heads, "attn_k": config.key_heads} if said["general.architecture"] == "llama" else {}
    for name, x in weights.items():
        block = re.fullmatch(r"blk\.(\d+)\.(\w+)\.(\w+)", name)
        if block is None:
            part, kind = name.rsplit(".", 1)
            found[f"{WHOLE.get(part, part)}.{kind}"] = x
            continue
        number, part, kind = block.groups()
        found[f"model.layers.{number}.{BLOCK.get(part, part)}.{kind}"] = (
            _halves(x, turned[part]) if part in turned else x
        )
    return found


def _halves(x: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp turns neighbours (0 with 1, 2 with 3, ...); Hugging Face and we turn number i with i + half."""
    return x.reshape(heads, -1, 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def _tokeniser(said: dict[str, Any], where: str) -> Tokeniser:
    get = _under(said, "tokenizer.ggml")
    if get("model") != "gpt2" or get("pre", "gpt-2") not in CUTS:
        raise ValueError(
            f"{where}: its tokeniser is {get('model')!r} with {get('pre')!r}: bellmax reads gpt2 with "
            f"{', '.join(CUTS)}; give the Hugging Face folder, which has a tokenizer.json."
        )
    tokens, kinds = list(get("tokens")), list(get("token_type"))
    merges = [tuple(pair.split(" ")) for pair in get("merges")]
    rules = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    rules.pre_tokenizer, rules.decoder = CUTS[get("pre", "gpt-2")](), decoders.ByteLevel()
    for kind in (CONTROL, USER_DEFINED):
        whole = [AddedToken(t, normalized=False, special=kind == CONTROL) for t, k in zip(tokens, kinds) if k == kind]
        rules.add_special_tokens(whole) if kind == CONTROL else rules.add_tokens(whole)
    begin, end, pad = get("bos_token_id"), get("eos_token_id"), get("padding_token_id")
    begins = bool(get("add_bos_token", False)) and begin is not None
    if begins:
        rules.post_processor = processors.TemplateProcessing(f"{tokens[begin]} $A", None, [(tokens[begin], begin)])
    stops = tuple(int(x) for x in (get("eot_token_id"),) if x is not None)
    settings = {} if begin is None else {"bos_token": tokens[begin]}
    template = said.get("tokenizer.chat_template")
    return Tokeniser(rules, int(end), stops, int(begin) if begins else None, pad, template, settings)
