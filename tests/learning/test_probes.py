"""The probe environments with one number to see and at most two actions: every algorithm learns all of them.

Values are read from the state's value function, policies are played greedily. Gamma is 0.9 throughout. The controls
show that a probe is not solved by chance, by a wrong reward, or by a world that calls its time limit a termination.
"""

import functools
from typing import NamedTuple

import jax.numpy as jnp
import pytest

from bellmax import A2C, PPO, REINFORCE, Episodes, Linear, RecurrentPPO, Steps
from bellmax.envs.probes import (
    ActionReward,
    ConstantReward,
    DelayedReward,
    MatchingReward,
    SeenReward,
    TimeLimitChain,
)
from tests.learning.one_of import OneOf
from tests.learning.trials import SEEDS, Trial, train

ENVS = 16
SMALL = {"hidden": (16,), "gamma": 0.9}
ALGORITHMS = {
    "ppo": PPO(**SMALL, experience=Steps(16), epochs=4, minibatches=2, learning_rate=1e-2),
    "recurrent-ppo": RecurrentPPO(
        **SMALL, memory_size=16, experience=Steps(16), epochs=4, minibatches=2, learning_rate=1e-2
    ),
    "a2c": A2C(**SMALL, experience=Steps(5), learning_rate=1e-2),
    "reinforce": REINFORCE(**SMALL, experience=Episodes(10), learning_rate=1e-2),
}
STEPS = {"ppo": 6_400, "recurrent-ppo": 10_240, "a2c": 8_000, "reinforce": 32_000}
BOOTSTRAPPING = [name for name in ALGORITHMS if name != "reinforce"]
WORLDS = (ConstantReward(), SeenReward(), DelayedReward(), TimeLimitChain(), ActionReward(), MatchingReward())
NAMES = [type(world).__name__ for world in WORLDS]
VALUE_PROBES, POLICY_PROBES = NAMES[:4], NAMES[4:]


class Case(NamedTuple):
    probe: str
    control: str
    seed: int


CASES = [Case(probe, "", seed) for probe in NAMES for seed in SEEDS]
CASES += [Case(probe, "frozen", 0) for probe in NAMES]
CASES += [Case(probe, "shuffled", 0) for probe in VALUE_PROBES]
CASES += [Case("TimeLimitChain", "cut_is_end", 0)]


def annealed(name, frozen=False):
    """The algorithm with a learning rate that falls from 0.01 to 0.0003, or is nearly nothing."""
    rate = (1e-9, 0.0) if frozen else (1e-2, 3e-4)
    return ALGORITHMS[name].replace(learning_rate=Linear(*rate, STEPS[name]))


@functools.cache
def trained(name):
    """{case: what came of it}, for one algorithm."""
    trials = []
    for probe, control, seed in CASES:
        algorithm = annealed(name, frozen=control == "frozen")
        faults = {control: 1.0} if control in ("shuffled", "cut_is_end") else {}
        trials.append(Trial(algorithm, OneOf(WORLDS, float(NAMES.index(probe)), **faults), seed))
    return dict(zip(CASES, train(trials, steps=STEPS[name], num_envs=ENVS)))


def value(one, *seen):
    """The value after these observations, one a step, from the episode's start."""
    network, obs = one.state.network, [jnp.array([x], jnp.float32) for x in seen]
    if not isinstance(one.algorithm, RecurrentPPO):
        return float(network.value(obs[-1]))
    memory = network.recurrent.begin()
    for x in obs:
        memory, _, now = network(memory, x)
    return float(now)


# What was seen, the value then, and how far off it may be.
VALUES = {
    "ConstantReward": [((0,), 1.0, 0.05)],
    "SeenReward": [((-1,), -1.0, 0.1), ((1,), 1.0, 0.1)],
    "DelayedReward": [((0,), 0.9, 0.05), ((0, 1), 1.0, 0.05)],
    "TimeLimitChain": [((0,), 10.0, 0.3)],  # 1 + 0.9 + 0.9^2 + ... = 1 / (1 - 0.9)
}
# Monte Carlo sees nothing behind the limit. Its return k steps before it is 1 + 0.9 + ... + 0.9^(k - 1) =
# 10 (1 - 0.9^k); the ten observations are alike, so the value is the mean over k = 1 .. 10,
# 10 - (0.9 + ... + 0.9^10) = 10 - 9 (1 - 0.9^10) = 4.138.
MONTE_CARLO = VALUES | {"TimeLimitChain": [((0,), 4.138, 0.3)]}


def is_solved(name, probe, one):
    table = VALUES if name in BOOTSTRAPPING else MONTE_CARLO
    return all(abs(value(one, *seen) - wanted) < tolerance for seen, wanted, tolerance in table[probe])


@pytest.mark.parametrize("probe", VALUE_PROBES)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_values(name, probe):
    table = VALUES if name in BOOTSTRAPPING else MONTE_CARLO
    for seed in SEEDS:
        for seen, wanted, tolerance in table[probe]:
            assert value(trained(name)[probe, "", seed], *seen) == pytest.approx(wanted, abs=tolerance)


@pytest.mark.parametrize("probe", POLICY_PROBES)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_policies(name, probe):
    for seed in SEEDS:
        one = trained(name)[probe, "", seed]
        assert one.greedy() == 1.0
        assert one.practice > 0.7, "and by the end it is nearly so while exploring"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_nothing_is_solved_without_learning_or_by_a_coin(name):
    for control in ("frozen", "shuffled"):
        for probe in VALUE_PROBES:
            assert not is_solved(name, probe, trained(name)[probe, control, 0]), (control, probe)
    for probe in POLICY_PROBES:
        assert abs(trained(name)[probe, "frozen", 0].practice) < 0.3, probe


@pytest.mark.parametrize("name", BOOTSTRAPPING)
def test_a_world_that_calls_its_time_limit_a_termination_is_worth_less(name):
    # No more than 1 / (1 - 0.9 * 9/10) = 5.3 where time is not seen, the one-step fixed point. A memory can count: it
    # sees the return from the first step, (1 - 0.9^10) / (1 - 0.9) = 6.5.
    assert value(trained(name)["TimeLimitChain", "cut_is_end", 0], 0) < 7.0
