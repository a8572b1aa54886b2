"""What Hugging Face calls the shape of a model, family by family: config.json in and out.

GPT-2, Llama (with SmolLM2), Mistral, Qwen2 and 2.5, Qwen3. Everything else is refused by name.
"""

from __future__ import annotations

import math
from typing import Any

from bellmax.language.config import ModelConfig, Rope

ROTARY = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM"}
ROTARY |= {"qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}
ARCHITECTURES = {"gpt2": "GPT2LMHeadModel", **ROTARY}
ACTIVATIONS = {"silu": "swish", "swish": "swish", "gelu": "gelu", "relu": "relu"}
ACTIVATIONS |= {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"}
OUR_ACTIVATIONS = {"swish": "silu", "gelu": "gelu", "relu": "relu", "gelu_tanh": "gelu_new"}


def read_config(said: dict[str, Any]) -> ModelConfig:
    """The model that a config.json describes. ValueError if it is none of ours."""
    family = said.get("model_type")
    if family == "gpt2":
        return _read_gpt2(said)
    if family not in ROTARY:
        raise ValueError(f"config.json: model_type = {family!r}: bellmax reads {', '.join(ARCHITECTURES)}.")
    window, window_layers = _read_window(family, said)
    attention_bias = bool(said.get("attention_bias", False))
    return ModelConfig(
        vocabulary=said["vocab_size"],
        width=said["hidden_size"],
        layers=said["num_hidden_layers"],
        heads=said["num_attention_heads"],
        key_heads=said.get("num_key_value_heads") or said["num_attention_heads"],
        head_size=said.get("head_dim") or (128 if family == "qwen3" else 0),
        hidden=said["intermediate_size"],
        max_positions=said.get("max_position_embeddings", 2048),
        norm_epsilon=said.get("rms_norm_eps", 1e-6),
        activation=_activation(said.get("hidden_act", "silu")),
        rope=_read_rope(said),
        query_bias=family == "qwen2" or attention_bias,
        output_bias=family != "qwen2" and attention_bias,
        hidden_bias=bool(said.get("mlp_bias", False)),
        head_norm=family == "qwen3",
        tied=bool(said.get("tie_word_embeddings", False)),
        window=window,
        window_layers=window_layers,
    )


def _read_gpt2(said: dict[str, Any]) -> ModelConfig:
    for name, only in (("scale_attn_weights", True), ("scale_attn_by_inverse_layer_idx", False)):
        if said.get(name, only) is not only:
            raise ValueError(f"config.json: {name} = {said[name]!r}: bellmax reads GPT-2 with {only} only.")
    return ModelConfig(
        vocabulary=said["vocab_size"],
        width=said["n_embd"],
        layers=said["n_layer"],
        heads=said["n_head"],
        hidden=said.get("n_inner") or 4 * said["n_embd"],
        max_positions=said["n_positions"],
        norm="layer",
        norm_epsilon=said.get("layer_norm_epsilon", 1e-5),
        activation=_activation(said.get("activation_function", "gelu_new")),
        gated=False,
        rope=None,
        query_bias=True,
        output_bias=True,
        hidden_bias=True,
        tied=bool(said.get("tie_word_embeddings", True)),
    )


def _activation(name: str) -> Any:
    if name not in ACTIVATIONS:
        raise ValueError(f"config.json: activation {name!r}: bellmax has {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]


def _read_window(family: str, said: dict[str, Any]) -> tuple[int | None, tuple[int, ...] | None]:
    """The sliding window, and the layers that have it; None: all."""
    window = said.get("sliding_window")
    if not window or (family in ("qwen2", "qwen3") and not said.get("use_sliding_window", False)) or family == "llama":
        return None, None
    kinds, layers = said.get("layer_types"), said["num_hidden_layers"]
    if kinds is not None:
        return window, tuple(index for index, kind in enumerate(kinds) if kind == "sliding_attention")
    first = said.get("max_window_layers", 0) if family != "mistral" else 0
    return window, None if first == 0 else tuple(range(first, layers))


def _read_rope(said: dict[str, Any]) -> Rope:
    """Old files say rope_theta and rope_scaling, new ones rope_parameters."""
    rope = {**(said.get("rope_scaling") or {}), **(said.get("rope_parameters") or {})}
    theta = float(rope.get("rope_theta") or said.get("rope_theta") or 10_000.0)
    kind = rope.get("rope_type") or rope.get("type") or "default"
    longest = said.get("max_position_embeddings", 2048)
    original = int(rope.get("original_max_position_embeddings") or longest)
    factor = float(rope.get("factor") or 1.0)
    if kind == "default":
        return Rope(theta)
    if kind == "linear":
        return Rope(theta, "linear", factor)
    if kind == "llama3":
        return Rope(theta, "llama3", factor, original, rope["low_freq_factor"], rope["high_freq_factor"])
    if kind == "yarn":
        low, high = rope.get("beta_slow") or 1.0, rope.get("beta_fast") or 32.0
        return Rope(
            theta, "yarn", factor, original, low, high, _attention_factor(rope, factor), rope.get("truncate", True)
        )
    raise ValueError(f"config.json: rope type {kind!r}: bellmax has default, linear, llama3 and yarn.")


def _attention_factor(rope: dict[str, Any], factor: float) -> float:
    """YaRN's temperature (eq. 22), and DeepSeek's way of giving it."""

    def scale(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0

    if rope.get("attention_factor") is not None:
        return float(rope["attention_factor"])
    if rope.get("mscale") and rope.get("mscale_all_dim"):
        return scale(rope["mscale"]) / scale(rope["mscale_all_dim"])
    return scale(1.0)


def family_of(config: ModelConfig) -> str:
    """The family that can hold a model. ValueError if none can."""
    c = config
    gpt2 = (c.norm, c.gated, c.query_bias, c.output_bias, c.hidden_bias) == ("layer", False, True, True, True)
    if c.rope is None and gpt2 and not c.head_norm and c.window is None and c.key_heads == c.heads:
        return "gpt2"
    if c.rope is not None and c.norm == "rms" and c.gated:
        if c.head_norm and not c.hidden_bias and c.query_bias == c.output_bias:
            return "qwen3"
        if c.query_bias and not c.output_bias and not c.hidden_bias:
            return "qwen2"
        if c.window is not None and c.window_layers is None and not c.query_bias and not c.hidden_bias:
            return "mistral"
        if c.window is None and c.query_bias == c.output_bias:
            return "llama"
    raise ValueError(f"no family that Hugging Face knows has all of this: {config}.")


def write_config(config: ModelConfig) -> dict[str, Any]:
    """The config.json of a model: what transformers 4 and 5 and vLLM read."""
    family = family_of(config)
    said = {"architectures": [ARCHITECTURES[family]], "model_type": family, "vocab_size": config.vocabulary}
    said |= {"tie_word_embeddings": config.tied, "dtype": "float32", "torch_dtype": "float32"}
    if family == "gpt2":
        return said | {
            "n_embd": config.width,
            "n_layer": config.layers,
            "n_head": config.heads,
            "n_inner": config.hidden,
            "n_positions": config.max_positions,
            "layer_norm_epsilon": config.norm_epsilon,
            "activation_function": OUR_ACTIVATIONS[config.activation],
        }
    assert config.rope is not None
    return said | {
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.key_heads,
        "head_dim": config.head_size,
        "intermediate_size": config.hidden,
        "max_position_embeddings": config.max_positions,
        "rms_norm_eps": config.norm_epsilon,
        "hidden_act": OUR_ACTIVATIONS[config.activation].replace("gelu_new", "gelu_pytorch_tanh"),
        "attention_bias": config.query_bias and config.output_bias,
        "mlp_bias": config.hidden_bias,
        **_write_rope(config.rope),
        **_write_window(config),
    }


def _write_window(config: ModelConfig) -> dict[str, Any]:
    if config.window is None or family_of(config) == "mistral":
        return {} if config.window is None else {"sliding_window": config.window}
    kinds = ["full_attention" if config.window_of(i) is None else "sliding_attention" for i in range(config.layers)]
    full = next((i for i, kind in enumerate(kinds) if kind == "sliding_attention"), config.layers)
    return {
        "sliding_window": config.window,
        "use_sliding_window": True,
        "layer_types": kinds,
        "max_window_layers": full,
    }


def _write_rope(rope: Rope) -> dict[str, Any]:
    """Both the old and the new way."""
    said: dict[str, Any] = {"rope_type": rope.kind}
    if rope.kind != "default":
        said["factor"] = rope.factor
    if rope.kind in ("llama3", "yarn"):
        said["original_max_position_embeddings"] = rope.original_positions
    if rope.kind == "llama3":
        said |= {"low_freq_factor": rope.low, "high_freq_factor": rope.high}
    if rope.kind == "yarn":
        said |= {"beta_slow": rope.low, "beta_fast": rope.high}
        said |= {"attention_factor": rope.attention_factor, "truncate": rope.truncate}
    both = {"rope_theta": rope.theta, "rope_parameters": {"rope_theta": rope.theta, **said}}
    return both if rope.kind == "default" else both | {"rope_scaling": said}
