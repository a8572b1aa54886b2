"""A model played as an environment does what the model says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bellmax import mdp
from bellmax.algorithms.tabular.q_learning import QLearning
from bellmax.core import Spec
from bellmax.drivers import ingraph
from bellmax.drivers.fleet import Fleet
from bellmax.maths.exploration import EpsilonGreedy
from bellmax.mdp import World
from bellmax.mdp.world import WorldState
from bellmax.spaces import Discrete, Masked, MultiBinary

DRAWS = 3000


def play(world, state, action, draws=DRAWS, seed=0):
    """Many single steps from one state: the states and the outcomes that come of it."""
    keys = jax.random.split(jax.random.key(seed), draws)

    def one(world, state, action, key):
        return world.step(WorldState(state, jnp.int32(0)), action, key)

    return jax.jit(jax.vmap(one, (None, None, None, 0)))(world, jnp.int32(state), jnp.int32(action), keys)


def surprise(model, world, pairs):
    """The p-value of the hypothesis that steps of `world` follow `model`: outcomes are told apart by their rewards."""
    statistic, freedom = 0.0, 0
    for state, action in pairs:
        end, outcome = play(world, state, action, seed=state * 17 + action)
        end, reward = np.asarray(end.state), np.asarray(outcome.reward)
        pays, p = model.reward[action, :, state], model.probability[action, :, state]
        drawn = np.abs(reward[:, None] - pays.astype(np.float32)).argmin(axis=1)
        np.testing.assert_allclose(reward, pays[drawn], rtol=1e-6)
        np.testing.assert_array_equal(end, model.successor[action, drawn, state])
        over = model.absorbing[end]
        np.testing.assert_array_equal(outcome.discount, 1.0 - over)
        np.testing.assert_array_equal(outcome.last, over)
        count = np.bincount(drawn, minlength=len(p))
        assert (count[p == 0] == 0).all(), "what has probability 0 is never drawn"
        expected = DRAWS * p[p > 0]
        statistic += ((count[p > 0] - expected) ** 2 / expected).sum()
        freedom += (p > 0).sum() - 1
    return stats.chi2.sf(statistic, freedom)


def holey(seed=0, **settings):
    """A random model in which some outcomes cannot happen: the first, the last or one between."""
    model = mdp.random_mdp(12, 3, 5, seed, absorbing=0.25, **settings)
    p = np.maximum(model.probability, 0.02)
    for outcome in (0, 2, 4):
        p[:, outcome, outcome::5] = 0
    p = np.where(model.absorbing, model.probability, p)
    return model.replace(probability=p / p.sum(axis=1, keepdims=True))


PAIRS = [(state, action) for state in range(12) for action in range(3)]


def test_steps_follow_the_probabilities_of_the_model():
    model = holey()
    pairs = [pair for pair in PAIRS if not model.absorbing[pair[0]]]
    assert surprise(model, World(model), pairs) > 1e-3


def test_the_test_of_probabilities_can_fail():
    model = holey()
    pairs = [pair for pair in PAIRS if not model.absorbing[pair[0]]]
    bent = model.probability.copy()
    bent[:, 1] += 0.02
    bent = np.where(model.absorbing, model.probability, bent * (model.probability > 0))
    other = model.replace(probability=bent / bent.sum(axis=1, keepdims=True))
    assert surprise(model, World(other), pairs) < 1e-6


def test_the_draw_is_right_at_the_edges(monkeypatch):
    """Outcome k if the draw lies in [p_0 + .. + p_(k-1), p_0 + .. + p_k), and the last possible one up to 1."""
    p = np.array([0, 0.25, 0, 0.5, 0.249995, 0], np.float32)  # sums to 1 only as nearly as float32 must
    successor = np.broadcast_to(np.arange(6, dtype=np.int32)[None, :, None], (1, 6, 6)).copy()
    probability = np.broadcast_to(p[None, :, None], (1, 6, 6)).copy()
    model = mdp.MDP(successor, probability, np.zeros((1, 1, 6), np.float32), 0.9, np.zeros(6, bool))
    world, drawn = World(model), {}
    for number in (0.0, 0.2499999, 0.25, 0.7499999, 0.75, 0.999996, 1 - 2**-24):
        monkeypatch.setattr("bellmax.mdp.world.uniform", lambda key, number=number: jnp.float32(number))
        drawn[number] = int(world.step(WorldState(jnp.int32(0), jnp.int32(0)), jnp.int32(0), None)[0].state)
    assert list(drawn.values()) == [1, 1, 3, 3, 4, 4, 4]
    start, begun = np.array([0, 0.25, 0.5, 0.249995, 0, 0], np.float32), []
    for number in (0.0, 0.25, 0.7499999, 0.75, 1 - 2**-24):
        monkeypatch.setattr("bellmax.mdp.world.uniform", lambda key, number=number: jnp.float32(number))
        begun.append(int(World(model.replace(start=start)).reset(None)[1]))
    assert begun == [1, 2, 2, 3, 3]


def test_many_outcomes_of_one_car_rental_are_drawn_in_proportion():
    model = mdp.car_rental(cars=6, most_moved=1)
    end, _ = play(World(model), 24, 1, draws=20_000)
    p = model.probability[1, :, 24]
    count = np.bincount(np.asarray(end.state), minlength=49)
    often = 20_000 * p > 5
    statistic = ((count - 20_000 * p)[often] ** 2 / (20_000 * p)[often]).sum()
    assert stats.chi2.sf(statistic, often.sum() - 1) > 1e-3


@pytest.mark.parametrize("start", ["evenly", "weighted", "one"])
def test_episodes_begin_where_the_model_says(start):
    model = mdp.random_mdp(12, 2, 3, absorbing=0.25)
    weights = {"weighted": np.arange(12.0) ** 2, "one": np.arange(12) == np.flatnonzero(~model.absorbing)[3]}
    if start != "evenly":
        probabilities = np.where(model.absorbing, 0, weights[start])
        model = model.replace(start=probabilities / probabilities.sum())
    state, obs = jax.jit(jax.vmap(World(model).reset))(jax.random.split(jax.random.key(1), 6000))
    np.testing.assert_array_equal(state.state, obs)
    expected, count = 6000 * model.starts(), np.bincount(np.asarray(obs), minlength=12)
    assert (count[expected == 0] == 0).all()
    here = expected > 0
    assert stats.chi2.sf(((count - expected)[here] ** 2 / expected[here]).sum(), max(here.sum() - 1, 1)) > 1e-3


def test_legal_actions_are_shown_with_the_state():
    model = mdp.random_mdp(12, 3, 4, seed=3, illegal=0.4)
    world = World(model)
    assert world.spec == Spec(Masked(Discrete(12), MultiBinary(3)), Discrete(3))
    state = int(np.flatnonzero(~model.absorbing)[0])
    end, outcome = play(world, state, int(model.legal[state].argmax()), draws=200)
    assert isinstance(outcome.obs, Masked)
    np.testing.assert_array_equal(outcome.obs.obs, end.state)
    np.testing.assert_array_equal(outcome.obs.legal, model.legal[np.asarray(end.state)])
    assert World(mdp.random_mdp()).spec == Spec(Discrete(20), Discrete(4))


def test_a_time_limit_cuts_and_does_not_terminate():
    world = World(mdp.chain(), max_steps=3)
    state, cut, step = WorldState(jnp.int32(0), jnp.int32(0)), [], jax.jit(world.step)
    for key in jax.random.split(jax.random.key(1), 3):
        state, outcome = step(state, jnp.int32(0), key)
        cut.append((bool(outcome.last), float(outcome.discount)))
    assert cut == [(False, 1.0), (False, 1.0), (True, 1.0)]


def test_worlds_of_one_model_are_equal_and_compiled_once():
    model, traced = mdp.random_mdp(), []
    first, second, other = World(model), World(model), World(mdp.random_mdp())
    assert first == second
    assert hash(first) == hash(second)
    assert first != other
    assert first != World(model, max_steps=9)

    @jax.jit
    def reset(world, key):
        traced.append(world)
        return world.reset(key)

    for world in (first, second, first.replace(tables=None)):
        reset(world, jax.random.key(0))
    assert len(traced) == 1
    with pytest.raises(TypeError, match=r"World.mdp = 'FrozenLake-v1': give a MDP"):
        World("FrozenLake-v1")


def test_a_large_model_goes_into_a_program_as_an_argument_not_as_constants():
    world = World(mdp.slippery_grid(60, 50))
    program = jax.jit(lambda world, key: world.reset(key)).lower(world, jax.random.key(0)).as_text()
    step = jax.jit(lambda world, state, key: world.step(state, jnp.int32(0), key))
    program += step.lower(world, WorldState(jnp.int32(0), jnp.int32(0)), jax.random.key(0)).as_text()
    assert len(program) < 40_000


def action_values(model, gamma):
    values = np.zeros(model.states)
    for _ in range(200):
        q = (model.probability * (model.reward + gamma * values[model.successor])).sum(axis=1)
        values = q.max(axis=0)
    return q.T


def test_q_learning_in_the_world_finds_the_exact_solution():
    model = mdp.random_mdp(5, 2, 3, seed=4, absorbing=0.2)
    learner = QLearning(gamma=0.7, learning_rate=1.0, decay=0.7, exploration=EpsilonGreedy(1.0))
    world = World(model, max_steps=50)
    train = lambda world, key: ingraph.train(learner, world, key, steps=60_000, num_envs=20)[0].state.q
    tables = jax.jit(jax.vmap(train, (None, 0)))(world, jax.random.split(jax.random.key(0), 8))
    learned, here = np.asarray(tables).mean(0), ~model.absorbing  # one table alone is up to .17 off
    assert np.abs(learned - action_values(model, 0.7))[here].max() < 0.1
    assert np.abs(learned - action_values(model, 0.5))[here].max() > 0.2, "the tolerance tells discounts apart"


def test_fleets_of_seeds_play_the_same_as_single_runs():
    world = World(mdp.from_gymnasium("FrozenLake-v1", 0.9), max_steps=100)
    learner = QLearning()
    threads, stacked = (Fleet([learner] * 3, world, [0, 1, 2], 2, stacked=stacked) for stacked in (False, True))
    for one, other in zip(threads.advance(50, [100] * 3), stacked.advance(50, [100] * 3)):
        assert one["steps"] == other["steps"] == 100
        np.testing.assert_allclose(one["td_error"], other["td_error"], rtol=1e-5)
    np.testing.assert_allclose(threads.runs.state.q, stacked.runs.state.q, rtol=1e-5)


def test_a_world_gives_its_model_back():
    model = mdp.random_mdp()
    again = mdp.from_gymnasium(World(model), 0.5)
    assert again.gamma == 0.5
    assert again.probability is model.probability


def test_the_agent_is_drawn_on_the_grid():
    world = World(mdp.from_map(("S..", ".#T", "..G")))
    assert world.text(WorldState(jnp.int32(3), jnp.int32(0))) == ". . .\n@ # x\n. . *"
    assert World(mdp.random_mdp()).text(WorldState(jnp.int32(3), jnp.int32(0))) == "state 3"
