"""Models from arrays, functions, maps and environments: what they say is what their sources do."""

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import mdp
from bellmax.envs import CliffWalking, FrozenLake, GridWorld, RandomWalk
from bellmax.envs.names import UnknownEnvironment


def best_values(model, sweeps=3000):
    """Value iteration, as short as it gets."""
    values = np.zeros(model.states)
    for _ in range(sweeps):
        q = (model.probability * (model.reward + model.gamma * values[model.successor])).sum(axis=1)
        values = (q if model.legal is None else np.where(model.legal.T, q, -np.inf)).max(axis=0)
    return values


def row(model, state, action):
    """One row as {(successor, reward): probability}, whatever the order of its outcomes."""
    found = {}
    for k in range(model.outcomes):
        p = float(model.probability[action, k, state])
        reward = model.reward[action, k if model.reward.shape[1] > 1 else 0, state]
        if p:
            where = int(model.successor[action, k, state]), round(float(reward), 6)
            found[where] = round(found.get(where, 0) + p, 9)
    return found


def gymnasium_row(outcomes, ends_at=None):
    found = {}
    for p, successor, reward, terminated in outcomes:
        where = (ends_at if terminated and ends_at is not None else int(successor)), round(float(reward), 6)
        found[where] = round(found.get(where, 0) + p, 9)
    return found


GYMNASIUM = {
    "lake": ("FrozenLake-v1", {}, (16, 4, 3), {5, 7, 11, 12, 15}),
    "hard ice": ("FrozenLake-v1", {"is_slippery": False}, (16, 4, 1), {5, 7, 11, 12, 15}),
    "large lake": ("FrozenLake-v1", {"map_name": "8x8"}, (64, 4, 3), {19, 29, 35, 41, 42, 46, 49, 52, 54, 59, 63}),
    "cliff": ("CliffWalking-v1", {}, (48, 4, 1), {47}),
    "slippery cliff": ("CliffWalking-v1", {"is_slippery": True}, (48, 4, 3), {47}),
    "taxi": ("Taxi-v4", {}, (501, 6, 1), {500}),
    "taxi in the rain": ("Taxi-v4", {"is_rainy": True}, (501, 6, 3), {500}),
}


@pytest.mark.parametrize("name", GYMNASIUM)
def test_the_model_is_gymnasiums_table_row_by_row(name):
    identity, options, (states, actions, outcomes), ends = GYMNASIUM[name]
    model, env = mdp.from_gymnasium(identity, 0.99, **options), gym.make(identity, **options)
    table = env.unwrapped.P
    assert (model.states, model.actions, model.outcomes) == (states, actions, outcomes)
    assert set(np.flatnonzero(model.absorbing)) == ends
    for state in range(len(table)):
        for action in range(actions):
            if model.absorbing[state]:
                assert row(model, state, action) == {(state, 0.0): 1.0}
            else:
                end = states - 1 if identity == "Taxi-v4" else None
                assert row(model, state, action) == gymnasium_row(table[state][action], end), (state, action)
    start = np.zeros(states)
    start[: len(table)] = env.unwrapped.initial_state_distrib
    np.testing.assert_allclose(model.starts(), start)
    assert model.action_names[0] == {"FrozenLake-v1": "left", "CliffWalking-v1": "up", "Taxi-v4": "down"}[identity]
    assert model.grid == {16: (4, 4), 64: (8, 8), 48: (4, 12)}.get(states)


def test_an_environment_may_be_given_itself_wrapped_or_not():
    env = gym.make("FrozenLake-v1", is_slippery=False)
    for given in (env, env.unwrapped, gym.wrappers.TimeLimit(env, 7)):
        assert row(mdp.from_gymnasium(given), 14, 2) == {(15, 1.0): 1.0}
    assert mdp.from_gymnasium("FrozenLake8x8-v1").states == 64


def test_where_all_ways_lead_nowhere_values_are_known():
    assert best_values(mdp.from_gymnasium("CliffWalking-v1", 1.0))[36] == -13
    taxi = mdp.from_gymnasium("Taxi-v4", 0.99)
    mean = taxi.starts() @ best_values(taxi, 2000)
    assert 6.3 < mean < 6.4, "about 13 steps of -1 and 20 for the drop, discounted"


