"""DreamerV3 learns what to do in its dreams alone; without a world that is learned it learns nothing.

One program for both, because weights of losses are traced.
"""

import jax
import jax.numpy as jnp
import pytest

from bellmax import DreamerV3, Sequences
from bellmax.drivers import evaluate, ingraph
from bellmax.envs.probes import MatchingReward

WORLD, ROUNDS = MatchingReward(), 600
DREAMER = DreamerV3(
    experience=Sequences(2_000, batch=8, window=8, burn_in=0, length=4, start=64),
    imagination=3,
    gamma=0.9,
    learning_rate=1e-3,
)


def score(algorithm) -> float:
    """The mean score while exploring, after `ROUNDS` rounds: 1 is best, 0 is chance."""
    run = jax.jit(ingraph.start, static_argnums=3)(algorithm, WORLD, jax.random.key(0), 4)
    run, _ = ingraph.advance(algorithm, WORLD, run, jnp.int32(ROUNDS), jnp.int32(10**9))
    return evaluate.ingraph(algorithm, WORLD, run.state, jax.random.key(1), episodes=500, greedy=False).mean


@pytest.mark.parametrize("learns", [True, False], ids=["a world that is learned", "the control: one that is not"])
def test_what_is_learned_is_learned_in_the_world(learns):
    algorithm = DREAMER if learns else DREAMER.replace(prediction_weight=0.0, critic_replay_weight=0.0)
    assert (score(algorithm) > 0.9) == learns
