"""Learning while the environments step: the same run, but for choosing by what was known one round earlier."""

import jax
import numpy as np
import pytest

from bellmax import DQN, EpsilonGreedy, Replay, Steps
from bellmax.algorithms.policy.a2c import A2C
from bellmax.drivers import hosted
from bellmax.envs.adaptors.as_gymnasium import AsGymnasium
from bellmax.envs.grid_world import GridWorld
from bellmax.envs.names import find

WORLD = GridWorld(layout=("S..", ".#.", "T.G"), max_steps=7)
REPLAY = Replay(64, batch=8, n=2, start=12)
BLIND = DQN(hidden=(8,), experience=REPLAY, exploration=EpsilonGreedy(1.0))  # acts alike, whatever it knows
SEEING = BLIND.replace(exploration=EpsilonGreedy(0.1), learning_rate=0.1)


def after(algorithm, rounds, overlap, pieces=1):
    drive = hosted.Drive(
        algorithm,
        find(lambda: AsGymnasium(WORLD), vectorization="sync").vector(3, seed=0),
        jax.random.key(0),
        overlap=overlap,
    )
    drive.compile()
    totals = [drive.advance(rounds // pieces, 10**9) for _ in range(pieces)]
    return drive, totals


def same(one, other):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


@pytest.mark.parametrize("algorithm", [BLIND, BLIND.replace(experience=REPLAY.replace(length=3, updates=2))])
def test_where_acting_does_not_look_the_runs_are_one(algorithm):
    (plain, [whole]), (behind, [late]) = (after(algorithm, 30, overlap) for overlap in (False, True))
    assert same(plain.run.state, behind.run.state)
    assert same(plain.run.buffer, behind.run.buffer)
    assert whole == pytest.approx(late), "nothing is lost of what the last round said"


def test_a_choice_is_made_by_what_was_known_one_round_before():
    (plain, _), (behind, _) = (after(SEEING, 40, overlap) for overlap in (False, True))
    assert not same(plain.run.state, behind.run.state)
    # An on-policy round of one step: with overlap the second action is chosen by the first weights.
    first = A2C(hidden=(8,), experience=Steps(1), learning_rate=0.5)
    (plain, _), (behind, _) = (after(first, 1, overlap) for overlap in (False, True))
    untrained, _ = after(first.replace(learning_rate=0.0), 1, False)
    assert same(plain.run.state, behind.run.state)
    assert np.array_equal(behind._choice.action, untrained._choice.action)


def test_an_overlapped_run_in_pieces_counts_every_round_once():
    (_, [whole]), (_, pieces) = after(BLIND, 30, True), after(BLIND, 30, True, pieces=3)
    assert {name: sum(piece[name] for piece in pieces) for name in ("steps", "rounds", "learning_rounds")} == {
        name: whole[name] for name in ("steps", "rounds", "learning_rounds")
    }


def test_a_round_that_is_not_sound_stops_an_overlapped_run():
    drive, _ = after(BLIND, 10, True)
    step = drive.envs.step
    drive.envs.step = lambda action: step(action)._replace(reward=np.full(3, np.nan, np.float32))
    total = drive.advance(1000, 10**9)
    assert total["rounds"] < 100
    assert not drive.sound
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(drive.run.state))