def test_taxi_knows_which_actions_change_nothing():
    taxi, masked = mdp.from_gymnasium("Taxi-v4", 0.9), mdp.from_gymnasium("Taxi-v4", 0.9, masked=True)
    assert taxi.legal is None
    env = gym.make("Taxi-v4").unwrapped
    for state in (0, 123, 499):
        np.testing.assert_array_equal(masked.legal[state], env.action_mask(state))
    np.testing.assert_allclose(best_values(taxi, 300), best_values(masked, 300))


def test_who_has_no_table_says_who_has(monkeypatch):
    with pytest.raises(ValueError, match=r"BlackjackEnv has no table P.*FrozenLake-v1, CliffWalking-v1.*Taxi-v4"):
        mdp.from_gymnasium("Blackjack-v1")
    with pytest.raises(ValueError, match=r"CartPoleEnv has no table P"):
        mdp.from_gymnasium("CartPole-v1")
    with pytest.raises(ValueError, match=r"CartPole does not know its own transitions: FrozenLake"):
        mdp.from_gymnasium("bellmax:CartPole")
    with pytest.raises(ValueError, match="fickle_passenger"):
        mdp.from_gymnasium("Taxi-v4", fickle_passenger=True)
    monkeypatch.setattr("bellmax.envs.names.known", lambda: {"gymnasium": ["FrozenLake-v1"]})  # the rest is slow
    with pytest.raises(UnknownEnvironment, match="FrozenLake-v1"):
        mdp.from_gymnasium("FrozenLaek-v1")


WORLDS = {
    "lake": FrozenLake(),
    "hard ice": FrozenLake(is_slippery=False),
    "a lake of one's own": FrozenLake(layout=("SFS", "HFG"), success_rate=0.5, step_reward=-0.25, hole_reward=-2),
    "cliff": CliffWalking(),
    "slippery cliff": CliffWalking(is_slippery=True),
    "grid": GridWorld(layout=("S.#", ".#T", "..G"), slip=0.5, step_reward=-0.5),
    "grid with starts anywhere": GridWorld(layout=("..", "SG"), random_start=True),
}


@pytest.mark.parametrize("name", WORLDS)
def test_the_model_of_an_in_graph_world_is_its_move(name):
    """Its own `move` is asked for many draws between 0 and 1: the shares of what comes out are the probabilities."""
    env, draws = WORLDS[name], (np.arange(1200) + 0.5) / 1200
    model = mdp.from_gymnasium(env, 0.9)
    everywhere = jax.vmap(jax.vmap(jax.vmap(env.move, (None, None, 0)), (None, 0, None)), (0, None, None))
    inputs = jnp.arange(model.states), jnp.arange(4), jnp.asarray(draws)
    cell, reward, terminated = map(np.asarray, jax.jit(everywhere)(*inputs))
    for state in np.flatnonzero(~model.absorbing):
        for action in range(4):
            seen = {}
            for s, r, ends in zip(cell[state, action], reward[state, action], terminated[state, action]):
                assert model.absorbing[s] == ends
                seen[int(s), round(float(r), 6)] = seen.get((int(s), round(float(r), 6)), 0) + 1 / 1200
            expected = row(model, state, action)
            assert seen.keys() == expected.keys()
            assert all(abs(seen[where] - expected[where]) < 2e-3 for where in seen)
    begin = jax.jit(lambda key: jax.vmap(env.reset)(jax.random.split(key, 300))[1])
    begun = np.bincount(begin(jax.random.key(0)))
    assert set(np.flatnonzero(begun)) == set(np.flatnonzero(model.starts()))


def test_the_random_walk_has_the_values_it_claims():
    for walk in (RandomWalk(), RandomWalk(states=19, left_reward=-1.0)):
        model = mdp.from_gymnasium(walk, 1.0)
        np.testing.assert_allclose(best_values(model, 5000), walk.values(), atol=1e-9)
    drifting = mdp.from_gymnasium(RandomWalk(right=0.75), 1.0)
    assert row(drifting, 3, 0) == {(2, 0.0): 0.25, (4, 0.0): 0.75}


