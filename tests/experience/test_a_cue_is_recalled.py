"""From sequences a cue is learned that is asked for four steps later; from single steps it cannot be."""

import pytest

from bellmax import DQN, EpsilonGreedy, Linear
from bellmax.algorithms.value.r2d2 import R2D2
from bellmax.envs.probes import Recall
from bellmax.experience import Replay, Sequences
from tests.learning.one_of import OneOf
from tests.learning.trials import Trial, train

STEPS, RATES = 8_000, (3e-3, 1e-9)
SETTINGS = {"gamma": 0.95, "target_every": 20, "exploration": EpsilonGreedy(Linear(1.0, 0.1, STEPS / 2))}
STORED = {"capacity": 4_000, "length": 4, "start": 400}


def scores(algorithm):
    trials = [Trial(algorithm.replace(learning_rate=rate), OneOf((Recall(),)), i) for i, rate in enumerate(RATES)]
    return [one.greedy() for one in train(trials, steps=STEPS, num_envs=8)]


def test_r2d2_recalls():
    experience = Sequences(**STORED, batch=16, window=10, burn_in=5)
    greedy = scores(R2D2(**SETTINGS, experience=experience, hidden=(16,), memory_size=16, learning_rate=3e-3))
    assert greedy[0] == 1
    assert abs(greedy[1]) < 0.5, "but not with a learning rate of nearly nothing"


def test_dqn_cannot():
    # Whatever it answers is right for half of the cues: 0, give or take 3 / sqrt(100).
    experience = Replay(**STORED, batch=64)
    assert scores(DQN(**SETTINGS, experience=experience, hidden=(32,))) == pytest.approx([0, 0], abs=0.3)
