"""What hyperparameters accept, and the sentence that comes where they do not."""

import math
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.ranges import Count, NonNegative, Positive, Range, Sizes, Unit, check

NAN, INFINITY = math.nan, math.inf
Lambda = Annotated[float, Range(0, 1, open_high=True)]
Walls = tuple[tuple[int, int], ...]
Activation = Literal["tanh", "relu"]


class Network:
    """Stands for a field that holds another object."""


ACCEPTED = [
    (Unit, (0, 1, 0.0, 1.0, 0.99, np.float32(0.5), np.int64(1))),
    (Positive, (1e-12, 1, INFINITY)),
    (NonNegative, (0, 0.0, 7)),
    (Lambda, (0, 0.999)),
    (Count, (1, 10**12, np.int32(3))),
    (Sizes, ((), (64,), (64, 64))),
    (float, (-5, 2.5, -INFINITY)),
    (bool, (True, False, np.bool_(True))),
    (str, ("tanh", "")),
    (Activation, ("tanh", "relu")),
    (Walls, ((), ((1, 2), (3, 4)))),
    (Positive | None, (None, 3.0)),
    (Unit | Network, (0.5, Network())),
    (Count | Sizes, (3, (3, 4))),
    (Any, ("anything", 3, None, (1, "a"), [1])),
    (Network, (Network(),)),
]
REFUSED = [
    (Unit, 1.5, ValueError, "it must be in [0, 1]."),
    (Unit, -1e-9, ValueError, "it must be in [0, 1]."),
    (Unit, 2, ValueError, "it must be in [0, 1]."),
    (Unit, np.float32(2), ValueError, "it must be in [0, 1]."),
    (Unit, NAN, ValueError, "it must be in [0, 1]."),
    (Lambda, 1.0, ValueError, "it must be in [0, 1)."),
    (Positive, 0, ValueError, "it must be greater than 0."),
    (Positive, NAN, ValueError, "it must be greater than 0."),
    (NonNegative, -0.1, ValueError, "it must be at least 0."),
    (Count, 0, ValueError, "it must be at least 1."),
    (Sizes, (64, 0), ValueError, "it must be at least 1."),
    (float, NAN, ValueError, "it must be a number."),
    (Positive | None, -1.0, ValueError, "it must be greater than 0."),
    (Unit, "0.9", TypeError, "give a number in [0, 1]."),
    (Unit, (0.5, 0.6), TypeError, "give a number in [0, 1]."),
    (Unit | Network, "0.9", TypeError, "give a number in [0, 1] or a Network."),
    (Count, 4.0, TypeError, "give a whole number at least 1."),
    (Count, np.float64(4), TypeError, "give a whole number at least 1."),
    (Count, True, TypeError, "give a whole number at least 1."),
    (Count, None, TypeError, "give a whole number at least 1."),
    (Sizes, 64, TypeError, "give a tuple, each entry a whole number at least 1."),
    (Sizes, [64, 64], TypeError, "give a tuple, each entry a whole number at least 1."),
    (Sizes, (64, 0.5), TypeError, "give a tuple, each entry a whole number at least 1."),
    (Walls, ((1, 2.5),), TypeError, "give a tuple, each entry a tuple, each entry a whole number or a whole number."),
    (bool, 1, TypeError, "give True or False."),
    (bool, "yes", TypeError, "give True or False."),
    (str, 3, TypeError, "give text."),
    (Activation, "sigmoid", TypeError, "give 'tanh' or 'relu'."),
    (Network, 128, TypeError, "give a Network."),
]


@pytest.mark.parametrize(("hint", "values"), ACCEPTED)
def test_accepted(hint, values):
    for value in values:
        check("PPO", "field", value, hint)


@pytest.mark.parametrize(("hint", "value", "kind", "remedy"), REFUSED)
def test_refused_with_the_name_the_value_and_the_remedy(hint, value, kind, remedy):
    with pytest.raises(kind) as error:
        check("PPO", "field", value, hint)
    assert str(error.value) == f"PPO.field = {value!r}: {remedy}"


@pytest.mark.parametrize("hint", [Unit, Positive, Count, Sizes, bool])
def test_arrays_pass_unseen_for_their_value_may_be_unknown(hint):
    check("PPO", "field", jnp.float32(7e9), hint)
    check("PPO", "field", np.asarray(-1.0), hint)
    jax.jit(lambda x: check("PPO", "field", x, hint))(-5.0)


def test_flags_and_none_may_stand_where_a_traced_number_was():
    """JAX and Equinox put them there when they map over a tree, and construct the dataclass around them."""
    for stand_in in (True, None, object()):
        check("PPO", "gamma", stand_in, Unit)
