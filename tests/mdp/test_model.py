"""A model says what is wrong with it, and knows its own arrays."""

import dataclasses

import numpy as np
import pytest

from bellmax import mdp
from bellmax.mdp import MDP, checks


def good(dtype=np.float64):
    """Four states in a row, the last absorbing; action 1 goes on with .75, action 0 stays and pays."""
    successor = np.array([[[0, 1, 2, 3], [0, 1, 2, 3]], [[1, 2, 3, 3], [0, 1, 2, 3]]], np.int32)
    probability = np.array([[[1, 1, 1, 1], [0, 0, 0, 0]], [[0.75, 0.75, 0.75, 1], [0.25, 0.25, 0.25, 0]]], dtype)
    reward = np.array([[[1, 1, 1, 0], [0, 0, 0, 0]], [[0, 0, 10, 0], [-1, -1, -1, 0]]], dtype)
    absorbing = np.array([False, False, False, True])
    return {
        "successor": successor,
        "probability": probability,
        "reward": reward,
        "gamma": 0.9,
        "absorbing": absorbing,
        "action_names": ("stay", "go"),
    }


def changed(name, index, value):
    array = good()[name].copy()
    array[index] = value
    return {name: array}


ONE = np.zeros((4, 2), bool) | [True, False]
BAD = {
    "a row that does not sum to 1": (
        changed("probability", (1, 0, 2), 0.5),
        r"probability: state 2, action 1 \(go\).*sum to 0\.75",
    ),
    "a row of nothing": (changed("probability", (0, 0, 1), 0), r"state 1, action 0 \(stay\).*sum to 0"),
    "NaN": (changed("probability", (0, 1, 1), np.nan), r"probability: state 1, action 0 .*outcome 1 is nan"),
    "negative": (changed("probability", (1, 1, 0), -0.25), r"state 0, action 1 .*outcome 1 is -0\.25"),
    "above 1": (changed("probability", (0, 0, 2), 1.5), r"state 2, action 0 .*sum to 1\.5"),
    "a successor too far": (changed("successor", (1, 0, 1), 4), r"successor: state 1, action 1 .*leads to state 4"),
    "a successor below 0": (changed("successor", (0, 1, 2), -1), r"successor: state 2, action 0 .*leads to state -1"),
    "a reward of NaN": (changed("reward", (1, 1, 2), np.nan), r"reward: state 2, action 1 .*nan for outcome 1"),
    "a reward without end": (changed("reward", (0, 0, 0), np.inf), r"reward: state 0, action 0 .*inf"),
    "gamma above 1": ({"gamma": 1.01}, r"gamma = 1\.01"),
    "gamma below 0": ({"gamma": -0.1}, r"gamma = -0\.1"),
    "gamma of NaN": ({"gamma": np.nan}, r"gamma = nan"),
    "gamma as text": ({"gamma": "high"}, r"gamma = 'high'"),
    "an end that is left": (changed("successor", (1, 0, 3), 2), r"absorbing: state 3, action 1 .*leaves"),
    "an end that pays": (changed("reward", (0, 0, 3), 2.0), r"absorbing: state 3, action 0 .*pays"),
    "nothing but ends": ({"absorbing": np.ones(4, bool)}, r"every state is absorbing"),
    "no legal action": ({"legal": ONE & (np.arange(4) != 1)[:, None]}, r"legal: state 1 has no legal action"),
    "mask the wrong way round": ({"legal": ONE.T}, r"legal has shape \(2, 4\).*here \(4, 2\)"),
    "mask of numbers": ({"legal": ONE.astype(int)}, r"legal has dtype int64.*bool"),
    "start too small": ({"start": np.array([0.5, 0.4, 0, 0])}, r"start: the probabilities sum to 0\.9"),
    "start below 0": ({"start": np.array([1.5, -0.5, 0, 0])}, r"start: the probability of state 1 is -0\.5"),
    "start at the end": ({"start": np.array([0.5, 0, 0, 0.5])}, r"start: .*state 3, which is absorbing"),
    "start of NaN": ({"start": np.array([0.5, 0.5, np.nan, 0])}, r"start: the probability of state 2 is nan"),
    "start of whole numbers": ({"start": np.array([1, 0, 0, 0])}, r"start has dtype int64"),
    "a list": ({"absorbing": [False, False, False, True]}, r"absorbing is a list: give a NumPy array"),
    "successors of floats": ({"successor": good()["successor"].astype(float)}, r"successor has dtype float64.*int32"),
    "two axes": ({"probability": good()["probability"][:, 0]}, r"probability has shape \(2, 4\)"),
    "two precisions": ({"reward": good()["reward"].astype(np.float32)}, r"reward has dtype float32.*float64"),
    "a reward too few": ({"reward": good()["reward"][:, :, :3]}, r"reward has shape \(2, 2, 3\).*\(2, 2, 4\)"),
    "an outcome too few": ({"successor": good()["successor"][:, :1]}, r"successor has shape \(2, 1, 4\)"),
    "no outcomes": ({"probability": np.zeros((2, 0, 4))}, r"at least one action, outcome and state"),
    "a grid of another size": ({"grid": (3, 3)}, r"grid = \(3, 3\).*4"),
    "a name too many": ({"action_names": ("a", "b", "c")}, r"one name for each of the 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_model_names_the_state_and_the_action(name):
    changes, message = BAD[name]
    with pytest.raises(ValueError, match=message) as error:
        MDP(**good() | changes)
    assert "\n" not in str(error.value), "one sentence"
    MDP(**good() | changes, check=False)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_may_be_off_by_the_rounding_of_its_precision(dtype):
    off = 4e-10 if dtype == np.float64 else 4e-6
    fields = good(dtype)
    fields["probability"][1, 0, 0] += off
    MDP(**fields)
    fields["probability"][1, 0, 0] += 10 * off
    with pytest.raises(ValueError, match="state 0, action 1"):
        MDP(**fields)


def test_without_discounting_there_must_be_an_end():
    endless = good() | changed("successor", (1, 0, 2), 2) | changed("reward", (1, 0, 2), 0.0) | {"gamma": 1.0}
    with pytest.raises(ValueError, match="no policy ever leads from state 0 to an absorbing state"):
        MDP(**endless)
    with pytest.raises(ValueError, match="gamma = 1 with no absorbing state"):
        MDP(**endless | {"absorbing": np.zeros(4, bool)})
    MDP(**endless | {"gamma": 0.999})
    MDP(**endless, check=False)
    MDP(**good() | {"gamma": 1.0})


def test_an_end_behind_an_illegal_action_or_a_probability_of_0_is_out_of_reach():
    legal = np.ones((4, 2), bool)
    legal[1, 1] = False
    with pytest.raises(ValueError, match="from state 0"):
        MDP(**good() | {"gamma": 1.0, "legal": legal})
    never = good() | {"gamma": 1.0}
    never["probability"][1, :, 1] = 0, 1
    with pytest.raises(ValueError, match="from state 0"):
        MDP(**never)
    legal[0, 0] = False
    model = MDP(**good() | {"legal": legal})
    assert model.legal is legal


def test_the_rows_of_illegal_actions_mean_nothing():
    legal = np.ones((4, 2), bool)
    legal[2, 1] = False
    fields = good() | {"legal": legal}
    fields["probability"][1, :, 2] = 0
    MDP(**fields)
    with pytest.raises(ValueError, match="state 2, action 1"):
        MDP(**fields | {"legal": None})


def test_the_first_wrong_state_is_found_in_whatever_chunk_it_is(monkeypatch):
    monkeypatch.setattr(checks, "CHUNK", 30)
    model = mdp.random_mdp(50, 3, 2, seed=1, absorbing=0.2)
    for state in (0, 4, 5, 37, 49):
        if model.absorbing[state]:
            continue
        probability = model.probability.copy()
        probability[2, 0, state] += 0.1
        with pytest.raises(ValueError, match=f"probability: state {state}, action 2: "):
            model.replace(probability=probability)
        reward = model.reward.copy()
        reward[1, 1, state] = np.nan
        with pytest.raises(ValueError, match=f"reward: state {state}, action 1: "):
            model.replace(reward=reward)
    over = np.flatnonzero(model.absorbing)[-1]
    successor = model.successor.copy()
    successor[1, 0, over] = 0
    with pytest.raises(ValueError, match=f"absorbing: state {over}, action 1: "):
        model.replace(successor=successor)


def test_dense_arrays_add_up_what_leads_to_the_same_state():
    model = MDP(**good())
    p, r = model.dense()
    assert p.shape == (2, 4, 4)
    assert r.shape == (4, 2)
    np.testing.assert_array_equal(p[0], np.eye(4))
    np.testing.assert_array_equal(p[1], [[0.25, 0.75, 0, 0], [0, 0.25, 0.75, 0], [0, 0, 0.25, 0.75], [0, 0, 0, 1]])
    np.testing.assert_allclose(r[:, 0], [1, 1, 1, 0])
    np.testing.assert_allclose(r[:, 1], [-0.25, -0.25, 7.25, 0])  # .75 * 10 - .25 * 1 = 7.25
    np.testing.assert_array_equal(model.expected_reward(), r.T)
    twice = good() | changed("successor", (1, 0, 0), 0)
    assert MDP(**twice).dense()[0][1, 0, 0] == 1


def test_memory_is_what_the_arrays_take():
    model = MDP(**good())
    assert (model.states, model.actions, model.outcomes) == (4, 2, 2)
    assert model.nbytes == 16 * (4 + 8 + 8) + 4 == mdp.memory_of(4, 2, 2, np.float64, reward_outcomes=2)
    assert model.memory == "324 bytes"
    assert mdp.in_words(1_202_590_843) == "1.12 GiB"
    assert mdp.in_words(1536) == "1.50 KiB"


def test_precision_can_be_changed_there_and_back():
    legal = np.ones((20, 6), bool)
    model = mdp.random_mdp(20, 6, 7, seed=2).replace(legal=legal, start=None)
    start = np.where(model.absorbing, 0, np.random.default_rng(0).random(20))
    model = model.replace(start=start / start.sum())
    small = model.astype(np.float32)
    assert small.probability.dtype == small.reward.dtype == small.start.dtype == np.float32
    back = small.astype(np.float64)  # float32 rows sum to 1 only nearly
    checks.check(small)
    checks.check(back)
    np.testing.assert_allclose(back.probability, model.probability, rtol=1e-5)
    np.testing.assert_allclose(back.reward, model.reward, rtol=1e-6)
    assert model.astype(np.float64) is model


def test_a_changed_copy_is_checked_anew_and_a_model_is_only_equal_to_itself():
    model = MDP(**good())
    assert model.replace(gamma=0.5).gamma == 0.5
    with pytest.raises(ValueError, match="gamma = 2"):
        model.replace(gamma=2)
    assert dataclasses.replace(model, gamma=2, check=False).gamma == 2
    assert model == model
    assert model != MDP(**good())
    assert len({model, MDP(**good()), model}) == 2


def test_episodes_begin_evenly_where_nothing_else_is_said():
    np.testing.assert_allclose(MDP(**good()).starts(), [1 / 3, 1 / 3, 1 / 3, 0])
    start = np.array([0, 1.0, 0, 0])
    assert MDP(**good() | {"start": start}).starts() is start
