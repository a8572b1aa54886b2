"""Known models and dynamic programming: plain functions on an `MDP`.

from bellmax import mdp
lake = mdp.from_gymnasium("FrozenLake-v1", gamma=0.99)
solution = mdp.solve(lake)
print(mdp.policy_text(lake, solution.optimal_actions))
"""

from bellmax.mdp.drawing import policy_text, values_text
from bellmax.mdp.evaluation import Evaluation, evaluate_policy
from bellmax.mdp.forecast import Forecast, forecast
from bellmax.mdp.grids import memory_of, slippery_grid
from bellmax.mdp.horizon import backward_induction
from bellmax.mdp.maps import from_env, from_map
from bellmax.mdp.model import MDP, in_words
from bellmax.mdp.policy_iteration import modified_policy_iteration, policy_iteration
from bellmax.mdp.problems import (
    PROBLEMS,
    car_rental,
    chain,
    gambler,
    leaping_gridworld,
    random_mdp,
    random_walk,
    small_gridworld,
)
from bellmax.mdp.programme import linear_programme
from bellmax.mdp.rows import from_rows
from bellmax.mdp.shaping import shaped
from bellmax.mdp.solution import Solution
from bellmax.mdp.solving import memory_needed, solve
from bellmax.mdp.sources import from_arrays, from_function, from_gymnasium
from bellmax.mdp.value_iteration import value_iteration
from bellmax.mdp.world import World

__all__ = [
    "MDP",
    "PROBLEMS",
    "Evaluation",
    "Forecast",
    "Solution",
    "World",
    "backward_induction",
    "car_rental",
    "chain",
    "evaluate_policy",
    "forecast",
    "from_arrays",
    "from_env",
    "from_function",
    "from_gymnasium",
    "from_map",
    "from_rows",
    "gambler",
    "in_words",
    "leaping_gridworld",
    "linear_programme",
    "memory_needed",
    "memory_of",
    "modified_policy_iteration",
    "policy_iteration",
    "policy_text",
    "random_mdp",
    "random_walk",
    "shaped",
    "slippery_grid",
    "small_gridworld",
    "solve",
    "value_iteration",
    "values_text",
]
