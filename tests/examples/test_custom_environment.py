"""A dictionary to see, a MultiDiscrete action and a mask: both PPOs learn it, with fewer steps than the example."""

import gymnasium
import numpy as np
import pytest
from examples.custom_environment import DELIVER, HYPERPARAMETERS, KEEP, RIGHT, STAY, TAKE, Porter, score_at_random
from gymnasium.utils.env_checker import check_env

import bellmax as bm

EPISODES = 40


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
def test_it_is_an_environment_as_gymnasium_wants_it():
    class LegalOnly(gymnasium.Wrapper):
        """The checker draws without looking at the mask: what is illegal becomes keeping and staying."""

        def step(self, action):
            (hands, feet), legal = action, self.env.legal()
            return self.env.step((hands if legal[hands] else KEEP, feet if legal[3 + feet] else STAY))

    check_env(LegalOnly(Porter()), skip_render_check=True)


def test_a_parcel_is_carried_to_the_desk_and_pays_one():
    env = Porter()
    obs, info = env.reset(seed=3)
    assert not info["action_mask"][[TAKE, DELIVER]].any(), "nothing is here, and nothing is carried"
    step = 1 if obs["parcel"] > 3 else -1
    for _ in range(abs(obs["parcel"] - 3)):
        obs, reward, _, _, info = env.step((KEEP, STAY + step))
        assert reward == 0
    assert info["action_mask"].tolist()[:3] == [1, 1, 0]
    obs, _, _, _, info = env.step((TAKE, STAY - step))
    while obs["place"] != 3:
        obs, _, _, _, info = env.step((KEEP, STAY - step))
    assert info["action_mask"].tolist()[:3] == [1, 0, 1]
    assert env.step((DELIVER, STAY))[1] == 1


def test_what_is_illegal_is_refused():
    env = Porter()
    env.reset(seed=0)
    for action in ((TAKE, STAY), (DELIVER, STAY)):
        with pytest.raises(ValueError, match="illegal"):
            env.step(action)
    for _ in range(3):
        env.step((KEEP, RIGHT))
    with pytest.raises(ValueError, match="illegal"):
        env.step((KEEP, RIGHT))


@pytest.mark.parametrize("algorithm", ["ppo", "recurrent-ppo"])
def test_it_is_learned(algorithm):
    run = bm.train(
        algorithm,
        Porter,
        steps=12_800,
        num_envs=16,
        hyperparameters=HYPERPARAMETERS,
        run_folder=None,
        display="quiet",
    )
    chance = score_at_random(EPISODES)
    trained = run.evaluate(EPISODES).scores
    untrained = bm.train(  # the control: nothing is learned at a rate of nearly nothing
        algorithm,
        Porter,
        steps=640,
        num_envs=16,
        hyperparameters=HYPERPARAMETERS | {"learning_rate": 1e-9},
        run_folder=None,
        display="quiet",
    )
    assert np.mean(trained) > chance + 4
    assert np.mean(untrained.evaluate(EPISODES, greedy=False).scores) < chance + 1
