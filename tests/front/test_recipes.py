"""Every recipe is a valid algorithm for an environment that exists."""

import pytest

from bellmax.catalogue import ALGORITHMS, SUMMARIES, algorithm_class
from bellmax.envs import WORLDS
from bellmax.maths.schedules import Linear
from bellmax.recipes import configured, find, names, schedule

PAIRS = [(algorithm, env) for algorithm in ALGORITHMS for env in names(algorithm)]


@pytest.mark.parametrize(("algorithm", "env"), PAIRS)
def test_a_recipe_is_complete(algorithm, env):
    import gymnasium

    recipe = find(algorithm, env)
    assert recipe.source
    assert recipe.steps > 0
    assert recipe.num_envs > 0
    assert type(recipe.algorithm) is algorithm_class(algorithm)
    games = ("tic_tac_toe", "connect_four")
    assert (
        env in gymnasium.registry
        or env in games
        or env in WORLDS
        or env.endswith("-MinAtar")
        or env.startswith(("ALE/", "Fetch", "PongNoFrameskip"))
    )


def test_an_environment_in_the_graph_shares_the_recipe_of_its_twin():
    wanted = find("ppo", "CartPole-v1")
    assert wanted.algorithm.learning_rate == Linear(1e-3, 0.0)
    assert wanted.algorithm.experience.length == 32
    for name in ("bellmax:CartPole", "gymnax:CartPole-v1", "CartPole"):
        assert find("ppo", name) == wanted
    assert find("ppo", "Taxi-v3") is None


def test_a_mistyped_recipe_is_refused():
    with pytest.raises(TypeError, match="learning_rate"):
        configured(algorithm_class("ppo")(), {"learning_rat": 1})
    with pytest.raises(ValueError, match="linear:START:END"):
        schedule("linear:fast")


def test_the_catalogue_has_a_line_for_every_algorithm():
    assert set(ALGORITHMS) == set(SUMMARIES)
    assert all(algorithm_class(name) for name in ALGORITHMS)
