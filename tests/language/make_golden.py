"""Make tests/language/golden: small models of every family as `transformers` writes them, and their logits.

    python tests/language/make_golden.py                make them
    python tests/language/make_golden.py check FOLDER   does it load what bellmax wrote, one model a folder, and agree?

Runs where torch and transformers are (5.23 made what is there), which the tests do not need. The second command reads
what `python -m tests.language.test_transformer FOLDER` wrote where bellmax is.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

GOLDEN = Path(__file__).parent / "golden"
TOKENS = 24
SMALL = {"vocab_size": 31, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2}
SMALL |= {"num_key_value_heads": 1, "intermediate_size": 16, "max_position_embeddings": 32}
WIDE = SMALL | {"head_dim": 8}  # four frequencies


def rope(kind, theta, **more):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": theta, **more}}


FAMILIES = {
    "gpt2": lambda: GPT2Config(
        vocab_size=31, n_embd=12, n_layer=2, n_head=2, n_inner=16, n_positions=24, bos_token_id=0, eos_token_id=0
    ),
    "llama": lambda: LlamaConfig(**SMALL, tie_word_embeddings=False),
    "llama3": lambda: LlamaConfig(
        **WIDE,
        attention_bias=True,
        mlp_bias=True,
        tie_word_embeddings=True,
        **rope(
            "llama3",
            100.0,
            factor=8.0,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=16,
        ),
    ),
    "yarn": lambda: LlamaConfig(
        **WIDE | {"max_position_embeddings": 8192},
        tie_word_embeddings=True,
        **rope("yarn", 30.0, factor=4.0, original_max_position_embeddings=2048),  # of four frequencies one is mixed
    ),
    "linear": lambda: LlamaConfig(**WIDE, tie_word_embeddings=True, **rope("linear", 100.0, factor=4.0)),
    "qwen2": lambda: Qwen2Config(**SMALL, tie_word_embeddings=True),
    "qwen2-window": lambda: Qwen2Config(**SMALL, use_sliding_window=True, sliding_window=5, max_window_layers=1),
    "qwen3": lambda: Qwen3Config(**WIDE),
    "smollm2": lambda: LlamaConfig(**SMALL, tie_word_embeddings=True, rope_theta=100_000.0),
    "mistral": lambda: MistralConfig(**WIDE, sliding_window=5),
}


def logits(model, tokens):
    with torch.no_grad():
        return model.eval()(torch.tensor(tokens)).logits.numpy()


def make():
    torch.manual_seed(0)
    for name, config in FAMILIES.items():
        made = config()
        made._attn_implementation = "eager"
        model = AutoModelForCausalLM.from_config(made)
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.data.normal_(0, 0.3)
            else:
                weight.data.add_(0.1 * torch.randn_like(weight))
        model.save_pretrained(GOLDEN / name)
        (GOLDEN / name / "generation_config.json").unlink(missing_ok=True)
        tokens = torch.randint(0, 31, (1, TOKENS)).numpy()
        np.savez_compressed(GOLDEN / name / "logits.npz", tokens=tokens, logits=logits(model, tokens))


def check(folder):
    for name in FAMILIES:
        model, found = AutoModelForCausalLM.from_pretrained(folder / name, output_loading_info=True)
        golden = np.load(GOLDEN / name / "logits.npz")
        worst = np.abs(logits(model, golden["tokens"]) - golden["logits"]).max()
        print(f"{name}: {type(model).__name__}, at most {worst:.1e} off", {k: v for k, v in found.items() if v})


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        check(Path(sys.argv[2]))
    else:
        make()
