"""What is asked for is what is achieved, and only because rewards are heard of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bellmax as bm
from bellmax.core import Env, Outcome, Spec, Transition
from bellmax.drivers import evaluate, offline
from bellmax.experience import log
from bellmax.run import acting_with
from tests.learning.quick import QUICKLY

STEPS, EPISODES = 3, 200


class Purse(Env):
    """Three steps; each pays what is taken, 0 or 1."""

    @property
    def spec(self):
        return Spec(bm.Discrete(STEPS + 1), bm.Discrete(2))

    def reset(self, key):
        return jnp.int32(0), jnp.int32(0)

    def step(self, env_state, action, key):
        step = env_state + 1
        return step, Outcome(step, jnp.float32(action), 1 - jnp.float32(step == STEPS), step == STEPS)


class Deaf(bm.DecisionTransformer):
    """The control: what was paid is not taken off what is asked for."""

    def hear(self, state, memory, outcome):
        return memory._replace(now=memory.now + 1)


ALGORITHM = bm.DecisionTransformer(
    experience=bm.Dataset(batch=32, n=2, pad="before"), width=8, layers=1, learning_rate=0.01, warmup=1, dropout=0.0,
    longest=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def trained():
    draw = np.random.default_rng(0)
    action = draw.integers(2, size=EPISODES * STEPS, dtype=np.int32)
    obs = np.tile(np.arange(STEPS, dtype=np.int32), EPISODES)
    last, one = obs == STEPS - 1, np.ones(len(obs), np.float32)
    data = log(Transition(obs, action, np.float32(action), np.float32(~last), last, obs + 1, {}, one))
    train = lambda key: (
        offline.train(ALGORITHM, jax.tree.map(jnp.asarray, data), Purse().spec, key, updates=400)[0].state
    )
    return jax.jit(train, compiler_options=QUICKLY)(jax.random.key(0))


def achieved(state, algorithm, returns):
    """Scores [asked, episode]."""
    one = lambda asked: evaluate.play(
        algorithm.replace(target_return=asked), Purse(), state, jax.random.key(1), jnp.int32(9), 4, True
    )[0]
    return jax.jit(jax.vmap(one), compiler_options=QUICKLY)(returns)


def test_every_return_that_is_asked_for_is_achieved_in_every_episode(trained):
    """Two steps do not hold the whole episode: what is left to be paid it knows from the return asked for alone."""
    asked = jnp.arange(4.0)
    wanted = np.repeat(asked, 4).reshape(4, 4)
    assert np.array_equal(achieved(trained, ALGORITHM, asked), wanted)
    fields = {name: getattr(ALGORITHM, name) for name in ALGORITHM._hints}
    assert not np.array_equal(achieved(trained, Deaf(**fields), asked), wanted), "the control"
    assert float(trained.best) == 3, "what is asked for by default"


def test_what_is_asked_for_can_be_changed_after_training():
    """Within wrappers too; the algorithm of the run itself stays as it is."""
    changed = acting_with(bm.Normalised(ALGORITHM), {"target_return": 1.0})
    assert changed == bm.Normalised(ALGORITHM.replace(target_return=1.0))
    assert acting_with(bm.Normalised(ALGORITHM), {"clip": 5.0}) == bm.Normalised(ALGORITHM, clip=5.0)
    with pytest.raises(TypeError, match="target_return"):
        acting_with(bm.Normalised(ALGORITHM), {"target_retrun": 1.0})
