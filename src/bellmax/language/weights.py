"""What Hugging Face calls the weights of a model, and which way round it keeps them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bellmax.language.config import ModelConfig
from bellmax.language.families import family_of
from bellmax.language.transformer import Transformer

ROTARY = {
    "embedding": "model.embed_tokens.weight",
    "norm": "model.norm",
    "head": "lm_head",
    "layers": "model.layers",
    "attention_norm": "input_layernorm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "attention.query_norm": "self_attn.q_norm",
    "attention.key_norm": "self_attn.k_norm",
    "feed_forward_norm": "post_attention_layernorm",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
}
GPT2 = {
    "embedding": "transformer.wte.weight",
    "positions": "transformer.wpe.weight",
    "norm": "transformer.ln_f",
    "head": "lm_head",
    "layers": "transformer.h",
    "attention_norm": "ln_1",
    "attention.query": "attn.c_attn.query",
    "attention.key": "attn.c_attn.key",
    "attention.value": "attn.c_attn.value",
    "attention.output": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "feed_forward.up": "mlp.c_fc",
    "feed_forward.down": "mlp.c_proj",
}
THREE = ("query", "key", "value")  # GPT-2 keeps them side by side, as one array
IGNORED = re.compile(r"\.attn\.(masked_)?bias$|rotary_emb\.inv_freq$")  # no weights: buffers of old versions


def skeleton(config: ModelConfig) -> Transformer:
    """A model whose weights are shapes alone."""
    return eqx.filter_eval_shape(Transformer, jax.random.key(0), config)


def fill(config: ModelConfig, found: Mapping[str, np.ndarray], where: str = "weights") -> Transformer:
    """The model with the weights of these names, in float32. ValueError if one is missing, left over, or misshapen."""
    family = family_of(config)
    there = {name: x for name, x in found.items() if not IGNORED.search(name)}
    if family == "gpt2":
        there = _apart(
            {(n if n.startswith(("transformer.", "lm_head.")) else f"transformer.{n}"): x for n, x in there.items()}
        )
    if config.tied:
        there.pop("lm_head.weight", None)  # some files say it twice
    paths, structure = jax.tree_util.tree_flatten_with_path(skeleton(config))
    leaves = []
    for path, shape in paths:
        name, turned = _name(path, family)
        if name not in there:
            raise ValueError(f"{where}: there is no {name!r}; the config asks for it.")
        x = np.asarray(there.pop(name), np.float32)
        x = x.T if turned else x
        if x.shape != shape.shape:
            raise ValueError(f"{where}: {name!r} has shape {x.shape}; the config says {shape.shape}.")
        leaves.append(jnp.asarray(x))
    if there:
        raise ValueError(f"{where}: the config has no use for {', '.join(sorted(there)[:3])} ({len(there)} in all).")
    return jax.tree.unflatten(structure, leaves)


def named(model: Transformer) -> dict[str, np.ndarray]:
    """The weights by the names, and turned the way, that Hugging Face has them."""
    family, weights = family_of(model.config), {}
    for path, x in jax.tree_util.tree_flatten_with_path(model)[0]:
        name, turned = _name(path, family)
        weights[name] = np.ascontiguousarray(np.asarray(x).T if turned else np.asarray(x))
    return _together(weights) if family == "gpt2" else weights


def _name(path: Any, family: str) -> tuple[str, bool]:
    """The path of a leaf -> its name, and is it kept transposed?"""
    names = GPT2 if family == "gpt2" else ROTARY
    words = [str(getattr(key, "name", getattr(key, "idx", ""))) for key in path]
    if words[0] in ("embedding", "positions"):
        return names[words[0]], False
    *module, kind = words
    linear = kind == "weight" and "norm" not in module[-1]
    if module[0] != "layers":
        return f"{names[module[0]]}.{kind}", linear
    name = f"{names['layers']}.{module[1]}.{names['.'.join(module[2:])]}.{kind}"
    return name, linear and family != "gpt2"  # whose own are [inputs, outputs], as ours


def _apart(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """c_attn as queries, keys and values."""
    apart: dict[str, np.ndarray] = {}
    for name, x in found.items():
        if ".c_attn." in name:
            head, kind = name.rsplit(".", 1)
            apart |= {f"{head}.{part}.{kind}": piece for part, piece in zip(THREE, np.split(np.asarray(x), 3, axis=-1))}
        else:
            apart[name] = x
    return apart


def _together(apart: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Queries, keys and values as c_attn."""
    whole = {name: x for name, x in apart.items() if ".c_attn." not in name}
    for name in apart:
        if ".c_attn.query." in name:
            parts = [apart[name.replace(".query.", f".{part}.")] for part in THREE]
            whole[name.replace(".query.", ".")] = np.concatenate(parts, axis=-1)
    return whole