def test_a_map_is_what_is_drawn():
    model = mdp.from_map(("S..", ".#T", "..G"), 0.9, slip=0.2, step_reward=-0.1, goal_reward=5, trap_reward=-5)
    assert model.grid == (3, 3)
    assert set(np.flatnonzero(model.absorbing)) == {4, 5, 8}
    assert row(model, 2, 1) == {(5, -5.0): 0.8, (1, -0.1): 0.1, (2, -0.1): 0.1}, "down into the trap, or aside"
    assert row(model, 7, 2) == {(8, 5.0): 0.8, (7, -0.1): 0.2}, "the wall above stops it"
    assert row(model, 0, 0) == {(0, -0.1): 0.9, (3, -0.1): 0.1}
    assert model.starts()[0] == 1
    np.testing.assert_allclose(mdp.from_map(("..", "TG")).starts(), [0.5, 0.5, 0, 0])
    twin = mdp.from_env(GridWorld(layout=("S..", ".#T", "..G"), slip=0.2, step_reward=-0.5))
    other = mdp.from_map(("S..", ".#T", "..G"), slip=0.2, step_reward=-0.5)
    np.testing.assert_allclose(twin.dense()[0], other.dense()[0], atol=1e-7)  # its slip is a float32
    np.testing.assert_allclose(twin.dense()[1], other.dense()[1], atol=1e-7)
    with pytest.raises(ValueError, match=r"from_map.layout: '\?' in row"):
        mdp.from_map(("S?G",))
    with pytest.raises(ValueError, match=r"slip = 1\.5"):
        mdp.from_map(("S.G",), slip=1.5)


def random_arrays(seed=0, states=6, actions=3):
    random = np.random.default_rng(seed)
    p = random.random((states, actions, states)) * (random.random((states, actions, states)) < 0.5)
    p[:, :, 0] += 0.1
    return p / p.sum(axis=2, keepdims=True), random.standard_normal((states, actions, states))


def test_dense_arrays_come_out_as_they_went_in():
    p, r = random_arrays()
    model = mdp.from_arrays(p, r, 0.9)
    assert model.outcomes == np.count_nonzero(p, axis=2).max() < 6
    again, mean = model.dense()
    np.testing.assert_allclose(again, p.transpose(1, 0, 2))
    np.testing.assert_allclose(mean, (p * r).sum(axis=2))
    assert not model.absorbing.any()
    assert mdp.from_arrays(p, r[:, :, 0], 0.9).reward.shape == (3, 1, 6)
    np.testing.assert_allclose(mdp.from_arrays(p, r[:, :, 0], 0.9).dense()[1], r[:, :, 0])
    np.testing.assert_allclose(mdp.from_arrays(p, r[:, 0, 0], 0.9).dense()[1], np.repeat(r[:, :1, 0], 3, axis=1))
    assert mdp.from_arrays(p, r, 0.9, dtype=np.float32).probability.dtype == np.float32


def test_a_state_that_nothing_leaves_and_never_pays_is_an_end():
    p, r = random_arrays()
    p[2], p[4] = np.eye(6)[2], np.eye(6)[4]
    r[2] = 0
    model = mdp.from_arrays(p, r, 0.9)
    assert list(np.flatnonzero(model.absorbing)) == [2], "state 4 pays"
    told = mdp.from_arrays(p, r, 0.9, absorbing=np.arange(6) == 4)
    assert list(np.flatnonzero(told.absorbing)) == [4]
    assert row(told, 4, 1) == {(4, 0.0): 1.0}


def test_illegal_rows_of_arrays_are_not_read():
    p, r = random_arrays()
    p[3, 1], r[3, 1] = np.nan, np.nan
    with pytest.raises(ValueError, match="state 3, action 1"):
        mdp.from_arrays(p, r, 0.9)
    legal = np.ones((6, 3), bool)
    legal[3, 1] = False
    model = mdp.from_arrays(p, r, 0.9, legal=legal)
    assert np.isfinite(model.reward).all()
    assert not model.legal[3, 1]


