"""The bridge between learning and planning: what a learned policy is worth exactly, beside the best there is.

Where an environment has a model - finitely many states, and all that can happen in them - nothing need be sampled:
the greedy policy of any run, with a table or a network, is evaluated by solving its equations.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from bellmax.core import Algorithm, Env, Spec
from bellmax.envs.frozen_lake import MAPS, FrozenLake
from bellmax.mdp.evaluation import evaluate_policy
from bellmax.mdp.forecast import forecast
from bellmax.mdp.model import MDP
from bellmax.mdp.solution import Solution
from bellmax.mdp.solving import solve
from bellmax.mdp.sources import from_gymnasium
from bellmax.mdp.world import World
from bellmax.spaces import Discrete, Masked

_DRAWS = 1024  # of a policy that draws its actions
_FIRST_LOOK, _PATIENCE = 500, 30_000  # steps, where no time limit ends an episode


class Exactness(NamedTuple):
    """How far a learned policy is from the best, with the algorithm's discount. A gap is V* - V of the policy."""

    start_value: float  # of the learned greedy policy, over where episodes begin
    optimal_start_value: float  # of the best policy
    max_gap: float  # over the states that the learned or the best policy can reach
    mean_gap: float
    max_gap_anywhere: float  # over all states
    mean_gap_anywhere: float
    q_distance: float | None  # max |Q - Q*| over legal actions in those reachable states; None without a table `q`
    success: float | None  # probability of ending with a reward inside the time limit; None where no end is rewarded
    score: float  # expected undiscounted return inside the time limit; NaN where an episode may never end
    gamma: float
    values: np.ndarray  # [states], of the learned policy
    optimal_values: np.ndarray  # [states]
    policy: np.ndarray  # [states, actions], probabilities of the learned policy


class Result(NamedTuple):
    """What becomes of an episode under a policy, exactly."""

    success: float | None  # probability of ending with a positive reward; None where no end pays one
    score: float  # expected undiscounted return; NaN where it may never end
    length: float  # expected steps; infinite there
    ended: float  # probability of ending at all
    limit: int | None  # the steps after which it is cut


def exactness(run: Any, seed: int = 0, gamma: float | None = None) -> Exactness:
    """The learned greedy policy of one seed (an index) of a run, evaluated exactly, beside the optimal one.

    gamma   the discount; the algorithm's if left out. Raises ValueError where the environment has no model, and for a
            policy that is no function of the state alone.
    """
    gamma = discount_of(run.algorithm) if gamma is None else gamma
    mdp = model_of(run.plan.env, gamma)
    state = run.state_of(seed)
    policy = policy_table(run.algorithm, state, run.spec, mdp)
    best, values = solve(mdp), evaluate_policy(mdp, policy).values
    start, running = np.asarray(mdp.starts(), np.float64), ~mdp.absorbing
    reached = (reachable(mdp, policy) | reachable(mdp, best.optimal_actions)) & running
    gap = np.asarray(best.values, np.float64) - values
    result = result_of(mdp, policy, time_limit(run.plan.env))
    return Exactness(
        start_value=float(start @ values),
        optimal_start_value=float(start @ best.values),
        max_gap=float(gap[reached].max()),
        mean_gap=float(gap[reached].mean()),
        max_gap_anywhere=float(gap[running].max()),
        mean_gap_anywhere=float(gap[running].mean()),
        q_distance=q_distance(table_of(state, run.spec), best, mdp, reached),
        success=result.success,
        score=result.score,
        gamma=gamma,
        values=values,
        optimal_values=np.asarray(best.values),
        policy=policy,
    )


def model_of(env: Any, gamma: float) -> MDP:
    """The model of an in-graph environment or a hosted source. Raises ValueError if it has none."""
    if isinstance(env, World):
        return env.mdp.replace(gamma=gamma)
    if isinstance(env, Env):
        return from_gymnasium(env, gamma)
    made = env.made
    if getattr(env.for_evaluation, "around", ()):
        raise ValueError(f"{env.name} with drawn physics, noise or delays has no model: solve it without them.")
    if isinstance(made, str):
        return from_gymnasium(made, gamma, **env.kwargs)
    return from_gymnasium(made if isinstance(made, gymnasium.Env) else made(**env.kwargs), gamma)


def time_limit(env: Any) -> int | None:
    """The steps after which an episode is cut; None if it never is."""
    if isinstance(env, FrozenLake) and env.max_steps is None:
        return 25 * len(env.layout or MAPS[env.map_name])  # as in Gymnasium
    if isinstance(env, Env):
        return getattr(env, "max_steps", None)
    if isinstance(env.made, str):
        return env.kwargs.get("max_episode_steps", gymnasium.spec(env.made).max_episode_steps)
    return getattr(getattr(env.made, "spec", None), "max_episode_steps", None)


def discount_of(algorithm: Algorithm) -> float:
    """The discount that an algorithm, inside its wrappers, learns with. Raises ValueError if it has none."""
    inner: Any = algorithm
    while isinstance(getattr(inner, "inner", None), Algorithm):
        inner = inner.inner
    gamma = getattr(inner, "gamma", None)
    if gamma is None:
        raise ValueError(f"{type(inner).__name__} has no discount: say which is meant, as in run.exact(gamma=0.99).")
    return float(gamma)


