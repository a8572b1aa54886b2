"""A cue that is asked for four steps later: with a memory it is learned, without one it cannot be."""

import pytest

from bellmax import PPO, Linear, RecurrentPPO, Steps
from bellmax.envs.probes import Recall
from tests.learning.one_of import OneOf
from tests.learning.trials import SEEDS, Trial, train

STEPS = 24_000
SETTINGS = {"hidden": (16,), "gamma": 0.95, "experience": Steps(20), "epochs": 4, "minibatches": 2}


def scores(algorithm, rates):
    seeds = (*SEEDS, 0)[: len(rates)]
    trials = [
        Trial(algorithm.replace(learning_rate=rate), OneOf((Recall(),)), seed) for rate, seed in zip(rates, seeds)
    ]
    trained = train(trials, steps=STEPS, num_envs=16)
    return [one.greedy() for one in trained], [one.practice for one in trained]


def test_recurrent_ppo_recalls():
    rates = [Linear(5e-3, 5e-4, STEPS)] * len(SEEDS) + [Linear(1e-9, 0.0, STEPS)]
    greedy, practice = scores(RecurrentPPO(**SETTINGS, memory_size=16, learning_rate=5e-3), rates)
    assert min(greedy[:-1]) == 1
    assert min(practice[:-1]) > 0.8
    assert abs(practice[-1]) < 0.3, "but not with a learning rate of nearly nothing"


def test_ppo_cannot():
    # Whatever it answers is right for half of the cues: 0, give or take 3 / sqrt(100).
    greedy, practice = scores(PPO(**SETTINGS, learning_rate=5e-3), [Linear(5e-3, 5e-4, STEPS)] * len(SEEDS))
    assert greedy == pytest.approx([0] * len(SEEDS), abs=0.3)
    assert practice == pytest.approx([0] * len(SEEDS), abs=0.3)
