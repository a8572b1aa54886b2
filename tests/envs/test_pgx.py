"""The Pgx adaptor: whose reward, whose turn, which moves; and simulators that planning goes on from."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("pgx")

from bellmax import PPO, Steps
from bellmax.drivers import ingraph
from bellmax.envs import CartPole
from bellmax.envs.adaptors import MissingDependency
from bellmax.envs.adaptors.pgx import Pgx
from bellmax.envs.names import UnknownEnvironment, find
from bellmax.envs.with_simulator import WithSimulator
from bellmax.maths.returns import monte_carlo_return
from bellmax.spaces import Box, Discrete, Masked, MultiBinary, Simulated, zeros

KEY = jax.random.key(0)
X_WINS = [0, 3, 1, 4, 2]  # the first row
DRAW = [0, 1, 2, 4, 3, 5, 7, 6, 8]


@pytest.fixture(scope="module")
def game():
    return Pgx()


@pytest.fixture(scope="module")
def step(game):
    return jax.jit(game.step)


def played(game, step, moves):
    """The states, observations and outcomes of a game."""
    state, obs = game.reset(KEY)
    states, outcomes = [state], []
    for move in moves:
        state, outcome = step(state, jnp.int32(move), KEY)
        states.append(state)
        outcomes.append(outcome)
    return obs, states, jax.tree.map(lambda *x: np.stack(x), *outcomes)


def test_names_and_specs(game):
    assert find("pgx:tic_tac_toe") == game
    assert game.spec == (Masked(Box((18,), 0.0, 1.0), MultiBinary(9)), Discrete(9), 1)
    assert find("pgx:connect_four", planes=True).spec.obs.obs == Box((6, 7, 2), 0.0, 1.0)
    assert (
        jax.jit(lambda: jnp.int32(Pgx("connect_four").spec.action.n))() == 7
    )  # read under jit, though Pgx plays for it
    with pytest.raises(UnknownEnvironment, match="pgx:tic_tac_toe"):
        find("pgx:tictactoe")
    with pytest.raises(ValueError, match=r"Pgx.name = 'kuhn_poker': there is no such game for two; choose from tic_"):
        Pgx("kuhn_poker")


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pgx", None)
    with pytest.raises(MissingDependency, match=r'pip install "bellmax\[games\]"'):
        find("pgx:tic_tac_toe")


def test_the_one_who_makes_a_row_of_three_gets_1(game, step):
    _, _, outcomes = played(game, step, X_WINS)
    np.testing.assert_array_equal(outcomes.reward, [0, 0, 0, 0, 1])
    np.testing.assert_array_equal(outcomes.discount, [-1, -1, -1, -1, 0])
    np.testing.assert_array_equal(outcomes.last, [False] * 4 + [True])
    # So the return from each move on is the mover's outcome: X's moves are worth 1 and O's -1.
    z = monte_carlo_return(outcomes.reward[:, None], outcomes.discount[:, None], outcomes.last[:, None])
    np.testing.assert_array_equal(z[:, 0], [1, -1, 1, -1, 1])


def test_nobody_gets_anything_for_a_draw(game, step):
    _, _, outcomes = played(game, step, DRAW)
    assert not outcomes.reward.any()
    assert outcomes.discount.tolist() == [-1] * 8 + [0]


def test_the_board_is_seen_from_the_side_to_move_with_its_legal_moves(game, step):
    first, states, outcomes = played(game, step, [4, 0])
    assert first.legal.all()
    assert not first.obs.any()
    planes = outcomes.obs.obs.reshape(2, 9, 2)
    assert np.argwhere(planes[0]).tolist() == [[4, 1]]  # O looks: the other's stone is in the middle
    assert np.argwhere(planes[1]).tolist() == [[0, 1], [4, 0]]  # X looks: its own is
    np.testing.assert_array_equal(outcomes.obs.legal[1], [i not in (0, 4) for i in range(9)])
    assert game.text(states[2]) == "O . .\n. X .\n. . ."
    assert game.text(states[1]) == ". . .\n. X .\n. . ."
    picture = game.render(states[2])
    assert picture.shape == (96, 96, 3)
    assert picture[48, 48].max() < 60 < 200 < picture[16, 16].min()  # X is black


def test_ppo_plays_against_itself_and_never_makes_an_illegal_move(game):
    ppo = PPO(hidden=(8,), experience=Steps(16), epochs=1, minibatches=1)
    run = jax.jit(ingraph.start, static_argnums=3)(ppo, game, KEY, 8)
    batch, _ = jax.jit(ingraph.last_batch)(ppo, game, run)
    legal = np.take_along_axis(np.asarray(batch.obs.legal), np.asarray(batch.action)[..., None], -1)
    assert legal.all()
    assert batch.last.sum() > 8
    assert set(np.unique(batch.reward)) <= {0.0, 1.0}, "who moves may win or draw, but never lose"
    assert np.array_equal(batch.discount, np.where(batch.last, 0, -1))


def test_a_simulator_in_the_observation_goes_on_as_the_environment_does(game):
    env = WithSimulator(game)
    assert env.name == "tic_tac_toe"
    assert WithSimulator(CartPole()).name == "bellmax:CartPole"
    assert env.text is not None
    state, obs = env.reset(KEY)
    assert isinstance(obs, Simulated)
    state, outcome = env.step(state, jnp.int32(4), KEY)
    inside, imagined = game.step(outcome.obs.simulator, jnp.int32(0), KEY)
    state, real = env.step(state, jnp.int32(0), KEY)
    assert jax.tree.all(jax.tree.map(np.array_equal, inside, real.obs.simulator))
    assert jax.tree.all(jax.tree.map(np.array_equal, imagined.obs, real.obs.obs))
    example = zeros(env.spec.obs)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), example) == jax.tree.map(lambda x: (x.shape, x.dtype), obs)
