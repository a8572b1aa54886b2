"""Policy evaluation: what a policy is worth (Sutton & Barto, section 4.1).

    v(s) = sum_a pi(a|s) [ r(s,a) + gamma sum_s' p(s'|s,a) v(s') ]                                       (eq. 4.4)

A policy turns a model into one with a single action, of which the optimum is the policy's value: `under`. So the
sweeps, bounds and errors are those of value iteration.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import jax.numpy as jnp
import numpy as np

from bellmax.mdp import endings
from bellmax.mdp.layout import expected_reward, precision
from bellmax.mdp.model import MDP
from bellmax.mdp.solution import Problem, judge, problem
from bellmax.mdp.sweeps import action_values
from bellmax.mdp.value_iteration import value_iteration

Method = Literal["linear", "iterative", "in-place"]


class Evaluation(NamedTuple):
    """A policy's worth, up to `bound`."""

    values: np.ndarray  # [states]
    q: np.ndarray  # [states, actions]: the return of one action, then the policy; -inf where illegal
    residuals: np.ndarray  # [sweeps]: the largest change of a value in each
    sweeps: int
    bound: float  # max over states of |values - exact values| is at most this


def evaluate_policy(
    mdp: MDP,
    policy: np.ndarray,
    *,
    method: Method = "linear",
    tolerance: float | None = None,
    max_sweeps: int = 100_000,
) -> Evaluation:
    """The values of `policy`: int [states], or probabilities [states, actions].

    "linear" solves (I - gamma P) v = r directly, in float64, to rounding; "iterative" sweeps, every state from the
    sweep before; "in-place" sweeps with the new values of earlier states. `tolerance` and `max_sweeps` are for sweeps:
    None is 1e-8 in float64, and in float32 as near as its rounding allows.

    Raises ValueError for a policy of the wrong shape, with illegal actions or without probabilities, and, with gamma =
    1, for one that never ends; the errors of `value_iteration` otherwise.
    """
    if method not in get_args(Method):
        raise ValueError(f"method = {method!r}: it must be one of {', '.join(map(repr, get_args(Method)))}.")
    only = under(mdp, policy)
    if mdp.gamma == 1:
        endings.demand_a_way(only, who="the policy")
    if method == "linear":
        values, bound, residual = linear(only)
        residuals = np.array([residual])
    else:
        order: Literal["synchronous", "gauss-seidel"] = "synchronous" if method == "iterative" else "gauss-seidel"
        found = value_iteration(only, method=order, tolerance=tolerance, max_sweeps=max_sweeps)
        values, bound, residuals = found.values, found.bound, found.residuals
    q = _q(problem(mdp), values)
    return Evaluation(values.astype(q.dtype), q, residuals, len(residuals), bound)


def linear(only: MDP) -> tuple[np.ndarray, float, float]:
    """Solve a model with a single action -> values float64 [states], their bound in the model's precision, residual."""
    from scipy.sparse import csr_matrix, identity
    from scipy.sparse.linalg import spsolve

    alive = np.flatnonzero(~only.absorbing)
    number = np.full(only.states, -1)
    number[alive] = np.arange(len(alive))
    outcome, state = np.nonzero((only.probability[0] > 0) & ~only.absorbing)
    there = number[only.successor[0, outcome, state]]
    goes_on = there >= 0
    chance = only.probability[0, outcome, state].astype(np.float64)[goes_on]
    entries = chance, (number[state[goes_on]], there[goes_on])
    moves = csr_matrix(entries, shape=(len(alive), len(alive)))
    values = np.zeros(only.states)
    equations = (identity(len(alive), format="csc") - only.gamma * moves).tocsc()
    values[alive] = spsolve(equations, expected_reward(only)[0, alive])
    verdict = judge(problem(only), values)
    return verdict.values, verdict.bound, verdict.residual


def under(mdp: MDP, policy: np.ndarray) -> MDP:
    """The model with a single action, to do what `policy` says: int [states] or probabilities [states, actions].

    Raises ValueError naming the state where the policy is not one.
    """
    policy = np.asarray(policy)
    if policy.shape == (mdp.states,) and np.issubdtype(policy.dtype, np.integer):
        return _with_one_action(mdp, _checked_actions(mdp, policy))
    if policy.shape != (mdp.states, mdp.actions):
        raise ValueError(
            f"policy has shape {policy.shape} and dtype {policy.dtype}: give whole numbers [{mdp.states}], one action "
            f"a state, or probabilities [{mdp.states}, {mdp.actions}]."
        )
    chances = _checked_chances(mdp, policy.astype(np.float64)).T[:, None]
    joint = (chances * mdp.probability).astype(mdp.probability.dtype).reshape(1, -1, mdp.states)
    reward = np.broadcast_to(mdp.reward, mdp.probability.shape).reshape(joint.shape)
    successor = mdp.successor.reshape(joint.shape)
    return _alone(mdp, successor, joint, np.where(joint > 0, reward, 0).astype(joint.dtype))


def _with_one_action(mdp: MDP, policy: np.ndarray) -> MDP:
    chosen = lambda array: np.take_along_axis(array, policy[None, None], axis=0)
    return _alone(mdp, chosen(mdp.successor), chosen(mdp.probability), chosen(mdp.reward))


def _alone(mdp: MDP, successor: np.ndarray, probability: np.ndarray, reward: np.ndarray) -> MDP:
    return MDP(successor, probability, reward, mdp.gamma, mdp.absorbing, check=False)


def _checked_actions(mdp: MDP, policy: np.ndarray) -> np.ndarray:
    outside = (policy < 0) | (policy >= mdp.actions)
    if outside.any():
        state = outside.argmax()
        raise ValueError(f"policy[{state}] = {policy[state]}: there are actions 0 to {mdp.actions - 1}.")
    legal = endings.legal_actions(mdp)[policy, np.arange(mdp.states)] | mdp.absorbing
    if not legal.all():
        state = legal.argmin()
        raise ValueError(f"policy[{state}] = {policy[state]}: the action is illegal in this state; choose a legal one.")
    return policy.astype(np.int64)


def _checked_chances(mdp: MDP, policy: np.ndarray) -> np.ndarray:
    bad = ~(np.isclose(policy.sum(axis=1), 1, rtol=0, atol=1e-5) & (policy >= 0).all(axis=1)) & ~mdp.absorbing
    if bad.any():
        state = bad.argmax()
        raise ValueError(f"policy[{state}] = {policy[state]}: give probabilities that sum to 1.")
    wrong = (policy > 0) & ~endings.legal_actions(mdp).T & ~mdp.absorbing[:, None]
    if wrong.any():
        state, action = np.argwhere(wrong)[0]
        raise ValueError(f"policy[{state}, {action}] = {policy[state, action]:g}: the action is illegal in this state.")
    return policy


def _q(it: Problem, values: np.ndarray) -> np.ndarray:
    with precision(np.float64):
        q = np.asarray(action_values(it.exact, jnp.asarray(values, jnp.float64)))
    return np.ascontiguousarray(q.T, dtype=it.dtype)
