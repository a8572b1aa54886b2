"""Both drivers, one deterministic world: the same transitions, and the same weights at the end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.drivers.listener import Listener

from bellmax import A2C, PPO, REINFORCE, Episodes, Normalised, PrioritisedSequences, RecurrentPPO, Steps
from bellmax.algorithms.planning.muzero import MuZero
from bellmax.algorithms.tabular.dyna_q import DynaQ
from bellmax.algorithms.tabular.q_learning import QLearning
from bellmax.algorithms.tabular.sarsa import SARSA
from bellmax.drivers import hosted, ingraph
from bellmax.drivers.learn import BLOCK
from bellmax.envs.adaptors.as_gymnasium import AsGymnasium
from bellmax.envs.grid_world import GridWorld
from bellmax.envs.names import find

WORLD = GridWorld(layout=("S..", ".#.", "T.G"), max_steps=7)  # walls, a trap, a goal and a time limit
SMALL = {"hidden": (8,)}
STRETCHES = PrioritisedSequences(96, batch=4, window=4, burn_in=0, length=8, start=24)
ALGORITHMS = [
    PPO(**SMALL, experience=Steps(16), epochs=2, minibatches=2),
    A2C(**SMALL, experience=Steps(5)),
    REINFORCE(**SMALL, experience=Episodes(6)),  # shorter than the world's own limit: the driver cuts
    REINFORCE(**SMALL, experience=Episodes(20)),
    RecurrentPPO(**SMALL, experience=Steps(16), epochs=1, minibatches=1, memory_size=4),
    Normalised(PPO(**SMALL, experience=Steps(16), epochs=1, minibatches=1)),
    QLearning(),
    SARSA(learning_rate=0.3),
    DynaQ(planning_steps=3),
    Listener(Steps(5)),
    MuZero(**SMALL, experience=STRETCHES, latent=4, unroll=2, n=2, simulations=2, reanalysed=1, atoms=5, limit=2.0),
]
ENVS = 3


def vector():
    return find(lambda: AsGymnasium(WORLD), vectorization="sync").vector(ENVS, seed=0)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: f"{type(a).__name__}-{a.experience.length}")
def test_the_two_drivers_are_the_same_run(algorithm):
    run = jax.jit(ingraph.start, static_argnums=3)(algorithm, WORLD, jax.random.key(0), ENVS)
    drive = hosted.Drive(algorithm, vector(), jax.random.key(0))
    for _ in range(BLOCK + 20 if algorithm.experience.length == 1 else 4):
        batch, _ = jax.jit(ingraph.last_batch)(algorithm, WORLD, run)
        run, total = ingraph.advance(algorithm, WORLD, run, jnp.int32(1), jnp.int32(10**9))
        tally = drive.advance(1, 10**9)
        window = drive.window
        real = np.asarray(batch.weight) > 0
        assert np.array_equal(real, window.weight > 0)
        for name in ("obs", "action", "reward", "discount", "last", "next_obs"):
            assert np.array_equal(np.asarray(getattr(batch, name))[real], getattr(window, name)[real]), name
        for name in ("steps", "episodes", "length"):
            assert tally[name] == total[name], name
        assert tally["score"] == pytest.approx(float(total["score"]))
    for one, other in zip(jax.tree.leaves(run.state), jax.tree.leaves(drive.run.state), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_the_true_successor_is_kept_and_the_next_episode_starts_at_the_start():
    algorithm = ALGORITHMS[0]
    drive = hosted.Drive(algorithm, vector(), jax.random.key(1))
    drive.advance(1, 10**9)
    window = drive.window
    ends = np.argwhere(window.last[:-1])
    assert len(ends) > 0
    for t, i in ends:
        assert window.obs[t + 1, i] == 0, "the next row begins the next episode"
        terminated = window.discount[t, i] == 0
        assert (window.next_obs[t, i] in (6, 8)) == terminated, "a trap or the goal ended it, or else the time limit"
    assert (window.discount[window.last] == 1).any(), "some were cut by the time limit"
    assert (window.discount[window.last] == 0).any()