def test_arrays_of_wrong_shapes_are_refused():
    p, r = random_arrays()
    with pytest.raises(ValueError, match=r"probability has shape \(3, 6, 6\)"):
        mdp.from_arrays(p.transpose(1, 0, 2), r, 0.9)
    with pytest.raises(ValueError, match=r"reward has shape \(3,\)"):
        mdp.from_arrays(p, np.zeros(3), 0.9)


def test_a_function_may_speak_in_names():
    """Two rooms, a door that jams; leaving ends it."""

    def step(room, action):
        if action == "wait":
            return [(1.0, room, -1.0, False)]
        if room == "hall":
            return [(0.75, "street", 5.0, True), (0.25, "hall", -1.0, False)]
        return [(1.0, "hall", 0.0, False)] if room == "attic" else []

    model = mdp.from_function(step, ["attic", "hall", "street"], ["wait", "go"], 1.0)
    assert model.action_names == ("wait", "go")
    assert list(model.absorbing) == [False, False, True]
    assert model.legal is None, "nothing can be done in the street, where all is over"
    assert row(model, 1, 1) == {(2, 5.0): 0.75, (1, -1.0): 0.25}
    assert best_values(model)[0] == pytest.approx(5 - 1 / 3)  # a third of a jam on average, 1 each
    with pytest.raises(ValueError, match=r"state 'attic', action 'go' leads to 'hall'"):
        mdp.from_function(step, ["attic", "street"], ["wait", "go"], 1.0)
    with pytest.raises(ValueError, match="same name"):
        mdp.from_function(step, ["attic", "attic"], ["wait", "go"], 1.0)


def test_an_answer_of_nothing_is_an_illegal_action():
    def step(state, action):
        return [] if (state, action) == (0, 1) else [(1.0, (state + 1) % 3, 1.0, False)]

    model = mdp.from_function(step, 3, 2, 0.5)
    np.testing.assert_array_equal(model.legal, [[True, False], [True, True], [True, True]])
    with pytest.raises(ValueError, match="state 1 has no legal action"):
        mdp.from_function(lambda s, a: [] if s == 1 else [(1.0, 0, 1.0, False)], 3, 2, 0.5)
    with pytest.raises(ValueError, match=r"state 2, action 0: outcome 0 leads to state 7"):
        mdp.from_rows([[[(1.0, 0, 0.0, False)]], [[(1.0, 0, 0.0, False)]], [[(1.0, 7, 0.0, False)]]], 0.5)


def test_a_state_that_is_an_end_only_sometimes_gets_another_behind_it():
    def step(state, action):
        if state == 0:
            return [(0.5, 1, 1.0, True), (0.5, 1, 2.0, False)]
        return [(1.0, 0, 3.0, False)]

    model = mdp.from_function(step, 2, 1, 0.5, grid=(1, 2))
    assert model.states == 3
    assert list(np.flatnonzero(model.absorbing)) == [2]
    assert row(model, 0, 0) == {(2, 1.0): 0.5, (1, 2.0): 0.5}
    assert model.grid is None, "the end is no cell"
    # v0 = .5 + 1 + .25 v1, v1 = 3 + .5 v0: v0 = 1.5 + .75 + v0 / 8
    assert best_values(model)[0] == pytest.approx(2.25 * 8 / 7)
    begun = mdp.from_function(lambda s, a: [(1.0, 1, 1.0, s == 0)], 2, 1, 0.5, start=[0.5, 0.5])
    assert begun.states == 3, "an episode may begin where another ends"
    np.testing.assert_array_equal(begun.starts(), [0.5, 0.5, 0])


def test_a_state_where_nothing_happens_is_an_end_unless_one_begins_there():
    def step(state, action):
        return [(1.0, 1, 2.0, False)] if state == 0 else [(1.0, 1, 0.0, False)]

    assert list(mdp.from_function(step, 2, 2, 1.0).absorbing) == [False, True]
    assert not mdp.from_function(step, 2, 2, 0.9, start=[0.5, 0.5]).absorbing.any()
