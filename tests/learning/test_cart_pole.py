"""PPO balances the pole: 475 of 500 greedily, in 102,400 steps, with the recipe's settings, on every seed."""

import jax
import pytest

from bellmax import Linear
from bellmax.drivers import evaluate
from bellmax.drivers.fleet import Fleet
from bellmax.drivers.learn import round_size
from bellmax.envs.cart_pole import CartPole
from bellmax.maths.schedules import resolve
from bellmax.recipes import find


@pytest.fixture
def compile_well():
    """This program runs for longer than it compiles: optimise it, whatever the other tests do."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.mark.usefixtures("compile_well")
def test_ppo_solves_cart_pole_with_its_recipe():
    recipe = find("ppo", "CartPole-v1")
    ppo = resolve(recipe.algorithm, recipe.steps)
    still = ppo.replace(learning_rate=Linear(0.0, 0.0, float(recipe.steps)))  # the control learns nothing
    fleet = Fleet([ppo, ppo, ppo, still], CartPole(), [0, 1, 2, 0], recipe.num_envs)
    rounds = -(-recipe.steps // round_size(ppo, recipe.num_envs))
    fleet.compile()
    totals = fleet.advance(rounds, [recipe.steps] * 4)
    fleet.close()
    assert [int(total["steps"]) for total in totals] == [102_400] * 4
    means = [evaluate.ingraph(ppo, CartPole(), fleet.run(i).state, jax.random.key(5)).mean for i in range(4)]
    assert min(means[:3]) >= 475, means
    assert means[3] < 60, means
