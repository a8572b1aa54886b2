"""Policies written as tuples."""

import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.core import Spec
from bellmax.maths.given_policy import probabilities, table_of
from bellmax.spaces import Box, Discrete

SPEC = Spec((Discrete(2), Discrete(2)), Discrete(3))
SIX = ((1, 0, 0), (0, 1, 0), (0.5, 0, 0.5), (0.2, 0.3, 0.5))


def test_what_the_tuples_mean():
    np.testing.assert_allclose(table_of((), SPEC, "p"), np.full((2, 2, 3), 1 / 3))
    np.testing.assert_allclose(table_of((2, 0, 1, 1), SPEC, "p"), np.eye(3)[[[2, 0], [1, 1]]])
    np.testing.assert_allclose(table_of(SIX, SPEC, "p"), np.array(SIX).reshape(2, 2, 3))  # row by row


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ((0, 1, 2), "p: 3 entries; give 4, one a state, each an action below 3"),
        ((0, 1, 2, 3), "p: action 3; the actions are 0 to 2"),
        ((0, 1, 2, -1), "the actions are 0 to 2"),
        (((0.5, 0.5),) * 4, "the probabilities of 3 actions"),
        ((*SIX[:3], (0.2, 0.3, 0.4)), r"p: \(0.2, 0.3, 0.4\) in state 3; probabilities are at least 0 and sum to 1"),
        ((*SIX[:3], (-0.2, 0.7, 0.5)), "in state 3"),
        ((*SIX[:3], 1), "4 entries"),
    ],
)
def test_what_does_not_fit_is_refused(policy, said):
    with pytest.raises(ValueError, match=said):
        table_of(policy, SPEC, "p")


def test_spaces_without_tables_are_refused():
    with pytest.raises(ValueError, match="table needs Discrete actions"):
        table_of((), Spec(Discrete(2), Box((1,))), "p")


def test_illegal_actions_give_their_share_away():
    row = jnp.array([0.2, 0.3, 0.5])
    np.testing.assert_allclose(probabilities(row), row)
    np.testing.assert_allclose(probabilities(row, jnp.array([True, False, True])), [2 / 7, 0, 5 / 7], rtol=1e-6)
    certain = jnp.array([0.0, 1.0, 0.0])  # what is left is nothing: evenly over the legal ones
    np.testing.assert_allclose(probabilities(certain, jnp.array([True, False, True])), [0.5, 0, 0.5])
