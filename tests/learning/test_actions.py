"""The probes with an action space of their own: several choices at once, continuous actions, illegal ones."""

import functools

import pytest

from bellmax.envs.probes import Combination, Forbidden, Target
from tests.learning.one_of import OneOf
from tests.learning.test_probes import ALGORITHMS, ENVS, STEPS, annealed
from tests.learning.trials import SEEDS, Trial, train

# The least of a greedy policy, the least while exploring, and what comes of no learning. Combination, by chance:
# 0.5 / 2 + 0.5 / 3 = 0.42. Target: the mean action 0 misses by 1.5 obs, so -2.25 E[obs^2] = -0.75, and its noise
# costs up to 1 more; what is left of the noise at the end costs the practising policy. Forbidden: (1 + 0) / 2, and
# more than 1 only by an illegal action.
PROBES = {
    "Combination": (Combination(), 0.99, 0.85),
    "Target": (Target(), -0.1, -0.7),
    "Forbidden": (Forbidden(), 0.99, 0.85),
}
BY_CHANCE = {"Combination": (0.3, 0.55), "Target": (-2.0, -1.2), "Forbidden": (0.4, 0.6)}


@functools.cache
def trained(name, probe):
    """One training a seed, and one that cannot learn."""
    env = OneOf((PROBES[probe][0],))
    trials = [Trial(annealed(name), env, seed) for seed in SEEDS] + [Trial(annealed(name, frozen=True), env, 0)]
    return train(trials, steps=STEPS[name], num_envs=ENVS)


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_kind_of_action_is_learned(name, probe):
    _, greedy, practice = PROBES[probe]
    *learners, frozen = trained(name, probe)
    for one in learners:
        assert greedy <= one.greedy() <= 1, "and more than 1 only by an illegal action"
        assert one.practice >= practice
    low, high = BY_CHANCE[probe]
    assert low < frozen.practice < high < practice
