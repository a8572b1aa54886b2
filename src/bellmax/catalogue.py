"""The algorithms by name, without importing any of them."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bellmax.core import Algorithm

ALGORITHMS = {
    "reinforce": "bellmax.algorithms.policy.reinforce:REINFORCE",
    "a2c": "bellmax.algorithms.policy.a2c:A2C",
    "ppo": "bellmax.algorithms.policy.ppo:PPO",
    "recurrent-ppo": "bellmax.algorithms.policy.recurrent_ppo:RecurrentPPO",
}

SUMMARIES = {
    "reinforce": "Monte Carlo policy gradient, with or without a baseline (Williams, 1992)",
    "a2c": "Advantage actor-critic, synchronous (Mnih et al., 2016)",
    "ppo": "Proximal policy optimisation, clipped (Schulman et al., 2017)",
    "recurrent-ppo": "PPO with a GRU or LSTM, for what cannot be seen at once (Schulman et al., 2017)",
}


class UnknownAlgorithm(ValueError):
    """No algorithm has this name; the message suggests the nearest ones."""


def algorithm_class(name: str) -> type[Algorithm]:
    """The class called `name` on the command line ("ppo") or in Python ("PPO")."""
    wanted = _plain(name)
    for known, reference in ALGORITHMS.items():
        module, title = reference.split(":")
        if wanted in (_plain(known), _plain(title)):
            return getattr(importlib.import_module(module), title)
    near = difflib.get_close_matches(wanted, [_plain(known) for known in ALGORITHMS], 2, 0.5)
    meant = [known for known in ALGORITHMS if _plain(known) in near] or list(ALGORITHMS)
    raise UnknownAlgorithm(f"There is no algorithm {name!r}: did you mean {' or '.join(meant)}?")


def algorithm_name(kind: type[Algorithm]) -> str:
    """What the class is called on the command line; its own name if it is not ours."""
    reference = f"{kind.__module__}:{kind.__qualname__}"
    return next((name for name, known in ALGORITHMS.items() if known == reference), kind.__name__)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
