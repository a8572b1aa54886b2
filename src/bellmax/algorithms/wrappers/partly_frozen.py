"""Layers that do not move, around any algorithm.

What was learned elsewhere is kept, and the rest learns on top of it (Yosinski et al., 2014,
https://arxiv.org/abs/1411.1792, who call this "frozen" beside "fine-tuned" layers). After every update the named parts
of the state are put back as they were.

Beyond the paper: gradients of frozen layers still count where the norm of all gradients is clipped. What an optimiser
remembers of a frozen layer is frozen with it, and so are the layer's copies in target networks.
"""

from __future__ import annotations

import difflib
from typing import Any

import jax
from jax import Array

from bellmax.core import Algorithm, Decision, Spec, Transition
from bellmax.experience import Experience


class PartlyFrozen(Algorithm):
    """Around any algorithm: the named parts of its state stay as they are. Its state is the one inside.

    A part is a name in the path to an array, or several with dots between: PPO's `network.torsos.0.mlp.layers.1.weight`
    is in "torsos", in "torsos.0", in "network.torsos" and in "weight".
    """

    inner: Algorithm
    parts: tuple[str, ...] = ()  # what does not move

    @property
    def experience(self) -> Experience:
        return self.inner.experience  # type: ignore[attr-defined]

    def init(self, key: Array, spec: Spec) -> Any:
        """The state inside. Raises ValueError for a part that there is not, with the names that there are."""
        state = self.inner.init(key, spec)
        check_parts(self.parts, state)
        return state

    def act(self, state: Any, obs: Any, key: Array, memory: Any = None) -> Decision:
        return self.inner.act(state, obs, key, memory)

    def greedy(self, state: Any, obs: Any, key: Array, memory: Any = None) -> Decision:
        return self.inner.greedy(state, obs, key, memory)

    def begin(self, state: Any, obs: Any, key: Array) -> Any:
        return self.inner.begin(state, obs, key)

    def observe(self, state: Any, fresh: Transition) -> Any:
        return self.kept(state, self.inner.observe(state, fresh))

    def update(self, state: Any, batch: Transition, key: Array) -> tuple[Any, dict[str, Array]]:
        new, metrics = self.inner.update(state, batch, key)
        return self.kept(state, new), metrics

    def kept(self, old: Any, new: Any) -> Any:
        """`new`, but for the frozen parts, which are those of `old`."""
        return jax.tree_util.tree_map_with_path(lambda path, a, b: a if self.holds(path) else b, old, new)

    def holds(self, path: Any) -> bool:
        """Is the array at this path frozen?"""
        return any(_is_in(part, path_name(path)) for part in self.parts)


def path_name(path: Any) -> str:
    """The path to an array as JAX has it -> "network.torsos.0.mlp.layers.1.weight"."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def check_parts(parts: tuple[str, ...], state: Any) -> None:
    """Raise ValueError at the first part that no array of the state is in."""
    paths = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)]
    for part in parts:
        if not any(_is_in(part, path) for path in paths):
            # an optimiser's own words are no parts
            words = [word for path in paths if "opt_state" not in path for word in path.split(".")]
            known = [word for word in dict.fromkeys(words) if not word.isdigit()]
            near = difflib.get_close_matches(part.split(".")[-1], known, 1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"frozen = {part!r}: there is no such part; {meant}There are {', '.join(known)}.")


def _is_in(part: str, path: str) -> bool:
    return f".{part}." in f".{path}."
