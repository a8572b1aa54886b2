"""The shape of a decoder-only transformer: what GPT-2 and the Llama family differ in."""

from __future__ import annotations

import dataclasses
from typing import Literal

Norm = Literal["rms", "layer"]
Activation = Literal["swish", "gelu", "gelu_tanh", "relu"]


@dataclasses.dataclass(frozen=True)
class Rope:
    """How positions turn queries and keys (Su et al., 2021, https://arxiv.org/abs/2104.09864), stretched or not.

    kind      "default"; "linear" divides positions by `factor`; "llama3" and "yarn" (Peng et al., 2023,
              https://arxiv.org/abs/2309.00071) divide slow frequencies only
    """

    theta: float = 10_000.0  # base of the wavelengths
    kind: Literal["default", "linear", "llama3", "yarn"] = "default"
    factor: float = 1.0
    original_positions: int = 0  # length that the model was first trained with
    low: float = 1.0  # llama3: low_freq_factor; yarn: beta_slow
    high: float = 4.0  # llama3: high_freq_factor; yarn: beta_fast
    attention_factor: float = 1.0  # yarn: what queries and keys are multiplied with
    truncate: bool = True  # yarn: round the range of frequencies to whole ones


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Sizes and options. The defaults are a small Llama: RMSNorm, RoPE, SwiGLU, no biases, tied embeddings."""

    vocabulary: int  # tokens
    width: int = 128
    layers: int = 4
    heads: int = 4
    key_heads: int = 0  # heads of keys and values, shared by groups of queries; 0: as many as heads
    head_size: int = 0  # numbers in a head; 0: width / heads
    hidden: int = 0  # width inside the feed-forward layers; 0: 4 * width, or 8/3 of it if gated
    max_positions: int = 2048
    norm: Norm = "rms"
    norm_epsilon: float = 1e-5
    activation: Activation = "swish"
    gated: bool = True  # (a(x W_gate) * x W_up) W_down instead of a(x W_up) W_down
    rope: Rope | None = Rope()  # None: learned embeddings of positions
    query_bias: bool = False  # on queries, keys and values
    output_bias: bool = False  # on what attention gives back
    hidden_bias: bool = False  # in the feed-forward layers
    head_norm: bool = False  # queries and keys are normalised head by head (Qwen3)
    tied: bool = True  # the embedding is the output layer, too
    window: int | None = None  # tokens that are attended to, this one included; None: all before it
    window_layers: tuple[int, ...] | None = None  # the layers that have the window; None: all

    def __post_init__(self) -> None:
        for name in ("vocabulary", "width", "layers", "heads", "max_positions"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"ModelConfig.{name} = {value!r}: give a whole number of at least 1.")
        if not self.head_size and self.width % self.heads:
            raise ValueError(
                f"ModelConfig.heads = {self.heads}: it must divide width = {self.width}, or give head_size."
            )
        hidden = -(-8 * self.width // 3 // 8) * 8 if self.gated else 4 * self.width
        defaults = {"key_heads": self.heads, "head_size": self.width // self.heads, "hidden": hidden}
        for name, value in defaults.items():
            object.__setattr__(self, name, getattr(self, name) or value)  # said outright: equal models are equal
        if self.heads % self.key_heads:
            raise ValueError(f"ModelConfig.key_heads = {self.key_heads}: it must divide heads = {self.heads}.")
        if self.rope is not None and self.head_size % 2:
            raise ValueError(f"ModelConfig.head_size = {self.head_size}: rotary positions need an even number.")

    def window_of(self, layer: int) -> int | None:
        """Tokens that layer number `layer` attends to; None: all."""
        return self.window if self.window_layers is None or layer in self.window_layers else None
