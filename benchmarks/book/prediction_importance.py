"""Chapter 5: values of one policy from what another does. Figures 5.3 and 5.4, and a policy's value at blackjack."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bellmax.algorithms.tabular.mc_prediction import MCPrediction
from bellmax.algorithms.tabular.off_policy_mc_prediction import OffPolicyMCPrediction
from bellmax.core import Env, Outcome, Spec, Transition
from bellmax.drivers import ingraph
from bellmax.envs import blackjack
from bellmax.envs.blackjack import Blackjack, BlackjackState
from bellmax.experience import Episodes
from bellmax.maths.chance import uniform
from bellmax.spaces import Discrete

SEED = 0
STICK_ON_20 = tuple(int(total < 20) for total in range(32) for _ in range(11 * 2))  # 1 hits, 0 sticks
LONGEST = 12  # cards drawn in an episode; 22 are possible, 12 are enough in all but one of 10^9
HAND, HAND_VALUE = (13, 2, 1), -0.27726  # Example 5.4: the value of this hand, from 10^8 episodes
KINDS = {"Ordinary importance sampling": False, "Weighted importance sampling": True}


class OneHand(Env):
    """Blackjack that begins with an ace and a two against a two: 13 with a usable ace."""

    @property
    def spec(self) -> Spec:
        return Blackjack().spec

    def reset(self, key: Array) -> tuple[BlackjackState, Array]:
        drawn = blackjack.card(uniform(key, (blackjack.MOST_CARDS - 1,)))
        dealer = blackjack.plays(jnp.concatenate([jnp.full(1, 2), drawn]))
        state = BlackjackState(jnp.int32(3), jnp.bool_(True), jnp.int32(2), jnp.int32(2), dealer, jnp.bool_(False))
        return state, blackjack.seen(state)

    def step(self, env_state: BlackjackState, action: Array, key: Array) -> tuple[BlackjackState, Outcome]:
        return Blackjack().step(env_state, action, key)


class Loop(Env):
    """Example 5.5: one state. Action 0 (left) comes back or, one time in ten, ends with 1; action 1 ends with 0."""

    @property
    def spec(self) -> Spec:
        return Spec(Discrete(1), Discrete(2))

    def reset(self, key: Array) -> tuple[Array, Array]:
        return jnp.int32(0), jnp.int32(0)

    def step(self, env_state: Array, action: Array, key: Array) -> tuple[Array, Outcome]:
        won = (action == 0) & (uniform(key) < 0.1)
        over = won | (action == 1)
        return env_state, Outcome(jnp.int32(0), won * 1.0, 1.0 - over, over)


def counts(episodes: int) -> np.ndarray:
    """1, 2, ... 100, 200, 300, ... episodes."""
    return np.concatenate([np.arange(1, 101), np.arange(200, episodes + 1, 100)])


def estimates(algorithm: OffPolicyMCPrediction, env: Env, runs: int, episodes: int) -> dict[str, np.ndarray]:
    """What both kinds of sampling make of the same episodes -> {kind: V [run, counts(episodes), states]}.

    Episodes are played side by side. The first hundred are learned from one by one, the others by the hundred, which
    is the same to an average.
    """

    def one(run: ingraph.Run) -> dict[str, Array]:
        fresh = ingraph.collect(algorithm, env, run)[1]
        first = jax.tree.map(lambda x: x[:, :100], fresh)
        later = jax.tree.map(lambda x: x[:, 100:], fresh)
        return {
            kind: values(algorithm.replace(weighted=weighted), run.state, portions(first, 1), portions(later, 100))
            for kind, weighted in KINDS.items()
        }

    keys = jax.random.split(jax.random.key(SEED), runs)
    begun = jax.jit(jax.vmap(lambda key: ingraph.start(algorithm, env, key, episodes)))(keys)
    found = jax.jit(lambda begun: jax.lax.map(one, begun))(begun)
    return {kind: np.asarray(v) for kind, v in found.items()}


def portions(fresh: Transition, size: int) -> Transition:
    """[time, episode] -> [portion, time, size]."""
    return jax.tree.map(lambda x: x.reshape(len(x), -1, size, *x.shape[2:]).swapaxes(0, 1), fresh)


def values(algorithm: OffPolicyMCPrediction, state: object, *batches: Transition) -> Array:
    """V after each of the portions, [portion, states]."""

    def learn(state: object, batch: Transition) -> tuple[object, Array]:
        state, _ = algorithm.update(state, batch, jax.random.key(0))
        return state, state.v.reshape(-1)

    found = []
    for batch in batches:
        state, v = jax.lax.scan(learn, state, batch)
        found.append(v)
    return jnp.concatenate(found)


def one_hand(runs: int = 100, episodes: int = 10_000) -> dict[str, np.ndarray]:
    """Figure 5.3 -> {kind: squared error of the hand's value, mean over runs, [counts(episodes)]}."""
    algorithm = OffPolicyMCPrediction(gamma=1.0, policy=STICK_ON_20, experience=Episodes(LONGEST))
    place = np.ravel_multi_index(HAND, (32, 11, 2))
    found = estimates(algorithm, OneHand(), runs, episodes)
    return {kind: np.square(v[..., place] - HAND_VALUE).mean(0) for kind, v in found.items()}


def loop(runs: int = 10, episodes: int = 30_000) -> dict[str, np.ndarray]:
    """Figure 5.4 -> {kind: V [run, counts(episodes)]}, first visits counting."""
    algorithm = OffPolicyMCPrediction(gamma=1.0, policy=(0,), first_visit=True, experience=Episodes(30))
    return {kind: v[..., 0] for kind, v in estimates(algorithm, Loop(), runs, episodes).items()}


def sticking_on_20(rounds: tuple[int, ...] = (10, 500), num_envs: int = 1000) -> tuple[list[np.ndarray], float]:
    """Figure 5.1 -> V [32, 11, 2] after 10 and 500 rounds of 1,000 episodes, and the mean return of the last."""
    algorithm = MCPrediction(gamma=1.0, policy=STICK_ON_20, experience=Episodes(LONGEST), first_visit=True)
    run = jax.jit(ingraph.start, static_argnums=(1, 3))(algorithm, Blackjack(), jax.random.key(SEED), num_envs)
    found, score, played = [], 0.0, 0
    for count in rounds:
        run, metrics = ingraph.advance(algorithm, Blackjack(), run, jnp.int32(count - played), jnp.int32(2**30))
        found.append(np.asarray(run.state.v))
        score, played = float(metrics["score"] / metrics["episodes"]), count
    return found, score
