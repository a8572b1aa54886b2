"""The physics of a Gymnasium environment by name: attributes of `env.unwrapped`, fields of a MuJoCo model.

length             an attribute that holds a number, by its name
body_mass          a field of `env.unwrapped.model`, all of it; what is set is a factor of its own values
body_mass[torso]   the same of one body; likewise geoms, joints (jnt_, dof_), actuators, sites, tendons
opt.gravity        a field of `env.unwrapped.model.opt`

What a constructor worked out of other attributes stays as it was, but in Gymnasium's CartPole: an environment of your
own should read its attributes when it steps.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from bellmax.envs.parameters import UnknownParameter

_KINDS = {"body": "BODY", "geom": "GEOM", "jnt": "JOINT", "dof": "JOINT", "actuator": "ACTUATOR", "site": "SITE"}
_KINDS |= {"tendon": "TENDON", "eq": "EQUALITY"}


class Physics:
    """The numbers of one environment. Raises UnknownParameter for a name that is none."""

    def __init__(self, env: gym.Env, names: tuple[str, ...]) -> None:
        self.env, self._own = env.unwrapped, {}  # type: Any, dict[str, Any]
        self._model = getattr(self.env, "model", None) if hasattr(self.env, "data") else None
        for name in names:
            self._own[name] = self._value(name)

    def set(self, values: dict[str, float]) -> None:
        """Set each number: an attribute to the value, a field of a model to so many times its own."""
        for name, value in values.items():
            if self._is_attribute(name):
                setattr(self.env, name, float(value))
            else:
                holder, field, rows = self._place(name)
                getattr(holder, field)[rows] = self._own[name] * value
        _derived(self.env)[0](self.env)
        if self._model is not None and any(not self._is_attribute(name) for name in values):
            import mujoco

            mujoco.mj_setConst(self._model, mujoco.MjData(self._model))  # what MuJoCo works out of masses and sizes

    def usual(self, name: str) -> float:
        """The environment's own value; 1 where what is set is a factor."""
        return float(self._own[name]) if self._is_attribute(name) else 1.0

    def _is_attribute(self, name: str) -> bool:
        if not name.isidentifier() or name in _derived(self.env)[1]:
            return False
        value = getattr(self.env, name, None)
        return isinstance(value, int | float | np.number) and not isinstance(value, bool)

    def _value(self, name: str) -> Any:
        if self._is_attribute(name):
            return getattr(self.env, name)
        if self._model is not None:
            holder, field, rows = self._place(name)
            return np.array(getattr(holder, field)[rows], copy=True)
        raise self._unknown(name, self._attributes())

    def _place(self, name: str) -> tuple[Any, str, Any]:
        """Where a field of a model is -> what holds it, its name, and the rows that are meant."""
        path, _, thing = name.partition("[")
        holder, field = (self._model.opt, path[4:]) if path.startswith("opt.") else (self._model, path)
        if not isinstance(getattr(holder, field, None), np.ndarray) or not getattr(holder, field).size:
            raise self._unknown(name, [*self._attributes(), *self._fields()])
        return holder, field, self._rows(name, field, thing.rstrip("]")) if thing else ...

    def _rows(self, name: str, field: str, thing: str) -> Any:
        import mujoco

        kind = _KINDS.get(field.partition("_")[0])
        kinds = mujoco.mjtObj
        number = -1 if kind is None else mujoco.mj_name2id(self._model, getattr(kinds, f"mjOBJ_{kind}"), thing)
        if kind is None or number < 0:
            count = {"BODY": "nbody", "GEOM": "ngeom", "JOINT": "njnt", "ACTUATOR": "nu", "SITE": "nsite"}
            total = getattr(self._model, count.get(kind or "", ""), 0)
            there = [mujoco.mj_id2name(self._model, getattr(kinds, f"mjOBJ_{kind}"), i) for i in range(total)]
            raise self._unknown(name, [f"{field}[{word}]" for word in there if word])
        if field.startswith("dof_"):
            begin = int(self._model.jnt_dofadr[number])
            wide = {0: 6, 1: 3}.get(int(self._model.jnt_type[number]), 1)  # of a free joint, a ball, any other
            return slice(begin, begin + wide)
        return slice(number, number + 1)

    def _attributes(self) -> list[str]:
        return [name for name in vars(self.env) if not name.startswith("_") and self._is_attribute(name)]

    def _fields(self) -> list[str]:
        words = [word for word in dir(self._model) if re.match("|".join(f"{kind}_" for kind in _KINDS), word)]
        return [word for word in words if _is_floats(getattr(self._model, word))] + ["opt.gravity", "opt.wind"]

    def _unknown(self, name: str, known: list[str]) -> UnknownParameter:
        near = difflib.get_close_matches(name, known, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(known)[:40]) or 'none'}."
        return UnknownParameter(f"{type(self.env).__name__} has no parameter {name!r}: {hint}")


def _is_floats(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.size > 0 and np.issubdtype(value.dtype, np.floating)


def _cart_pole(env: Any) -> None:
    env.total_mass = env.masspole + env.masscart
    env.polemass_length = env.masspole * env.length


# What constructors work out of other attributes, and would go stale: class, what computes it anew, names.
DERIVED: dict[str, tuple[Callable[[Any], None], tuple[str, ...]]] = {
    "gymnasium.envs.classic_control.cartpole:CartPoleEnv": (_cart_pole, ("total_mass", "polemass_length"))
}


def _derived(env: Any) -> tuple[Callable[[Any], None], tuple[str, ...]]:
    names = (f"{kind.__module__}:{kind.__name__}" for kind in type(env).__mro__)
    return next((DERIVED[name] for name in names if name in DERIVED), (lambda env: None, ()))
