"""The probe environments for algorithms that learn from replay: values are exact, policies right, and controls fail.

As test_probes.py for what learns on policy. Gamma is 0.9 throughout. A new algorithm is one line in LEARNERS.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest

from bellmax import DQN, SAC, EpsilonGreedy, Linear, Prioritised, Replay
from bellmax.algorithms.control.ddpg import DDPG
from bellmax.algorithms.control.td3 import TD3
from bellmax.algorithms.value.c51 import C51
from bellmax.algorithms.value.qr_dqn import QRDQN
from bellmax.core import Algorithm, Env, Spec
from bellmax.envs.probes import (
    ActionReward,
    ConstantReward,
    DelayedReward,
    Forbidden,
    MatchingReward,
    OneStep,
    SeenReward,
    TimeLimitChain,
)
from bellmax.maths.noise import GaussianNoise
from bellmax.spaces import Box
from tests.learning.one_of import OneOf
from tests.learning.trials import SEEDS, Trial, train

ENVS, STEPS = 16, 6_400
WORLDS = (ConstantReward(), SeenReward(), DelayedReward(), TimeLimitChain(), ActionReward(), MatchingReward())
NAMES = [type(world).__name__ for world in WORLDS]
VALUE_PROBES, POLICY_PROBES = NAMES[:4], NAMES[4:]


NUMBER = Box((1,), -2.0, 2.0)


class AnyNumber(Env):
    """A world of one choice, taken by whatever number."""

    world: Env

    @property
    def spec(self):
        return Spec(self.world.spec.obs, NUMBER)

    def reset(self, key):
        return self.world.reset(key)

    def step(self, env_state, action, key):
        return self.world.step(env_state, jnp.int32(0), key)


class Opposite(OneStep):
    """One step; the action is to be -1.5 times the observation. At best 0, by chance -(4 / 3 + 9 / 4) = -3.6."""

    cues = 2
    actions = NUMBER

    def reward(self, cue, action):
        return -jnp.square(action[0] + 1.5 * (2 * cue - 1))


STEERED = (*(AnyNumber(world) for world in WORLDS[:4]), Opposite())
STEERED_NAMES = [*VALUE_PROBES, "Opposite"]


class Learner(NamedTuple):
    algorithm: Algorithm
    q: Callable[[Any, Any], Any]  # state, obs -> the value of each choice, or of the greedy action alone
    cut: float = 1 / (1 - 0.9 * 0.9)  # the value of the chain where every tenth step is said to end it: 5.26
    continuous: bool = False

    @property
    def steps(self):
        """An actor follows its critic, and is there later."""
        return 4 * STEPS if self.continuous else STEPS


def q_of_greedy(algorithm, first_critic):
    """The value of the greedy action by the first critic."""
    return lambda state, obs: first_critic(state)(obs, algorithm.greedy(state, obs, jax.random.key(0)).action)[None]


# Huber's loss is the mean of what is near and the median of what is far. One target in ten is 1, 1 too far below V to
# pull more than 1; the others are 1 + 0.9 V: 0.9 (1 + 0.9 V - V) = 0.1, so V = 80 / 9. Over two steps one target in
# ten is 1, another 1.9 and the others 1.9 + 0.81 V: 0.8 (1.9 + 0.81 V - V) = 0.2, so V = 1.65 / 0.19.
HUBER, HUBER_2 = 80 / 9, 1.65 / 0.19

FOOD = {"capacity": 2000, "batch": 32, "length": 4, "updates": 4, "start": 128}
SMALL = {"gamma": 0.9, "hidden": (16,), "activation": "tanh", "experience": Replay(**FOOD)}
CHOOSING = SMALL | {"target_every": 5, "exploration": EpsilonGreedy(Linear(1.0, 0.05))}
# Evenly drawn actions enough to know both sides of the best one, before the actor leaves for one of its bounds.
LONGER = {"capacity": 8000, "start": 4000}
FOLLOWING = SMALL | {"tau": 0.1, "hidden": (32,), "activation": "relu", "experience": Replay(**FOOD | LONGER)}
SUPPORT = {"atoms": 31, "v_min": -3.0, "v_max": 12.0}
COOL_SAC = SAC(**FOLLOWING, initial_alpha=0.01, learns_alpha=False)  # so that soft values are hardly above hard ones
TWIN, SINGLE = TD3(**FOLLOWING, noise=GaussianNoise(0.3)), DDPG(**FOLLOWING, noise=GaussianNoise(0.3))
LEARNERS = {
    "dqn": Learner(DQN(**CHOOSING), lambda state, obs: state.network(obs), HUBER),
    "dueling-prioritised-2-step-dqn": Learner(
        DQN(**(CHOOSING | {"experience": Prioritised(**FOOD, n=2, beta=1.0)}), dueling=True),
        lambda state, obs: state.network(obs),
        HUBER_2,
    ),
    "c51": Learner(C51(**CHOOSING, **SUPPORT), lambda state, obs: C51(**SUPPORT).mean(state.network(obs))),
    "qr-dqn": Learner(QRDQN(**CHOOSING, quantiles=11), lambda state, obs: state.network(obs).mean(-1)),
    "sac": Learner(COOL_SAC, q_of_greedy(COOL_SAC, lambda state: state.critics[0]), continuous=True),
    "td3": Learner(TWIN, q_of_greedy(TWIN, lambda state: state.critics[0]), continuous=True),
    "ddpg": Learner(SINGLE, q_of_greedy(SINGLE, lambda state: state.critic), continuous=True),
}
CHOOSERS = [name for name, learner in LEARNERS.items() if not learner.continuous]
STEERERS = [name for name, learner in LEARNERS.items() if learner.continuous]


class Case(NamedTuple):
    probe: str
    control: str
    seed: int


def cases(names):
    found = [Case(probe, "", seed) for probe in names for seed in SEEDS]
    found += [Case(probe, "frozen", seed) for probe in names for seed in SEEDS]
    found += [Case(probe, "shuffled", 0) for probe in VALUE_PROBES]
    return [*found, Case("TimeLimitChain", "cut_is_end", 0)]


def annealed(algorithm, frozen=False, steps=STEPS):
    """The algorithm with learning rates that fall from 0.01 to 0.0003, or nothing (a step however small tips a tie)."""
    rate = Linear(0.0, 0.0, steps) if frozen else Linear(1e-2, 3e-4, steps)
    changes = {name: rate for name in algorithm._hints if name.endswith("learning_rate")}
    if "critic_learning_rate" in changes and not frozen:  # a fast actor runs into its bounds, where tanh holds it
        changes["learning_rate"] = Linear(1e-3, 3e-4, steps)
    if "exploration" in algorithm._hints:
        changes["exploration"] = EpsilonGreedy(Linear(1.0, 0.05, steps / 2))
    return algorithm.replace(**changes)


@functools.cache
def trained(name):
    """{case: what came of it}, for one algorithm."""
    learner, trials = LEARNERS[name], []
    worlds, names = (STEERED, STEERED_NAMES) if learner.continuous else (WORLDS, NAMES)
    for probe, control, seed in cases(names):
        algorithm = annealed(learner.algorithm, frozen=control == "frozen", steps=learner.steps)
        faults = {control: 1.0} if control in ("shuffled", "cut_is_end") else {}
        trials.append(Trial(algorithm, OneOf(worlds, float(names.index(probe)), **faults), seed))
    return dict(zip(cases(names), train(trials, steps=learner.steps, num_envs=ENVS)))


def value(name, one, seen):
    """The value after an observation, of the best action."""
    return float(LEARNERS[name].q(one.state, jnp.array([seen], jnp.float32)).max())


# What is seen, the value then, and how far off it may be.
VALUES = {
    "ConstantReward": [(0, 1.0, 0.05)],
    "SeenReward": [(-1, -1.0, 0.1), (1, 1.0, 0.1)],
    "DelayedReward": [(0, 0.9, 0.07), (1, 1.0, 0.07)],
    "TimeLimitChain": [(0, 10.0, 0.3)],  # 1 + 0.9 + 0.9^2 + ... = 1 / (1 - 0.9)
    "ActionReward": [(0, 1.0, 0.1)],
    "MatchingReward": [(-1, 1.0, 0.1), (1, 1.0, 0.1)],
    "Opposite": [(-1, 0.0, 0.2), (1, 0.0, 0.2)],
}


@pytest.mark.parametrize("name", LEARNERS)
def test_values(name):
    for probe, control, seed in trained(name):
        if control:
            continue
        for seen, wanted, tolerance in VALUES[probe]:
            assert value(name, trained(name)[probe, "", seed], seen) == pytest.approx(wanted, abs=tolerance)


@pytest.mark.parametrize("probe", POLICY_PROBES)
@pytest.mark.parametrize("name", CHOOSERS)
def test_policies(name, probe):
    for seed in SEEDS:
        one = trained(name)[probe, "", seed]
        assert one.greedy() == 1.0
        assert one.practice > 0.7, "and by the end it is nearly so while exploring"
    # What never learns always does the same: right or wrong, as the seed has it.
    assert min(trained(name)[probe, "frozen", seed].practice for seed in SEEDS) < 0.4


@pytest.mark.parametrize("name", LEARNERS)
def test_nothing_is_solved_without_learning_or_by_a_coin(name):
    for control in ("frozen", "shuffled"):
        for probe in VALUE_PROBES:
            one = trained(name)[probe, control, 0]
            right = [abs(value(name, one, seen) - wanted) < off for seen, wanted, off in VALUES[probe]]
            assert not all(right), (control, probe)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_world_that_calls_its_time_limit_a_termination_is_worth_less(name):
    found = value(name, trained(name)["TimeLimitChain", "cut_is_end", 0], 0)
    assert found == pytest.approx(LEARNERS[name].cut, abs=0.5)
    assert found < 9.5, "far from 10, which it is worth"


@pytest.mark.parametrize("name", STEERERS)
def test_actions_reach_a_target_beyond_one(name):
    for seed in SEEDS:
        assert trained(name)["Opposite", "", seed].greedy() > -0.05
    assert trained(name)["Opposite", "frozen", 0].greedy() < -1.0


def test_illegal_actions_are_never_taken_nor_counted_on():
    # The illegal action would pay 10, the next one pays 1, the third nothing; 0.5 by chance.
    algorithm, env = LEARNERS["dqn"].algorithm, OneOf((Forbidden(),))
    trials = [Trial(annealed(algorithm), env, seed) for seed in SEEDS] + [Trial(annealed(algorithm, True), env, 0)]
    *learners, frozen = train(trials, steps=STEPS, num_envs=ENVS)
    for one in learners:
        assert one.greedy() == 1.0
        assert 0.85 < one.practice <= 1.0
    assert frozen.practice == pytest.approx(0.5, abs=0.2)