def policy_table(algorithm: Algorithm, state: Any, spec: Spec, mdp: MDP) -> np.ndarray:
    """The probabilities of the greedy policy in every state, [states, actions].

    A policy that draws (between ties, say) is asked a thousand times; what looks like an even choice is taken for one.
    Raises ValueError if observations are no states, or the policy remembers.
    """
    space = spec.obs.obs if isinstance(spec.obs, Masked) else spec.obs
    if not isinstance(space, Discrete) or not isinstance(spec.action, Discrete) or space.n > mdp.states:
        raise ValueError(f"observations are {space}, and the model has {mdp.states} states: no policy can be read off.")
    legal = legal_in(mdp)
    cells = jnp.arange(space.n, dtype=jnp.int32)
    obs = Masked(cells, jnp.asarray(legal[: space.n])) if isinstance(spec.obs, Masked) else cells

    @jax.jit
    def draw(key: Any) -> Any:
        def choose(obs: Any, key: Any) -> Any:
            begin_key, key = jax.random.split(key)
            memory = algorithm.begin(state, obs, begin_key)
            if any(jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in jax.tree.leaves(memory)):
                name = type(algorithm).__name__
                raise ValueError(f"{name} remembers: what it does is no function of the state alone, so nothing exact.")
            return algorithm.greedy(state, obs, key, memory).action

        return jax.vmap(choose)(obs, jax.random.split(key, space.n))

    policy = np.where(legal, 1.0, 0.0)
    policy[: space.n] = _frequencies(draw, mdp.actions)
    return policy / np.maximum(policy.sum(1, keepdims=True), 1)


def _frequencies(draw: Any, actions: int) -> np.ndarray:
    """How often each action is drawn in each state, [states, actions]."""
    keys = jax.random.split(jax.random.key(0), _DRAWS)
    few = np.stack([np.asarray(draw(key)) for key in keys[:16]])
    if (few == few[0]).all():
        return np.eye(actions)[few[0]]
    drawn = np.asarray(jax.lax.map(draw, keys))
    often = (drawn[..., None] == np.arange(actions)).mean(0)
    even = (often > 0) / (often > 0).sum(1, keepdims=True)
    tolerance = 5 * np.sqrt(even * (1 - even) / _DRAWS)  # five standard errors
    return np.where((np.abs(often - even) <= tolerance).all(1, keepdims=True), even, often)


def table_of(state: Any, spec: Spec) -> np.ndarray | None:
    """The table `q` in a state, [observations, actions], the mean of two where there are two; None without one."""
    space = spec.obs.obs if isinstance(spec.obs, Masked) else spec.obs
    q = np.asarray(getattr(state, "q", None))
    if not (isinstance(space, Discrete) and isinstance(spec.action, Discrete)):
        return None
    if q.shape == (2, space.n, spec.action.n):  # Double Q-learning acts on their sum
        return q.mean(0)
    return q if q.shape == (space.n, spec.action.n) else None


def q_distance(q: np.ndarray | None, best: Solution, mdp: MDP, reached: np.ndarray) -> float | None:
    """max |Q - Q*| over legal actions in the states `reached`, [states]; None for no table."""
    if q is None:
        return None
    pairs = (reached[:, None] & legal_in(mdp))[: len(q)]
    return float(np.abs(q[pairs] - np.asarray(best.q)[: len(q)][pairs]).max())


def legal_in(mdp: MDP) -> np.ndarray:
    """What may be done where: bool [states, actions]."""
    return np.ones((mdp.states, mdp.actions), bool) if mdp.legal is None else mdp.legal


def reachable(mdp: MDP, policy: np.ndarray) -> np.ndarray:
    """The states that `policy`, [states, actions], can get into from where episodes begin: bool [states]."""
    action, outcome, origin = np.nonzero((mdp.probability > 0) & (np.asarray(policy) > 0).T[:, None] & ~mdp.absorbing)
    target = mdp.successor[action, outcome, origin]
    reached = mdp.starts() > 0
    while True:
        before = reached.sum()
        reached[target[reached[origin]]] = True
        if reached.sum() == before:
            return reached


def result_of(mdp: MDP, policy: np.ndarray, limit: int | None) -> Result:
    """An episode under `policy`, probabilities [states, actions], cut after `limit` steps."""
    won = mdp.absorbing[mdp.successor] & ~mdp.absorbing & (mdp.reward > 0)
    pays = bool((won & (mdp.probability > 0)).any())
    steps = limit or _FIRST_LOOK
    seen = forecast(mdp, policy, steps)
    while limit is None and seen.ended[-1] < 1 - 1e-9 and steps < _PATIENCE:
        steps *= 8
        seen = forecast(mdp, policy, steps)
    sure = limit is not None or seen.ended[-1] > 1 - 1e-6
    wins = mdp.replace(reward=won.astype(mdp.probability.dtype), check=False)
    return Result(
        success=float(forecast(wins, policy, steps).score[-1]) if pays else None,
        score=float(seen.score[-1]) if sure else math.nan,
        length=float((1 - seen.ended[:-1]).sum()) if sure else math.inf,
        ended=float(seen.ended[-1]),
        limit=limit,
    )
