"""MuZero learns values, policies and models of tiny worlds, and of a game for two; controls fail."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("mctx")

import bellmax as bm
from bellmax.core import Env, Outcome, Spec
from bellmax.envs.probes import DelayedReward, MatchingReward, ProbeState, SeenReward, TimeLimitChain
from bellmax.spaces import Box, Discrete
from tests.learning.one_of import OneOf
from tests.learning.trials import Trial, train

STEPS, ENVS = 6_400, 16


class Stones(Env):
    """Four or five stones; each side in turn takes one or two, and who takes the last one wins. Three are lost.

    With `turns` 0 the discount hides that the sides change.
    """

    turns: float = 1.0

    @property
    def spec(self):
        return Spec(Box((1,), 0.0, 5.0), Discrete(2))

    def reset(self, key):
        state = ProbeState(jax.random.randint(key, (), 4, 6), jnp.int32(0))
        return state, self._sight(state)

    def step(self, env_state, action, key):
        left = jnp.maximum(env_state.cue - 1 - action, 0)
        over = left == 0
        state = ProbeState(left, env_state.time + 1)
        discount = jnp.where(over, 0.0, 1 - 2 * self.turns)
        return state, Outcome(self._sight(state), over.astype(jnp.float32), discount, over)

    def _sight(self, state):
        return jnp.asarray([state.cue], jnp.float32)


class BothMoves(Env):
    """A world of one choice, in which either of two actions is that choice."""

    world: Env

    @property
    def spec(self):
        return Spec(self.world.spec.obs, Discrete(2))

    def reset(self, key):
        return self.world.reset(key)

    def step(self, env_state, action, key):
        return self.world.step(env_state, jnp.int32(0), key)


WORLDS = (
    BothMoves(SeenReward()),
    BothMoves(DelayedReward()),
    BothMoves(TimeLimitChain()),
    MatchingReward(),
    Stones(),
    Stones(0.0),
)
NAMES = ["SeenReward", "DelayedReward", "TimeLimitChain", "MatchingReward", "Stones", "one side"]
FOOD = bm.PrioritisedSequences(2000, batch=32, window=4, burn_in=0, length=4, updates=6, start=256, beta=1.0)
ZERO = bm.MuZero(experience=FOOD, gamma=0.9, unroll=2, n=2, simulations=4, reanalysed=8, target_every=10, atoms=15,
                 limit=3.5, value_weight=1.0, weight_decay=0.0, hidden=(32,), latent=8)  # fmt: skip


class Case(NamedTuple):
    probe: str
    control: str
    seed: int


CASES = [Case(name, "", 0) for name in NAMES] + [Case("MatchingReward", "", 1), Case("Stones", "", 1)]
CASES += [Case("TimeLimitChain", "cut_is_end", 0), Case("SeenReward", "shuffled", 0)]
CASES += [Case(name, "frozen", 0) for name in ("DelayedReward", "MatchingReward", "Stones")]


@functools.cache
def trained():
    """{case: what came of it}."""
    trials = []
    for probe, control, seed in CASES:
        rate = bm.Linear(*((0.0, 0.0) if control == "frozen" else (1e-2, 3e-4)), STEPS)
        faults = {control: 1.0} if control in ("shuffled", "cut_is_end") else {}
        trials.append(Trial(ZERO.replace(learning_rate=rate), OneOf(WORLDS, float(NAMES.index(probe)), **faults), seed))
    return dict(zip(CASES, train(trials, steps=STEPS, num_envs=ENVS)))


def value(case, seen):
    """v of one observation."""
    return float(ZERO.number(ZERO.value_of(trained()[case].state.network, jnp.array([seen], jnp.float32))))


def imagined(case, seen, actions):
    """The rewards that the model foresees, and the value behind them."""
    network = trained()[case].state.network
    _, values, rewards = network_unrolled(network, jnp.array([seen], jnp.float32), jnp.array(actions))
    return np.asarray(ZERO.number(rewards)), np.asarray(ZERO.number(values))


network_unrolled = jax.jit(ZERO.unrolled)
VALUES = {
    "SeenReward": [(-1, -1.0, 0.1), (1, 1.0, 0.1)],
    "DelayedReward": [(0, 0.9, 0.1), (1, 1.0, 0.1)],
    "TimeLimitChain": [(0, 10.0, 0.7)],  # 1 / (1 - 0.9)
    "MatchingReward": [(-1, 1.0, 0.1), (1, 1.0, 0.1)],
    "Stones": [(1, 1.0, 0.2), (2, 1.0, 0.2), (3, -0.9, 0.2)],  # of play that explores: with four, less than 0.81
}


def right(case):
    return [abs(value(case, seen) - wanted) < off for seen, wanted, off in VALUES[case.probe]]


def test_values_are_those_of_the_world():
    for case in CASES:
        if not case.control and case.probe in VALUES:
            assert all(right(case)), f"{case}: {[value(case, seen) for seen, _, _ in VALUES[case.probe]]}"


def test_controls_fail():
    for case in CASES:
        if case.control:
            assert not all(right(case)), case


def test_policies_are_the_best():
    for seed in (0, 1):
        assert trained()["MatchingReward", "", seed].greedy() == 1.0
        assert trained()["MatchingReward", "", seed].practice > 0.9
    assert trained()["MatchingReward", "frozen", 0].practice < 0.5


def test_the_other_side_is_left_with_three_stones():
    choose = jax.jit(lambda state, seen: ZERO.greedy(state, seen[None], jax.random.key(0)).action)
    taken = {
        case: [1 + int(choose(trained()[case].state, jnp.float32(left))) for left in (1, 2, 4, 5)]
        for case in CASES
        if case.probe == "Stones"
    }
    assert taken["Stones", "", 1][1:] == taken["Stones", "", 0][1:]
    assert taken["Stones", "", 0][1:] == [2, 1, 2], "with one stone left, either move takes it"
    assert taken["Stones", "frozen", 0][1:] != [2, 1, 2]


def test_the_model_foresees_rewards_ends_and_turns():
    """Two steps of an episode, the third behind its end; and a game that is won with the second move."""
    case = Case("DelayedReward", "", 0)
    rewards, values = imagined(case, 0, [0, 1])
    np.testing.assert_allclose(rewards, [0, 1], atol=0.15)
    np.testing.assert_allclose(values, [0.9, 1, 0], atol=0.15)
    rewards, values = imagined(Case("SeenReward", "", 0), 1, [0, 1])
    np.testing.assert_allclose(rewards, [1, 0], atol=0.15)
    np.testing.assert_allclose(values, [1, 0, 0], atol=0.15)


def test_a_world_that_hides_the_turns_makes_every_position_won():
    """The control: who is to move thinks that all moves are its own, so that three stones are no loss."""
    assert trained()["Stones", "", 0].state.turn == -1
    assert value(Case("Stones", "", 0), 3) < -0.6
    one_side = Case("one side", "", 0)
    assert trained()[one_side].state.turn == 1
    assert value(one_side, 3) > 0.6
