"""REINFORCE finds its way through a small maze, past a trap."""

import jax
import pytest

from bellmax import REINFORCE, Episodes, Linear
from bellmax.drivers import evaluate
from bellmax.envs.grid_world import GridWorld
from tests.learning.one_of import OneOf
from tests.learning.trials import SEEDS, Trial, train

MAZE = GridWorld(layout=("S..", "T#.", "G.."), step_reward=-0.02, max_steps=30)
STEPS = 96_000


def test_reinforce_solves_a_maze():
    # The way round the wall is 6 steps, 5 of them at -0.02: 1 - 0.1 = 0.9. Straight down lies the trap.
    reinforce = REINFORCE(hidden=(32,), experience=Episodes(30), entropy_weight=0.01)
    rates = [Linear(1e-2, 1e-3, STEPS)] * len(SEEDS) + [Linear(1e-9, 0.0, STEPS)]
    trials = [Trial(reinforce.replace(learning_rate=r), OneOf((MAZE,)), s) for r, s in zip(rates, (*SEEDS, 0))]
    *learners, frozen = train(trials, steps=STEPS, num_envs=16)
    for one in learners:
        assert one.greedy() == pytest.approx(0.9, abs=1e-5)
        assert one.practice > 0.7
    assert frozen.practice < 0
    played = evaluate.ingraph(reinforce, MAZE, learners[0].state, jax.random.key(0), episodes=4)
    assert (played.lengths == 6).all()
